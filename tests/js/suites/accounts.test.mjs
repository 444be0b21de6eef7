// Two people register, log in and talk, with nothing configured.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { closeAfter, connect, refusal } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { useServer } from '../lib/server.mjs';

const PASSWORD = 'correct horse battery staple';

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
    const holder = useServer({ database, env: { AUTO_PROVISION_USERS: 'false', JWT_SECRET: undefined } });

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
  });
}
