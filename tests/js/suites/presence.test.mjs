// Visibility of presence: every fact, every way of learning it, every kind of reader.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { makeGroup } from '../lib/chat.mjs';
import { connect } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';

/** HTTP routes to another user: returns what each shows of `whom`, `undefined` if nothing. */
const WAYS = {
  'GET /api/users/{id}': async (ask, whom) => (await ask(`/api/users/${whom.id}`)).user,
  'GET /api/users?query=': async (ask, whom) => (await ask(`/api/users?query=${whom.username}`)).users.find(({ id }) => id === whom.id),
  'GET /api/users/online': async (ask, whom) => (await ask('/api/users/online?limit=200')).users.find(({ id }) => id === whom.id),
};
for (const database of DATABASES) {
  for (const scope of ['everyone', 'contacts']) {
    describe(`what is shown of a user in the scope of ${scope}, on ${database}`, () => {
      const holder = useServer({ database, env: { PRESENCE_SCOPE: scope, RATE_LIMIT_EVENTS: '0', PRESENCE_GRACE: '0s' } });

      it('over HTTP, to themselves, a contact, one of a group, one who left it, a stranger and an administrator', async (test) => {
        const { server } = holder;
        const email = { email: 'away@example.org' };
        const [here, away, contact, member, left, stranger] = ['here', 'away', 'contact', 'member', 'left', 'stranger']
          .map((name) => newUser(name, name === 'away' ? email : {}));
        const administrator = newUser('administrator', { role: 'admin' });
        for (const user of [here, away, contact, member, left, stranger, administrator]) await server.api('GET', '/api/auth/me', { token: user.token });
        const online = await connect(server, here, { dialect: 'messenger' });
        test.after(() => online.close());
        const gone = await connect(server, away, { dialect: 'messenger' });
        for (const user of [here, away]) {
          const { status } = await server.api('POST', '/api/conversations', { token: contact.token, body: { type: 'direct', participantId: user.id } });
          assert.ok([200, 201].includes(status), String(status));
          const group = await makeGroup(server, { user: member }, [{ user }, { user: left }]);
          assert.equal((await server.api('DELETE', `/api/conversations/${group}/participants/${left.id}`, { token: left.token })).status, 200);
        }
        gone.close();
        const shows = async (asker, way, whom) => {
          const ask = async (path) => (await server.api('GET', path, { token: asker.token })).body;
          return WAYS[way](ask, whom);
        };
        const own = async () => (await shows(away, 'GET /api/users/{id}', away)).lastSeen;
        while ((await own()) === null);
        for (const [role, asker, isKnown, isPrivate] of [
          ['themselves', undefined, true, true],
          ['a contact', contact, true, false],
          ['one of a group', member, true, false],
          ['one who left the group', left, scope === 'everyone', false],
          ['a stranger', stranger, scope === 'everyone', false],
          ['an administrator', administrator, true, true],
        ]) {
          for (const way of Object.keys(WAYS)) {
            const isList = way === 'GET /api/users/online';
            const [shownHere, shownAway] = [await shows(asker ?? here, way, here), await shows(asker ?? away, way, away)];
            const what = `${way}, asked by ${role}`;
            if (isList) {
              const isListed = isKnown && (role !== 'an administrator' || scope === 'everyone');
              assert.deepEqual([shownHere !== undefined, shownAway], [isListed, undefined], what);
              continue;
            }
            assert.deepEqual([shownHere.isOnline, shownHere.status], isKnown ? [true, 'online'] : [false, 'offline'], what);
            assert.deepEqual([shownAway.isOnline, shownAway.status, shownAway.lastSeen !== null], [false, 'offline', isKnown], what);
            assert.deepEqual(['email' in shownAway, 'role' in shownAway], [isPrivate, isPrivate], what);
          }
        }
      });
    });
  }
}
