// The front ends' requests over HTTP.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { assertMessage, conversationHistory, makeGroup, people } from '../lib/chat.mjs';
import { open } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { PNG, upload } from '../lib/files.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { epoch, newUser, sign } from '../lib/token.mjs';

const NOWHERE = '01900000-0000-7000-8000-000000000000';

function assertError({ status, body }, expectedStatus, code, sentence) {
  assert.equal(status, expectedStatus, JSON.stringify(body));
  const { success, error, message, code: given } = body;
  assert.deepEqual([success, given], [false, code]);
  assert.equal(error, message);
  assert.ok(error.length > 0);
  if (sentence) assert.equal(error, sentence);
}

for (const database of DATABASES) {
  describe(`HTTP on ${database}`, () => {
    const holder = useServer({ database, env: { RATE_LIMIT_EVENTS: '0' } });

    it('a history is read page by page, in both directions', async (test) => {
      const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
      const ids = [];
      let conversationId;
      for (let index = 0; index < 7; index++) {
        const { message } = await alice.succeed('send_direct_message', { recipientId: bob.user.id, content: `${index}` });
        ids.push(message._id);
        ({ conversationId } = message);
      }
      const get = async (query) => {
        const { status, body } = await holder.server.api('GET', `/api/conversations/${conversationId}/messages?${query}`, { token: bob.user.token });
        assert.equal(status, 200, JSON.stringify(body));
        return body;
      };
      const newest = await get('limit=3');
      assert.deepEqual(newest.messages.map(({ _id }) => _id), ids.slice(4));
      const [{ seq, role, attachments, listingId, ...message }] = newest.messages;
      assert.deepEqual([seq, role, attachments, listingId], [5, 'user', [], null]);
      assertMessage(message, alice.user);
      const middle = await get(`limit=3&before=${newest.nextCursor}`);
      assert.deepEqual(middle.messages.map(({ _id }) => _id), ids.slice(1, 4));
      const oldest = await get(`limit=3&before=${middle.nextCursor}`);
      assert.deepEqual([oldest.messages.map(({ _id }) => _id), oldest.nextCursor], [ids.slice(0, 1), null]);
      const afterwards = await get(`limit=2&after=${middle.nextCursor}`);
      assert.deepEqual(afterwards.messages.map(({ _id }) => _id), ids.slice(2, 4));
      for (const query of ['limit=0', 'limit=-1', 'limit=many', 'before=%21%21', 'after=x']) {
        const path = `/api/conversations/${conversationId}/messages?${query}`;
        assertError(await holder.server.api('GET', path, { token: bob.user.token }), 400, 'INVALID_PAYLOAD');
      }
    });

    it('conversations: last active first, with what is unread', async (test) => {
      const [alice, bob, carol] = await people(test, holder.server, ['alice', 'bob', 'carol']);
      const group = await makeGroup(holder.server, alice, [bob, carol], 'Hikers');
      await alice.succeed('send_group_message', { conversationId: group, content: 'tomorrow?' });
      const { message } = await carol.succeed('send_direct_message', { recipientId: bob.user.id, content: 'psst' });
      const { body } = await holder.server.api('GET', '/api/conversations', { token: bob.user.token });
      assert.deepEqual(body.conversations.map(({ id, unreadCount }) => [id, unreadCount]), [[message.conversationId, 1], [group, 1]]);
      const { participants, lastMessage, ...rest } = body.conversations[1];
      assert.deepEqual([...participants].sort(), [alice, bob, carol].map(({ user }) => user.id).sort());
      assert.deepEqual([lastMessage.content, lastMessage.sender, lastMessage.messageType], ['tomorrow?', alice.user.id, 'text']);
      assert.deepEqual([rest.type, rest.name, rest.admin], ['group', 'Hikers', alice.user.id]);
      await bob.succeed('mark_as_read', { messageId: message._id });
      const { body: single } = await holder.server.api('GET', `/api/conversations/${message.conversationId}`, { token: bob.user.token });
      assert.deepEqual([single.conversation.type, single.conversation.unreadCount], ['direct', 0]);
    });

    it('a direct conversation is made once', async (test) => {
      const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
      const make = (from, to) => (
        holder.server.api('POST', '/api/conversations', { token: from.user.token, body: { type: 'direct', participantId: to.user.id } })
      );
      const [first, second] = [await make(alice, bob), await make(bob, alice)];
      assert.deepEqual([first.status, second.status], [201, 200]);
      assert.equal(first.body.conversation.id, second.body.conversation.id);
      const { message } = await alice.succeed('send_direct_message', { recipientId: bob.user.id, content: 'here' });
      assert.equal(message.conversationId, first.body.conversation.id);
    });

    it('users are found by a part of their name, without their e-mail address', async (test) => {
      const [alice, bob] = await people(test, holder.server, ['alice', 'Robert']);
      const { body } = await holder.server.api('GET', `/api/users?query=${bob.user.username.toUpperCase()}`, { token: alice.user.token });
      assert.deepEqual(body.users.map(({ id, isOnline }) => [id, isOnline]), [[bob.user.id, true]]);
      assert.ok(!('email' in body.users[0]));
      assertError(await holder.server.api('GET', '/api/users', { token: alice.user.token }), 400, 'INVALID_PAYLOAD');
      assertError(await holder.server.api('GET', '/api/users/nobody', { token: alice.user.token }), 404, 'NOT_FOUND');
    });

    it('what is not one\'s own is refused, what does not exist is not found', async (test) => {
      const [alice, bob, eve] = await people(test, holder.server, ['alice', 'bob', 'eve']);
      const { message } = await alice.succeed('send_direct_message', { recipientId: bob.user.id, content: 'ours' });
      const [conversation, one] = [`/api/conversations/${message.conversationId}`, `/api/messages/${message._id}`];
      const ask = (who, method, path, body) => holder.server.api(method, path, { token: who.user.token, body });
      for (const [method, path, body] of [
        ['GET', conversation], ['GET', `${conversation}/messages`], ['POST', `${conversation}/messages`, { content: 'x' }],
        ['PATCH', one, { content: 'x' }], ['DELETE', one], ['DELETE', conversation],
      ]) assertError(await ask(eve, method, path, body), 403, 'FORBIDDEN');
      assertError(await ask(bob, 'PATCH', one, { content: 'x' }), 403, 'FORBIDDEN');
      assertError(await ask(alice, 'DELETE', conversation), 403, 'FORBIDDEN');
      for (const path of [`/api/conversations/${NOWHERE}`, `/api/conversations/${NOWHERE}/messages`, '/api/conversations/nonsense']) {
        assertError(await ask(eve, 'GET', path), 404, 'NOT_FOUND');
      }
      assertError(await ask(eve, 'DELETE', `/api/messages/${NOWHERE}`), 404, 'NOT_FOUND');
      assert.equal((await conversationHistory(holder.server, bob.user.token, message.conversationId)).length, 1);
    });
  });
}

