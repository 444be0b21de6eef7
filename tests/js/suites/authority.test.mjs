// Identity and rights: statements in tokens, names, addresses, and the audit.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { assertHttpError, assertLimited, people } from '../lib/chat.mjs';
import { connect } from '../lib/client.mjs';
import { succeed } from '../lib/command.mjs';
import { DATABASES } from '../lib/database.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { epoch, newUser, sign } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const KEY = 'a-key-of-sixteen-characters-and-more';
const PASSWORD = 'correct horse';
let made = 0;
const unique = (name) => `${name}-${process.pid}-${++made}`;

for (const database of DATABASES) {
  describe(`what a token says of its user, on ${database}`, () => {
    const holder = useServer({ database, env: { API_KEYS: `shop:${KEY}`, RATE_LIMIT_LOGINS: '0' } });
    const me = async (token) => (await holder.server.api('GET', '/api/auth/me', { token })).body.user;
    const admit = async (test, claims) => {
      const token = sign({ exp: epoch(600), ...claims });
      const client = await connect(holder.server, { id: claims.id, token });
      test.after(() => client.close());
      return { client, token };
    };

    it('who is written to before ever coming gets name, e-mail and role of the own token', async (test) => {
      const [ann] = await people(test, holder.server, ['ann']);
      const [id, username] = [unique('id'), unique('Bob')];
      await ann.succeed('send_direct_message', { recipientId: id, content: 'hello' });
      const stranger = await holder.server.api('GET', `/api/users/${id}`, { token: ann.user.token });
      assert.equal(stranger.body.user.username, id);
      const email = `${username}@example.org`;
      const { client, token } = await admit(test, { id, username, email, fullName: 'Bob B.', role: 'admin' });
      await client.next('new_message');
      const own = await me(token);
      assert.deepEqual([own.username, own.email, own.fullName, own.role], [username, email, 'Bob B.', 'admin']);
      assert.equal((await holder.server.api('GET', '/api/admin/stats', { token })).status, 200);
    });

    it('a newer token counts, over HTTP too; an older one, or one of a login here, changes nothing', async (test) => {
      const id = unique('id');
      const claims = { id, username: unique('carol'), iat: epoch(-100), exp: epoch(600) };
      await admit(test, claims);
      const promoted = sign({ ...claims, role: 'admin', iat: epoch(-50) });
      const stats = async (token) => (await holder.server.api('GET', '/api/admin/stats', { token })).status;
      assert.equal(await stats(promoted), 200);
      assert.equal(await stats(sign({ ...claims, role: 'user', iat: epoch(-60) })), 200, 'older than what is known');
      const renamed = unique('caroline');
      await admit(test, { ...claims, username: renamed, role: 'user', iat: epoch(-10) });
      assert.equal(await stats(promoted), 403, 'also by the token that said more');
      assert.equal((await me(promoted)).username, renamed);
      // The command's statement is newer than all of them.
      await succeed({ folder: holder.server.folder, env: { ...holder.server.env, PARLANCE_URL: '', PORT: '0' } }, 'user', 'role', renamed, 'admin');
      await within(LIMIT, 'the role', (async () => {
        while (await stats(promoted) !== 200);
      })());
      await admit(test, { ...claims, username: renamed, role: 'user', iat: epoch(-10) });
      assert.equal(await stats(promoted), 200);

      const username = unique('dora');
      const { body: { token, user } } = await holder.server.api('POST', '/api/auth/register', { body: { username, email: `${username}@example.org`, password: PASSWORD } });
      const client = await connect(holder.server, { id: user.id, token });
      test.after(() => client.close());
      assert.equal((await me(token)).username, username);
    });

    it('names that could not be registered stand for nothing', async (test) => {
      for (const username of ['a\nb', 'a\u001bb', 'x'.repeat(9_000), 'e\u202eve', 'model', 'Deleted user', 'other@example.org', ' ', `deleted\n${unique('id')}`]) {
        const id = unique('id');
        const { token } = await admit(test, { id, username, fullName: 'a\u001b[2Jb', email: 'no address', role: 'king' });
        const own = await me(token);
        assert.deepEqual([own.username, own.fullName, own.email, own.role], [id, null, null, 'user'], JSON.stringify(username));
      }
      const id = unique('id');
      const { token } = await admit(test, { id });
      await admit(test, { id: unique('id'), username: `deleted\n${id}` });
      const gone = await holder.server.api('DELETE', `/api/admin/users/${id}`, { headers: { 'x-api-key': KEY } });
      assert.equal(gone.status, 200);
      assert.equal((await holder.server.api('GET', '/api/auth/me', { token })).status, 401);
    });

    it('a name that is taken gets a number, and keeps it', async (test) => {
      const username = unique('eve');
      await admit(test, { id: unique('id'), username });
      const id = unique('id');
      for (let times = 0; times < 3; times += 1) {
        const { token } = await admit(test, { id, username });
        assert.equal((await me(token)).username, `${username}2`);
      }
    });

    it('a sender has a hundred users made in an hour', async () => {
      const server = holder.server;
      const [ann, bob] = [newUser('ann'), newUser('bob')];
      const group = (user, count, name) => server.api('POST', '/api/conversations', {
        token: user.token, body: { type: 'group', name: 'G', participants: Array.from({ length: count }, (_, number) => `${name}-${number}`) },
      });
      const [first, second] = [unique('first'), unique('second')];
      assert.equal((await group(ann, 60, first)).status, 201);
      assert.equal((await group(ann, 60, first)).status, 201, 'who is there counts no more');
      const refused = await group(ann, 60, second);
      assertLimited(refused);
      assert.ok(Number(refused.headers.get('retry-after')) > 3_000);
      assert.equal((await group(ann, 40, second)).status, 201);
      assert.equal((await group(bob, 60, second)).status, 201);
    });

    it('an e-mail address leads to its user for administrators and servers only', async () => {
      const server = holder.server;
      const name = unique('fay');
      const email = `${name}@example.org`;
      await server.api('POST', '/api/auth/register', { body: { username: name, email, password: PASSWORD } });
      const send = (user, more) => server.api('POST', '/api/messages', { body: { to: { user }, content: 'x', ...more.body }, ...more });
      const { token } = newUser('ann');
      assertHttpError(await send(email, { token, body: { to: { user: email }, content: 'x' } }), 404, 'NOT_FOUND');
      assert.equal((await send(name, { token, body: { to: { user: name }, content: 'x' } })).status, 201);
      const { token: admin } = newUser('root', { role: 'admin' });
      assert.equal((await send(email, { token: admin, body: { to: { user: email }, content: 'x' } })).status, 201);
      const from = name;
      assert.equal((await send(email, { headers: { 'x-api-key': KEY }, body: { from, to: { user: email }, content: 'x' } })).status, 201);
    });

    it('names that look alike are one, at registration, login and search', async () => {
      const server = holder.server;
      const mark = unique('');
      const register = (username, email) => server.api('POST', '/api/auth/register', { body: { username, email: email ?? `${unique('m')}@example.org`, password: PASSWORD } });
      const name = `André${mark}`;
      const email = `${unique('andre')}@example.org`;
      assert.equal((await register(`  ${name} `, email)).body.user.username, name);
      for (const other of [name.normalize('NFD'), name.toUpperCase(), `An\u200ddré${mark}`, `\uff21ndré${mark}`, ` ${name}`]) {
        assertHttpError(await register(other), 409, 'CONFLICT');
      }
      for (const hidden of [`An\u200bdré${mark}`, `An\u202edré${mark}`, 'Deleted user', 'MODEL', '\u3164']) assertHttpError(await register(hidden), 400, 'INVALID_PAYLOAD');
      // Another user's address is not allowed as a name; one's own is.
      assertHttpError(await register(email), 400, 'INVALID_PAYLOAD');
      const own = `${unique('own')}@example.org`;
      assert.equal((await register(own, own)).status, 201);
      for (const login of [name.normalize('NFD'), ` ${name.toUpperCase()}`, email.toUpperCase(), own]) {
        assert.equal((await server.api('POST', '/api/auth/login', { body: { login, password: PASSWORD } })).status, 200, login);
      }
      const found = await server.api('GET', `/api/users?query=${encodeURIComponent(name.normalize('NFD').toUpperCase())}`, { token: newUser().token });
      assert.deepEqual(found.body.users.map(({ username }) => username), [name]);
    });

    it('who did what stands in the log and in the database', async () => {
      const server = await Server.start({ database, env: { API_KEYS: `shop:${KEY},${KEY}-2`, RUST_LOG: 'info' } });
      try {
        const target = newUser('target');
        const root = newUser('root', { role: 'admin' });
        for (const { token } of [target, root]) await server.api('GET', '/api/auth/me', { token });
        const byKey = { headers: { 'x-api-key': KEY } };
        const disable = (disabled, more) => server.api('PATCH', `/api/admin/users/${target.id}`, { body: { disabled }, ...more });
        assert.equal((await disable(true, byKey)).status, 200);
        assert.equal((await disable(false, { token: root.token })).status, 200);
        assert.equal((await disable(false, { headers: { 'x-api-key': `${KEY}-2` } })).status, 200);
        for (let times = 0; times < 3; times += 1) await server.api('POST', '/api/emit', { body: { to: { user: target.id }, event: 'x' }, ...byKey });
        await server.api('POST', '/api/messages', { body: { from: target.id, to: { room: 'square' }, content: 'x' }, ...byKey });
        // Refused requests, reads, and changes of one's own account are not recorded.
        await server.api('PATCH', '/api/admin/users/nobody', { body: { disabled: true }, ...byKey });
        await server.api('GET', '/api/admin/stats', byKey);
        await server.api('POST', '/api/messages', { token: root.token, body: { to: { room: 'square' }, content: 'x' } });
        await succeed({ folder: server.folder, env: { ...server.env, PARLANCE_URL: '', PORT: '0' } }, 'user', 'role', target.username, 'admin');
        const { body } = await server.api('GET', '/api/admin/audit', byKey);
        const seen = body.entries.map(({ actor, action, object, times }) => [actor, action, object, times]).reverse();
        const path = 'PATCH /api/admin/users/{id}';
        const nameless = seen[2]?.[0];
        assert.match(nameless, /^key:[0-9a-f]{8}$/);
        assert.deepEqual(seen, [
          ['key:shop', path, `${target.id} (disabled: true)`, 1],
          [`user:${root.id}`, path, `${target.id} (disabled: false)`, 1],
          [nameless, path, `${target.id} (disabled: false)`, 1],
          ['key:shop', 'POST /api/emit', `{"user":"${target.id}"} (event: x)`, 1],
          ['key:shop', 'POST /api/messages', `from ${target.id}`, 1],
          ['command line', 'parlance user role admin', target.id, 1],
        ]);
        assert.equal(body.entries.find(({ actor }) => actor === 'key:shop').address, '127.0.0.1');
        await server.logged((line) => line.includes('acted') && line.includes('actor=key:shop') && line.includes(target.id) && line.includes('address=127.0.0.1'));
        const { body: page } = await server.api('GET', '/api/admin/audit?limit=2', byKey);
        const { body: next } = await server.api('GET', `/api/admin/audit?limit=2&before=${page.next}`, byKey);
        assert.deepEqual([...page.entries, ...next.entries], body.entries.slice(0, 4));
        // Repetitions are summed up, at the end at the latest.
        await server.end();
        await server.launch();
        const later = await server.api('GET', '/api/admin/audit?limit=1', byKey);
        assert.deepEqual([later.body.entries[0].action, later.body.entries[0].times], ['POST /api/emit', 2]);
      } finally {
        await server.remove();
      }
    });
  });
}

