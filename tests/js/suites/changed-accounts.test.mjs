// Changes by other processes – commands beside the server, SQL by hand – take effect within seconds.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { people, settle } from '../lib/chat.mjs';
import { connect, refusal } from '../lib/client.mjs';
import { succeed } from '../lib/command.mjs';
import { DATABASES, runSql } from '../lib/database.mjs';
import { Server } from '../lib/server.mjs';
import { EventStream } from '../lib/sse.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

/** "Within seconds": a check every second, and the delay of a loaded machine. */
const SOON = LIMIT / 4;

/** Repeats until it holds, as fast as the server answers: hence no rate limit. */
const eventually = (what, holds) => within(SOON, what, (async () => {
  while (!(await holds()));
})());

for (const database of DATABASES) {
  describe(`accounts that another process changes, on ${database}`, () => {
    const setUp = async (test, ...names) => {
      const server = await Server.start({ database, env: { RATE_LIMIT_EVENTS: '0' } });
      test.after(() => server.remove());
      const command = (...args) => succeed({ folder: server.folder, env: { ...server.env, PARLANCE_URL: '', API_KEYS: '', PORT: '0' } }, ...args);
      const answers = async (token, path = '/api/auth/me') => (await server.api('GET', path, { token })).status;
      const until = (status, token, path) => eventually(`${status} for ${path ?? 'a request'}`, async () => (await answers(token, path)) === status);
      return { server, command, answers, until, clients: await people(test, server, names) };
    };

    it('a role, in both directions: requests, and a stream that is under way', async (test) => {
      const { server, command, until, clients: [ann] } = await setUp(test, 'ann');
      const stats = '/api/admin/stats';
      await until(403, ann.user.token, stats);
      await command('user', 'role', ann.user.username, 'admin');
      await until(200, ann.user.token, stats);
      const stream = await EventStream.open(server, '/api/admin/stats/stream', { authorization: `Bearer ${ann.user.token}` });
      await command('user', 'role', ann.user.username, 'user');
      await until(403, ann.user.token, stats);
      await within(SOON, 'the end of the stream', stream.ended);
      assert.ok(ann.socket.connected, 'the socket is a user\'s still');
    });

    it('an account that is disabled and enabled by hand', async (test) => {
      const { server, answers, until, clients: [ann, bob, cid] } = await setUp(test, 'ann', 'bob', 'cid');
      runSql(server, `UPDATE users SET disabled = true WHERE id = '${ann.user.id}'`);
      await within(SOON, 'the socket to be put out', ann.gone);
      await until(401, ann.user.token);
      assert.equal((await refusal(server, { auth: { token: ann.user.token } })).data.code, 'ACCOUNT_DISABLED');
      runSql(server, `UPDATE users SET disabled = false WHERE id = '${ann.user.id}'`);
      await until(200, ann.user.token);
      assert.equal(await answers(bob.user.token), 200);
      await settle(bob, cid);
    });

    it('a token that is revoked, and all of a user', async (test) => {
      const { server, command, answers, until, clients: [ann, bob] } = await setUp(test, 'ann', 'bob');
      const other = (await command('token', 'new', ann.user.id)).trim();
      const second = await connect(server, { ...ann.user, token: other });
      test.after(() => second.close());
      await command('token', 'revoke', other);
      await within(SOON, 'the socket to be put out', second.gone);
      await until(401, other);
      assert.ok(ann.socket.connected, 'another token of the same user');
      await command('token', 'revoke', '--all-of', ann.user.username);
      await within(SOON, 'the socket to be put out', ann.gone);
      await until(401, ann.user.token);
      assert.equal(await answers(bob.user.token), 200);
      assert.ok(bob.socket.connected);
    });

    it('a name, as others see it', async (test) => {
      const { server, clients: [ann, bob] } = await setUp(test, 'ann', 'bob');
      runSql(server, `UPDATE users SET full_name = 'Dr. Ann' WHERE id = '${ann.user.id}'`);
      await eventually('the new name', async () => (await server.api('GET', '/api/auth/me', { token: ann.user.token })).body.user.fullName === 'Dr. Ann');
      // Another change does not bring the old state back.
      await server.api('PATCH', '/api/users/me', { token: ann.user.token, body: { avatar: '/a.png' } });
      const { body: { user } } = await server.api('GET', '/api/auth/me', { token: ann.user.token });
      assert.deepEqual([user.fullName, user.avatar], ['Dr. Ann', '/a.png']);
      const seen = async () => (await server.api('GET', '/api/users/online', { token: bob.user.token })).body.users.find(({ id }) => id === ann.user.id);
      await eventually('others to see it', async () => (await seen()).fullName === 'Dr. Ann');
      await settle(ann, bob);
    });

    it('what was written while the server was away, or its database', async (test) => {
      const { server, command, answers, until, clients: [ann] } = await setUp(test, 'ann');
      await server.end();
      await command('token', 'revoke', '--all-of', ann.user.username);
      await server.launch();
      assert.equal(await answers(ann.user.token), 401);
      const bob = newUser('bob');
      assert.equal(await answers(bob.token), 200);
      await command('user', 'role', bob.username, 'admin');
      await until(200, bob.token, '/api/admin/stats');
      const noted = () => Number(String(runSql(server, 'SELECT count(*) FROM account_changes')).match(/\d+/)[0]);
      await eventually('the notes to be taken away', async () => noted() === 0);
    });
  });
}
