// Guests: clients without a token, by a name of their choice.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { assertHttpError, people } from '../lib/chat.mjs';
import { open, refusal } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { PNG, tryUpload } from '../lib/files.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { newUser, sign } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const GUESTS = { ANONYMOUS_USERS: 'true' };

/** Lets a guest in; returns its client with what it was told of itself. */
async function come(test, server, auth, options = {}) {
  const client = open(server, { auth, ...options });
  test.after(() => client.close());
  await client.connected();
  client.guest = await client.next('guest');
  return client;
}

const say = (sender, recipient, content) => sender.succeed('send_direct_message', { recipientId: recipient.id, content });

for (const database of DATABASES) {
  describe(`guests, on ${database}`, () => {
    const holder = useServer({ database, env: GUESTS });

    it('come by a name, and come back by the token that they are given', async (test) => {
      const { server } = holder;
      const name = `ann ${Math.random()}`.slice(0, 20);
      const ann = await come(test, server, { username: name });
      assert.match(ann.guest.id, /^guest:[\w-]{20}$/);
      assert.equal(ann.guest.username, name);
      const bob = await come(test, server, { name: `${name}'s friend` });
      await say(ann, bob.guest, 'hello');
      const { message } = await bob.next('new_message');
      assert.deepEqual([message.content, message.sender._id, message.sender.username], ['hello', ann.guest.id, name]);
      ann.close();
      await say(bob, ann.guest, 'still there?');
      for (const key of ['token', 'sessionID']) {
        const again = await come(test, server, { [key]: ann.guest.token });
        assert.deepEqual([again.guest.id, again.guest.username], [ann.guest.id, name], key);
        if (key === 'token') assert.equal((await again.next('new_message')).message.content, 'still there?');
      }
    });

    it('find their names in the words of public front ends, or are Guest', async (test) => {
      const { server } = holder;
      const unique = (name) => `${name}-${Math.random().toString(36).slice(2)}`;
      for (const [options, expected] of [
        ...['username', 'name', 'userName', 'nickname', 'user'].map((key) => { const name = unique(key); return [{ auth: { [key]: name } }, name]; }),
        (() => { const name = unique('a b'); return [{ query: { username: name } }, name]; })(),
      ]) {
        const client = await come(test, server, options.auth, options);
        assert.equal(client.guest.username, expected);
      }
      for (const auth of [undefined, {}, { token: null }, { username: 7 }, { username: '  ' }, { username: 'model' }, { username: 'a\u202eb' }, { username: 'x@example.org' }]) {
        assert.match((await come(test, server, auth)).guest.username, /^Guest\d*$/, JSON.stringify(auth));
      }
    });

    it('never have the name of an account', async (test) => {
      const { server } = holder;
      const tag = Math.random().toString(36).slice(2, 8);
      const account = (username, fullName) => server.api('POST', '/api/auth/register', {
        body: { username, email: `${username.replaceAll(' ', '')}@example.org`, password: 'a long password', ...(fullName && { fullName }) },
      });
      assert.equal((await account(`ann ${tag}`, `Ann Lee ${tag}`)).status, 201);
      assert.equal((await come(test, server, { username: `ＡＮＮ  ${tag}` })).guest.username, `ＡＮＮ  ${tag}2`);
      assert.equal((await come(test, server, { username: `ann lee ${tag}` })).guest.username, `ann lee ${tag} (guest)`);
      const late = await come(test, server, { username: `mo ${tag}` });
      const profile = { token: late.guest.token, body: { fullName: `Ann Lee ${tag}`, avatar: 'http://example.org/a.png' } };
      assertHttpError(await server.api('PATCH', '/api/users/me', profile), 403, 'FORBIDDEN');
      // Who registers gets the name that a guest has; the guest is numbered.
      const guest = await come(test, server, { username: `zoe ${tag}` });
      assert.equal((await account(`zoe ${tag}`)).status, 201);
      const own = async () => (await server.api('GET', '/api/auth/me', { token: guest.guest.token })).body.user.username;
      const end = Date.now() + LIMIT;
      while (await own() !== `zoe ${tag}2`) {
        assert.ok(Date.now() < end, 'the guest is numbered');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    });
  });

  describe(`a guest who is gone, on ${database}`, () => {
    const holder = useServer({ database, env: { ...GUESTS, GUEST_TTL: '1s' } });

    it('cannot come back, and what it wrote stays under its name', async (test) => {
      const { server } = holder;
      const [bob] = await people(test, server, ['bob']);
      const stays = await come(test, server, { username: 'stays' });
      const ann = await come(test, server, { username: 'gone-by-then' });
      await say(ann, bob.user, 'I was here');
      const { token, id } = ann.guest;
      ann.close();
      const isGone = async () => {
        const error = await refusal(server, { auth: { token } }).catch(() => undefined);
        return error?.data?.code;
      };
      // Each try is a visit, so it is asked by the account and not by a CONNECT.
      const account = () => server.api('GET', '/api/auth/me', { token });
      const end = Date.now() + LIMIT;
      while ((await account()).status === 200) {
        assert.ok(Date.now() < end, 'the guest is gone');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      assert.equal(await isGone(), 'USER_NOT_FOUND');
      const { body } = await server.api('GET', '/api/conversations', { token: bob.user.token });
      const conversation = body.conversations[0];
      const history = await server.api('GET', `/api/conversations/${conversation.id}/messages`, { token: bob.user.token });
      const message = history.body.messages.find(({ content }) => content === 'I was here');
      assert.deepEqual([message.sender.id ?? message.sender._id, message.sender.username], [id, 'gone-by-then']);
      // Its name is free again, and who has a socket stays.
      assert.equal((await come(test, server, { username: 'gone-by-then' })).guest.username, 'gone-by-then');
      assert.equal((await server.api('GET', '/api/auth/me', { token: stays.guest.token })).status, 200);
    });
  });
}

describe('a guest', () => {
  const holder = useServer({ env: { ...GUESTS, API_KEYS: 'ops:a-key-that-is-long-enough-for-tests-0123456789' } });
  const KEY = { 'X-API-Key': 'a-key-that-is-long-enough-for-tests-0123456789' };

  it('may less than an account', async (test) => {
    const { server } = holder;
    const { guest: { id, token } } = await come(test, server, { username: 'stranger' });
    assertHttpError(await tryUpload(server, token, 'cat.png', PNG, 'image/png'), 403, 'FORBIDDEN');
    const search = await server.api('GET', `/api/users?query=${encodeURIComponent('@example')}`, { token });
    assert.deepEqual(search.body.users, [], 'nobody is found by an address');
    assertHttpError(await server.api('GET', '/api/admin/stats', { token }), 403, 'FORBIDDEN');
    assertHttpError(await server.api('PATCH', `/api/admin/users/${encodeURIComponent(id)}`, { headers: KEY, body: { role: 'admin' } }), 403, 'FORBIDDEN');
    const shown = await server.api('PATCH', `/api/admin/users/${encodeURIComponent(id)}`, { headers: KEY, body: { fullName: 'A stranger' } });
    assert.deepEqual([shown.status, shown.body.user.guest], [200, true], 'administrators see that it is one');
    // With AUTO_PROVISION_USERS members make those whom they write to.
    const client = open(server, { auth: { token } });
    test.after(() => client.close());
    await client.connected();
    await client.refused('NOT_FOUND', 'send_direct_message', { recipientId: 'somebody-who-never-came', content: 'hi' });
  });

  it('is made by nobody else', async () => {
    const { server } = holder;
    for (const user of ['guest:bob', `guest:${'a'.repeat(20)}`]) {
      const { data } = await refusal(server, { auth: { token: sign({ userId: user }) } });
      assert.equal(data.code, 'INVALID_TOKEN', user);
      assertHttpError(await server.api('POST', '/api/admin/users', { headers: KEY, body: { username: 'bob', id: user } }), 400, 'INVALID_PAYLOAD');
    }
    const { data } = await refusal(server, { auth: { token: 'no token' } });
    assert.equal(data.code, 'INVALID_TOKEN', 'a wrong token is no guest');
  });
});

describe('new guests', () => {
  it('are twenty a minute and address', async (test) => {
    const server = await Server.start({ env: GUESTS });
    test.after(() => server.remove());
    let last;
    for (let number = 1; number <= 20; number += 1) {
      last = await come(test, server, { username: `guest ${number}` });
    }
    const turnedAway = open(server, { auth: { username: 'one too many' } });
    test.after(() => turnedAway.close());
    // It is no refusal: stock clients come again by themselves.
    await within(LIMIT, 'the end of the connection', new Promise((resolve) => turnedAway.socket.io.engine.once('close', resolve)));
    assert.equal(turnedAway.socket.connected, false);
    await come(test, server, { token: last.guest.token });
    const [member] = await people(test, server, ['member']);
    assert.ok(member.socket.connected);
  });

  it('are refused where the setting is off, and so are those of before', async (test) => {
    const server = await Server.start({ env: GUESTS });
    test.after(() => server.remove());
    const { guest } = await come(test, server, { username: 'ann' });
    await server.end();
    delete server.env.ANONYMOUS_USERS;
    await server.launch();
    for (const [auth, code] of [[{ username: 'ann' }, 'NO_TOKEN'], [{ sessionID: guest.token }, 'NO_TOKEN'], [{ token: guest.token }, 'INVALID_TOKEN']]) {
      assert.equal((await refusal(server, { auth })).data.code, code);
    }
    assert.ok(newUser());
  });
});