describe('an exposed server', () => {
  const start = async (test, env) => {
    const server = await Server.start({ env: { RUST_LOG: 'info', ...env } });
    test.after(() => server.remove());
    return server;
  };
  const warnings = ({ log }) => log.split('\n').filter((line) => line.includes('WARN') && !line.includes('token secret'));

  it('says at its start what is open to anybody', async (test) => {
    const open = await start(test, { HOST: '0.0.0.0' });
    const said = warnings(open);
    for (const words of [/plain HTTP/, /make an account/, /\/metrics/]) assert.equal(said.filter((line) => words.test(line)).length, 1, said.join('\n'));
    const closed = await start(test, { HOST: '0.0.0.0', TRUSTED_PROXIES: '127.0.0.1', ALLOW_REGISTRATION: 'false', METRICS_TOKEN: 'a token' });
    assert.deepEqual(warnings(closed), []);
    assert.deepEqual(warnings(await start(test, {})), []);
  });

  it('does not start with a key that can be tried out; on this machine it warns', async (test) => {
    const here = await start(test, { API_KEYS: 'try-it' });
    assert.equal(warnings(here).length, 1);
    const there = new Server();
    Object.assign(there, { folder: here.folder, wrap: [], env: { ...here.env, HOST: '0.0.0.0', API_KEYS: `shop:short,mail:${KEY}` } });
    await here.end();
    there.spawn();
    assert.notEqual((await within(LIMIT, 'the end', there.exited)).code, 0);
    assert.match(there.log, /API_KEYS: .*shop/);
    assert.doesNotMatch(there.log, /mail|short,/);
  });
});

