// Two people register, log in and talk, with nothing configured.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';

import { assertHttpError } from '../lib/chat.mjs';
import { closeAfter, connect, refusal } from '../lib/client.mjs';
import { DATABASES, runSql } from '../lib/database.mjs';
import { BINARY, useServer } from '../lib/server.mjs';

const PASSWORD = 'correct horse battery staple';
const KEY = 'the-key-of-a-server';
/** Hashes of `correct horse battery`, as other systems have them. */
const BCRYPT = {
  laura: '$2b$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS',
  mona: '$2y$05$abcdefghijklmnopqrstuuD3mHdCr44zlIZ.VZCaYRpfQhXMYnEo.',
};

async function register(server, username) {
  const answer = await server.api('POST', '/api/auth/register', { body: { username, email: `${username}@example.org`, password: PASSWORD } });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  assert.equal(answer.body.success, true);
  const { user, token, expiresAt } = answer.body;
  assert.equal(user.username, username);
  assert.equal(user.email, `${username}@example.org`);
  assert.ok(Date.parse(expiresAt) > Date.now());
  const cookie = answer.headers.get('set-cookie');
  assert.match(cookie, /^token=[^;]+;/);
  assert.match(cookie, /HttpOnly/i);
  assert.match(cookie, /SameSite=Lax/i);
  return { id: user.id, username, token };
}