describe('HTTP around it', () => {
  const holder = useServer();

  it('tokens: none, bad, old; in the header or the cookie', async () => {
    const me = (options) => holder.server.api('GET', '/api/auth/me', options);
    assertError(await me(), 401, 'NO_TOKEN', 'No token');
    assertError(await me({ token: 'x' }), 401, 'INVALID_TOKEN', 'Invalid token');
    assertError(await me({ token: sign({ id: 'x', exp: epoch(-60) }) }), 401, 'TOKEN_EXPIRED', 'Invalid token');
    const user = newUser();
    assert.equal((await me({ token: user.token })).body.user.id, user.id);
    assert.equal((await me({ headers: { cookie: `token=${user.token}` } })).body.user.id, user.id);
  });

  it('a body that is no JSON, a path that is not there, a method that is not for it', async () => {
    const { token } = newUser();
    assertError(await holder.server.api('POST', '/api/auth/login', { body: '{"login":' }), 400, 'INVALID_PAYLOAD');
    assertError(await holder.server.api('POST', '/api/conversations', { token, body: '[]' }), 400, 'INVALID_PAYLOAD');
    assertError(await holder.server.api('GET', '/api/nothing', { token }), 404, 'NOT_FOUND');
    assertError(await holder.server.api('DELETE', '/api/auth/login', { token }), 405, 'METHOD_NOT_ALLOWED');
  });

  it('health', async (test) => {
    await people(test, holder.server, ['alice']);
    const { body } = await holder.server.api('GET', '/api/socket/health');
    assert.equal(body.status, 'ok');
    assert.equal(body.socket.initialized, true);
    assert.ok(body.socket.connected >= 1);
    assert.equal(typeof body.socket.rooms, 'number');
    for (const path of ['/healthz', '/readyz']) assert.equal((await holder.server.api('GET', path)).status, 200);
  });

  it('an upload is served by its link, with its name, in ranges', async () => {
    const { file } = await upload(holder.server, newUser().token, 'façade.png', PNG);
    const whole = await fetch(holder.server.url + file.url);
    assert.deepEqual(Buffer.from(await whole.arrayBuffer()), PNG);
    assert.equal(whole.headers.get('content-type'), 'image/png');
    assert.equal(whole.headers.get('x-content-type-options'), 'nosniff');
    assert.match(whole.headers.get('content-disposition'), /^inline;.*filename\*=UTF-8''fa%C3%A7ade\.png/);
    const part = await fetch(holder.server.url + file.url, { headers: { range: 'bytes=1-3' } });
    assert.equal(part.status, 206);
    assert.equal(await part.text(), 'PNG');
    const again = await fetch(holder.server.url + file.url, { headers: { 'if-none-match': whole.headers.get('etag') } });
    assert.equal(again.status, 304);
    for (const path of ['/uploads/none.png', '/uploads/..%2fparlance.db', '/uploads/%2e%2e/secret']) {
      assert.ok([400, 404].includes((await holder.server.api('GET', path)).status), path);
    }
  });
});