describe('how often somebody may be wrong', () => {
  const holder = useServer({ env: { RATE_LIMIT_LOGINS: '3', TRUSTED_PROXIES: '127.0.0.1', API_KEYS: KEY } });
  const from = (address) => ({ 'x-forwarded-for': address });
  const login = (name, password, address) => holder.server.api('POST', '/api/auth/login', { headers: from(address), body: { login: name, password } });
  const register = (username, address) => holder.server.api('POST', '/api/auth/register', { headers: from(address), body: { username, email: `${username}@example.org`, password: PASSWORD } });

  it('of an account over all addresses; of an address ten times as often; right ones do not count', async () => {
    const name = unique('ann');
    assert.equal((await register(name, '192.0.2.1')).status, 201);
    for (let times = 0; times < 9; times += 1) assert.equal((await login(name, PASSWORD, '192.0.2.2')).status, 200);
    for (let last = 3; last < 6; last += 1) assertHttpError(await login(name, 'wrong', `192.0.2.${last}`), 401, 'INVALID_CREDENTIALS');
    assertLimited(await login(name, 'wrong', '192.0.2.9'));
    const other = unique('bob');
    assert.equal((await register(other, '192.0.2.1')).status, 201);
    // A flood of unknown names from one network.
    const flood = await Promise.all(Array.from({ length: 60 }, (_, number) => login(unique('nobody'), 'wrong', `2001:db8::${number.toString(16)}`)));
    const statuses = flood.map(({ status }) => status);
    assert.equal(statuses.filter((status) => status === 401).length, 30);
    assert.equal(statuses.filter((status) => status === 429).length, 30);
    assert.equal((await login(other, PASSWORD, '192.0.2.7')).status, 200, 'others get in');
  });

  it('of registrations, taken or not, and of keys', async () => {
    const name = unique('cid');
    const statuses = [];
    for (let times = 0; times < 31; times += 1) statuses.push((await register(name, '192.0.2.20')).status);
    assert.deepEqual([statuses[0], statuses[29], statuses[30]], [201, 409, 429]);
    const ask = (key) => holder.server.api('GET', '/api/admin/stats', { headers: { ...from('192.0.2.30'), 'x-api-key': key } });
    for (let times = 0; times < 30; times += 1) assert.equal((await ask(`wrong-${times}`)).status, 401);
    assert.equal((await ask('wrong')).status, 429);
    assert.equal((await ask(KEY)).status, 200, 'the right one counts whatever was tried');
  });
});