for (const database of DATABASES) {
  describe(`accounts on ${database}`, () => {
    const holder = useServer({ database, env: { AUTO_PROVISION_USERS: 'false', JWT_SECRET: undefined, API_KEYS: KEY, RATE_LIMIT_EVENTS: '0', RATE_LIMIT_LOGINS: '0' } });

    it('register, connect, talk', async (test) => {
      const alice = await connect(holder.server, await register(holder.server, 'alice'));
      const bob = await connect(holder.server, await register(holder.server, 'bob'));
      closeAfter(test, alice, bob);
      await alice.succeed('send_direct_message', { recipientId: bob.user.id, content: 'hello' });
      const { message } = await bob.next('new_message');
      assert.equal(message.content, 'hello');
      assert.deepEqual(message.sender, { _id: alice.user.id, username: 'alice', avatar: null });
      const refused = await alice.refused('NOT_FOUND', 'send_direct_message', { recipientId: 'nobody', content: 'hello' });
      assert.equal(refused.error, 'User not found');
    });

    it('a name is taken once, in whatever case', async () => {
      await register(holder.server, 'Carol');
      const again = await holder.server.api('POST', '/api/auth/register', {
        body: { username: 'cAROL', email: 'other@example.org', password: PASSWORD },
      });
      assert.equal(again.status, 409);
      assert.equal(again.body.code, 'CONFLICT');
    });

    it('login by name and by e-mail; wrong name and wrong password look the same', async () => {
      const dora = await register(holder.server, 'dora');
      const login = (login, password) => holder.server.api('POST', '/api/auth/login', { body: { login, password } });
      for (const name of ['dora', 'dora@example.org']) {
        const { status, body } = await login(name, PASSWORD);
        assert.equal(status, 200, JSON.stringify(body));
        assert.equal(body.user.id, dora.id);
      }
      for (const name of [{ username: 'dora' }, { email: 'dora@example.org' }]) {
        assert.equal((await holder.server.api('POST', '/api/auth/login', { body: { ...name, password: PASSWORD } })).status, 200);
      }
      const { status: without, body: missing } = await holder.server.api('POST', '/api/auth/login', { body: { password: PASSWORD } });
      assert.deepEqual([without, missing.error], [400, 'login is required: a username or an e-mail address']);
      const wrong = [await login('dora', 'wrong password'), await login('nobody', PASSWORD)];
      for (const { status, body } of wrong) {
        assert.equal(status, 401);
        assert.equal(body.code, 'INVALID_CREDENTIALS');
      }
      assert.deepEqual(wrong[0].body, wrong[1].body);
    });

    it('a new password ends the other logins', async (test) => {
      const user = await register(holder.server, 'erin');
      const elsewhere = await holder.server.api('POST', '/api/auth/login', { body: { login: 'erin', password: PASSWORD } });
      const [here, there] = [await connect(holder.server, user), await connect(holder.server, { ...user, token: elsewhere.body.token })];
      closeAfter(test, here, there);
      const changed = await holder.server.api('POST', '/api/auth/password', {
        token: user.token, body: { oldPassword: PASSWORD, newPassword: 'another long password' },
      });
      assert.equal(changed.status, 200, JSON.stringify(changed.body));
      assert.equal(await there.disconnected(), 'io server disconnect');
      const error = await refusal(holder.server, { auth: { token: elsewhere.body.token } });
      assert.equal(error.data.code, 'INVALID_TOKEN');
      const me = await holder.server.api('GET', '/api/auth/me', { token: user.token });
      assert.equal(me.status, 200);
      assert.equal(me.body.user.username, 'erin');
      assert.ok(here.socket.connected);
    });

    const login = (login, password) => holder.server.api('POST', '/api/auth/login', { body: { login, password } });
    const asServer = (method, path, body) => holder.server.api(method, path, { headers: { 'x-api-key': KEY }, body });

    it('one changes what one logs in with by the present password, and what one shows without', async (test) => {
      const { server } = holder;
      const user = await register(server, 'frida');
      const other = await register(server, 'greta');
      const patch = (body) => server.api('PATCH', '/api/users/me', { token: user.token, body });
      const shown = await patch({ fullName: 'Frida K', avatar: '', nickname: 'F', isAdmin: true });
      assert.equal(shown.status, 200, JSON.stringify(shown.body));
      assert.deepEqual([shown.body.user.fullName, shown.body.ignored], ['Frida K', ['isAdmin', 'nickname']]);
      for (const body of [{ username: 'frieda' }, { email: 'f@example.org' }, { password: 'another long password' }]) {
        assertHttpError(await patch(body), 400, 'INVALID_PAYLOAD');
        assertHttpError(await patch({ ...body, oldPassword: 'not this one' }), 401, 'INVALID_CREDENTIALS');
      }
      for (const [body, field] of [
        [{ username: 'a'.repeat(65) }, 'username'], [{ username: 7 }, 'username'], [{ email: 'nobody' }, 'email'], [{ password: 'short' }, 'password'],
        [{ fullName: '\u202e' }, 'fullName'], [{ username: 'greta@example.org' }, 'username'],
      ]) {
        const { status, body: answer } = await patch({ ...body, oldPassword: PASSWORD });
        assert.deepEqual([status, answer.error.startsWith(`Invalid ${field}`)], [400, true], JSON.stringify(answer));
      }
      for (const body of [{ username: 'GRETA' }, { email: 'Greta@example.org' }]) assertHttpError(await patch({ ...body, oldPassword: PASSWORD }), 409, 'CONFLICT');
      const elsewhere = await connect(server, { ...user, token: (await login('frida', PASSWORD)).body.token });
      closeAfter(test, elsewhere);
      const changed = await patch({ username: 'frieda', email: 'frieda@example.org', password: 'another long password', oldPassword: PASSWORD });
      assert.equal(changed.status, 200, JSON.stringify(changed.body));
      assert.deepEqual([changed.body.user.username, changed.body.user.email, changed.body.ignored], ['frieda', 'frieda@example.org', undefined]);
      assert.equal(await elsewhere.disconnected(), 'io server disconnect');
      assert.equal((await server.api('GET', '/api/auth/me', { token: user.token })).status, 200);
      assertHttpError(await login('frida', 'another long password'), 401, 'INVALID_CREDENTIALS');
      assert.equal((await login('frieda@example.org', 'another long password')).status, 200);
      // Others see it in what is said next.
      const [here, there] = [await connect(server, user), await connect(server, other)];
      closeAfter(test, here, there);
      await here.succeed('send_direct_message', { recipientId: other.id, content: 'hello' });
      assert.equal((await there.next('new_message')).message.sender.username, 'frieda');
    });

    it('administrators and servers make and change accounts', async (test) => {
      const { server } = holder;
      const made = await asServer('POST', '/api/admin/users', {
        id: 'auth0|5f7c', username: 'hanna', email: 'hanna@example.org', fullName: 'Hanna H', password: PASSWORD, role: 'admin',
      });
      assert.equal(made.status, 201, JSON.stringify(made.body));
      assert.deepEqual(made.body.user, {
        id: 'auth0|5f7c', username: 'hanna', fullName: 'Hanna H', avatar: null, email: 'hanna@example.org', role: 'admin', disabled: false, guest: false,
      });
      for (const body of [{ id: 'auth0|5f7c', username: 'other' }, { username: 'Hanna' }, { username: 'other', email: 'hanna@example.org' }]) {
        assertHttpError(await asServer('POST', '/api/admin/users', body), 409, 'CONFLICT');
      }
      for (const body of [{}, { username: '' }, { username: 'x', role: 'king' }, { username: 'x', id: 'a\nb' }, { username: 'x', passwordHash: 'abc' }]) {
        assertHttpError(await asServer('POST', '/api/admin/users', body), 400, 'INVALID_PAYLOAD');
      }
      const { token } = (await login('hanna', PASSWORD)).body;
      const hanna = await connect(server, { id: 'auth0|5f7c', token });
      closeAfter(test, hanna);
      const path = `/api/admin/users/${encodeURIComponent('auth0|5f7c')}`;
      for (const body of [{ disabled: true }, { role: 'user' }]) {
        assertHttpError(await server.api('PATCH', path, { token, body }), 403, 'FORBIDDEN');
      }
      const changed = await asServer('PATCH', path, { username: 'johanna', email: '', role: 'user', colour: 'red' });
      assert.deepEqual([changed.body.user.username, changed.body.user.email, changed.body.user.role, changed.body.ignored], ['johanna', null, 'user', ['colour']]);
      assertHttpError(await server.api('GET', '/api/admin/stats', { token }), 403, 'FORBIDDEN');
      assertHttpError(await asServer('PATCH', path, { disabled: 'yes' }), 400, 'INVALID_PAYLOAD');
      assertHttpError(await asServer('PATCH', '/api/admin/users/nobody', { disabled: true }), 404, 'NOT_FOUND');
      assert.equal((await asServer('PATCH', path, { password: 'a new long password' })).status, 200);
      assert.equal(await hanna.disconnected(), 'io server disconnect');
      assert.equal((await login('johanna', 'a new long password')).status, 200);
      assert.equal((await asServer('PATCH', path, { disabled: true })).body.user.disabled, true);
      assertHttpError(await login('johanna', 'a new long password'), 401, 'ACCOUNT_DISABLED');
    });

    it('hashes of bcrypt are taken along, and made anew at the login', async () => {
      const { server } = holder;
      for (const [name, passwordHash] of Object.entries(BCRYPT)) {
        const hash = () => runSql(server, `SELECT 'hash ' || password_hash FROM users WHERE username = '${name}'`);
        assert.equal((await asServer('POST', '/api/admin/users', { username: name, passwordHash })).status, 201);
        assert.ok(hash().includes(passwordHash));
        assertHttpError(await login(name, 'correct horse'), 401, 'INVALID_CREDENTIALS');
        assert.ok(hash().includes(passwordHash));
        for (let time = 0; time < 2; time++) assert.equal((await login(name, 'correct horse battery')).status, 200);
        assert.match(hash(), /hash \$argon2id\$/);
      }
    });

    it('one sees where one is logged in, and ends it there', async (test) => {
      const { server } = holder;
      const user = await register(server, 'ida');
      const other = await register(server, 'jana');
      const phone = await server.api('POST', '/api/auth/login', { headers: { 'user-agent': 'Phone/1' }, body: { login: 'ida', password: PASSWORD } });
      const client = await connect(server, { ...user, token: phone.body.token });
      closeAfter(test, client);
      const list = async (token) => (await server.api('GET', '/api/users/me/sessions', { token })).body.sessions;
      const sessions = await list(user.token);
      assert.deepEqual(sessions.map(({ userAgent, isCurrent }) => [userAgent === 'Phone/1', isCurrent]), [[true, false], [false, true]]);
      const [{ id, startedAt, lastUsedAt, expiresAt, address }] = sessions;
      assert.ok(Date.parse(expiresAt) > Date.parse(startedAt) && lastUsedAt >= startedAt);
      assert.match(address, /^(127\.|::1)/);
      assertHttpError(await server.api('DELETE', `/api/users/me/sessions/${id}`, { token: other.token }), 404, 'NOT_FOUND');
      assert.equal((await server.api('DELETE', `/api/users/me/sessions/${id}`, { token: user.token })).status, 200);
      assert.equal(await client.disconnected(), 'io server disconnect');
      assertHttpError(await server.api('GET', '/api/auth/me', { token: phone.body.token }), 401, 'INVALID_TOKEN');
      assert.deepEqual((await list(user.token)).map(({ isCurrent }) => isCurrent), [true]);
      const refreshed = await server.api('POST', '/api/auth/refresh', { token: user.token });
      const [again, ...others] = await list(refreshed.body.token);
      assert.deepEqual([again.id, again.isCurrent, others], [sessions[1].id, true, []]);
      assert.ok(again.lastUsedAt > sessions[1].lastUsedAt);
      await server.api('POST', '/api/auth/logout', { token: user.token });
      const { token } = (await login('ida', PASSWORD)).body;
      assert.equal((await list(token)).length, 1);
    });

    it('the operator sets a password that was forgotten', async (test) => {
      const { server } = holder;
      const user = await connect(server, await register(server, 'karla'));
      closeAfter(test, user);
      const set = (name, input) => execFileSync(BINARY, ['user', 'password', name], { env: server.env, cwd: server.folder, input, encoding: 'utf8', stdio: 'pipe' });
      assert.throws(() => set('karla', 'short\n'), /8 to 1024/);
      assert.throws(() => set('nobody', 'a new long password\n'), /no user/);
      assert.match(set('karla@example.org', 'a new long password\n'), /karla has a new password/);
      assert.equal(await user.disconnected(), 'io server disconnect');
      assert.equal((await login('karla', 'a new long password')).status, 200);
      assertHttpError(await login('karla', PASSWORD), 401, 'INVALID_CREDENTIALS');
    });
  });
}