describe('origins', () => {
  const holder = useServer({ env: { CLIENT_URL: 'https://chat.example.org' } });
  const ours = { origin: 'https://chat.example.org' };
  const foreign = { origin: 'https://elsewhere.example' };

  it('an allowed one gets its headers, on errors too', async () => {
    for (const path of ['/healthz', '/api/auth/me', '/socket.io/?EIO=4&transport=polling']) {
      const { headers } = await holder.server.api('GET', path, { headers: ours });
      assert.equal(headers.get('access-control-allow-origin'), ours.origin, path);
      assert.equal(headers.get('access-control-allow-credentials'), 'true', path);
      assert.match(headers.get('vary') ?? '', /origin/i, path);
    }
    const asked = { ...ours, 'access-control-request-method': 'PATCH', 'access-control-request-headers': 'x-requested-with,authorization' };
    const preflight = await holder.server.api('OPTIONS', '/api/users/me', { headers: asked });
    assert.equal(preflight.status, 204);
    assert.match(preflight.headers.get('access-control-allow-methods'), /PATCH/);
    assert.match(preflight.headers.get('access-control-allow-headers'), /x-requested-with/i);
    assert.equal(preflight.headers.get('access-control-max-age'), '600');
  });

  it('a foreign one may look at what is public, and shake no hands', async (test) => {
    const plain = await holder.server.api('GET', '/healthz', { headers: foreign });
    assert.deepEqual([plain.status, plain.headers.get('access-control-allow-origin')], [200, null]);
    const login = await holder.server.api('POST', '/api/auth/login', { headers: foreign, body: { login: 'x', password: 'y' } });
    assert.equal(login.status, 403);
    const handshake = await holder.server.api('GET', '/socket.io/?EIO=4&transport=polling', { headers: foreign });
    assert.deepEqual([handshake.status, handshake.body.code], [403, 4]);
    for (const transport of ['polling', 'websocket']) {
      const client = open(holder.server, { auth: { token: newUser().token }, transport, extraHeaders: foreign });
      test.after(() => client.close());
      await assert.rejects(client.connected());
      const friend = open(holder.server, { auth: { token: newUser().token }, transport, extraHeaders: ours });
      test.after(() => friend.close());
      await friend.connected();
    }
  });
});

describe('the client for browsers', () => {
  const dist = fileURLToPath(new URL('../node_modules/sio48/dist/', import.meta.url));
  const holder = useServer({ env: { CLIENT_FILES: dist } });
  const without = useServer({ env: { SOCKET_PATH: '/chat/socket' } });
  const get = (path, options) => fetch(`${holder.server.url}/socket.io/${path}`, options);

  for (const name of readdirSync(dist).filter((file) => /\.js(\.map)?$/.test(file))) {
    it(name, async () => {
      const answer = await get(name);
      assert.equal(answer.status, 200);
      assert.equal(await answer.text(), readFileSync(join(dist, name), 'utf8'));
      assert.equal(answer.headers.get('content-type'), name.endsWith('.map') ? 'application/json' : 'application/javascript; charset=utf-8');
      assert.equal(answer.headers.get('cache-control'), 'public, max-age=0');
      const again = await get(name, { headers: { 'if-none-match': answer.headers.get('etag') } });
      assert.equal(again.status, 304);
    });
  }

  it('stands beside the endpoint, and is all that is shown of the folder', async (test) => {
    assert.deepEqual([(await get('socket.io.js', { method: 'POST' })).status, (await get('socket.io.js', { method: 'HEAD' })).status], [405, 200]);
    for (const path of ['package.json', '..%2fpackage.json', 'socket.io.js/..%2f..%2fpackage.json']) {
      assert.equal((await (await get(path)).json()).code, 0, `${path} is asked of the endpoint: unknown transport`);
    }
    await people(test, holder.server, ['alice']);
  });

  it('without the folder the answer says how it is had', async () => {
    const answer = await without.server.api('GET', '/chat/socket/socket.io.min.js');
    assertError(answer, 404, 'NOT_FOUND');
    assert.match(answer.body.error, /CLIENT_FILES/);
  });

  it('a folder without a client ends the start, and says why', async () => {
    const started = async () => (await Server.start({ env: { CLIENT_FILES: '/' } })).remove();
    await assert.rejects(started, /CLIENT_FILES: no socket\.io\.js in \//);
  });
});
