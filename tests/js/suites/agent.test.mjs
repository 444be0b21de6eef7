// The `agent` front end (seed 003): what its document shows, event by event, and what is not shown there.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { agents, assertReceived, assertRefused, dataOf, fetchList, isId, newAgent, participant } from '../lib/agent.mjs';
import { assertTime, makeGroup } from '../lib/chat.mjs';
import { assertRefusal, closeAfter, connect, open } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { PNG, upload } from '../lib/files.mjs';
import { OUTAGES } from '../lib/outage.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { LIMIT } from '../lib/wait.mjs';

/** How a connection comes to speak `agent`. */
const MODES = {
  alone: { env: { DIALECTS: 'agent' } },
  pinned: { dialect: 'agent' },
  learned: {},
};

const NOWHERE = '01900000-0000-7000-8000-000000000000';
const DOCUMENT = '/app/get-connection-id';

for (const database of DATABASES) {
  for (const [mode, { env = {}, dialect }] of Object.entries(MODES)) {
    describe(`agent, ${mode}, on ${database}`, () => {
      const holder = useServer({ database, env });
      for (const transport of ['polling', 'websocket']) {
        it(`does what the front end's document shows over ${transport}`, (test) => document(test, holder.server, { transport, dialect }));
      }
    });
  }

  describe(`agent's finer points on ${database}`, () => {
    const holder = useServer({ database });
    const pinned = { dialect: 'agent' };

    it('acks hold the envelope, and the event comes as well', async (test) => {
      const [alice, bob] = await agents(test, holder.server, ['alice', 'bob'], pinned);
      for (const resource of ['connection', 'conversation']) {
        const ack = await alice.ask(`${resource}:get`, {});
        assert.deepEqual(await alice.next(`${resource}:receive`), ack);
      }
      const ack = await alice.ask('message:send', { conversationId: 'conv_1', targetUserId: bob.user.id, content: 'hi' });
      assertReceived(ack, alice.user, { conversationId: 'conv_1', content: 'hi' });
      assert.deepEqual(await alice.next('message:receive'), ack);
    });

    it('reaches all devices of both, each by the own name', async (test) => {
      const [alice, bob] = await agents(test, holder.server, ['alice', 'bob'], pinned);
      const phone = await connect(holder.server, alice.user, pinned);
      const tablet = await connect(holder.server, bob.user, pinned);
      closeAfter(test, phone, tablet);
      const hear = async (from, content, names) => {
        const ids = new Set();
        for (const [client, conversationId] of names) {
          ids.add(assertReceived(await client.next('message:receive'), from.user, { conversationId, content }));
        }
        assert.equal(ids.size, 1);
      };
      alice.tell('message:send', { targetUserId: bob.user.id, content: 'no name yet' });
      const { conversationId: id } = dataOf(await bob.next('message:receive'));
      assert.ok(isId(id));
      await hear(alice, 'no name yet', [[alice, id], [phone, id], [tablet, id]]);
      phone.tell('message:send', { conversationId: 'one', targetUserId: bob.user.id, content: 'one' });
      await hear(alice, 'one', [[alice, 'one'], [phone, 'one'], [bob, id], [tablet, id]]);
      bob.tell('message:send', { conversationId: 'his', targetUserId: alice.user.id, content: 'his' });
      await hear(bob, 'his', [[alice, 'one'], [phone, 'one'], [bob, 'his'], [tablet, 'his']]);
      alice.tell('message:send', { conversationId: 'two', targetUserId: bob.user.id, content: 'two' });
      await hear(alice, 'two', [[alice, 'two'], [phone, 'two'], [bob, 'his'], [tablet, 'his']]);
      for (const name of ['one', 'two', id]) {
        alice.tell('message:send', { conversationId: name, content: `by ${name}` });
        await hear(alice, `by ${name}`, [[alice, 'two'], [phone, 'two'], [bob, 'his'], [tablet, 'his']]);
      }
      const [listed] = await fetchList(alice, 'conversation');
      assert.equal(listed._id, 'two');
    });

    it('group messages, with the group\'s id', async (test) => {
      const [alice, bob, carol] = await agents(test, holder.server, ['alice', 'bob', 'carol'], pinned);
      const group = await makeGroup(holder.server, alice, [bob, carol], 'Agents');
      for (const payload of [{ conversationId: group }, { conversationId: group, targetUserId: carol.user.id }]) {
        bob.tell('message:send', { ...payload, content: 'all of you' });
        for (const client of [alice, bob, carol]) {
          assertReceived(await client.next('message:receive'), bob.user, { conversationId: group, content: 'all of you' });
        }
      }
      const [{ createdAt, updatedAt, lastMessage, ...listed }] = await fetchList(alice, 'conversation');
      [createdAt, updatedAt, lastMessage.timestamp].forEach(assertTime);
      assert.deepEqual(listed, {
        _id: group, type: 'group', name: 'Agents', avatar: null, unreadCount: 2,
        participants: [alice, bob, carol].map(({ user }) => participant(user)),
      });
    });

    it('attachments travel as they were uploaded, and as files to others', async (test) => {
      const [alice, bob] = await agents(test, holder.server, ['alice', 'bob'], pinned);
      const other = await connect(holder.server, bob.user, { dialect: 'messenger' });
      closeAfter(test, other);
      const { file: one } = await upload(holder.server, alice.user.token, 'one.png', PNG);
      const { file: two } = await upload(holder.server, alice.user.token, 'two.png', PNG);
      alice.tell('message:send', { conversationId: 'files', targetUserId: bob.user.id, attachments: [{ url: one.url, size: -1 }, two] });
      const data = { conversationId: 'files', content: '', attachments: [one, two] };
      assertReceived(await alice.next('message:receive'), alice.user, data);
      const { conversationId } = dataOf(await bob.next('message:receive'));
      const { message } = await other.next('new_message');
      assert.deepEqual([message.file, message.content, message.conversationId], [one, two.url, conversationId]);
      await other.succeed('send_direct_message', { recipientId: alice.user.id, file: (await upload(holder.server, bob.user.token, 'back.png', PNG)).file });
      const back = dataOf(await alice.next('message:receive'));
      assert.deepEqual([back.attachments.map(({ filename }) => filename), back.content], [['back.png'], '']);
    });

    it('edits and deletions', async (test) => {
      const [alice, bob] = await agents(test, holder.server, ['alice', 'bob'], pinned);
      const { data } = await alice.ask('message:send', { conversationId: 'conv_1', targetUserId: bob.user.id, content: 'frist' });
      const { conversationId } = dataOf(await bob.next('message:receive'));
      const path = `/api/messages/${data._id}`;
      const edited = await holder.server.api('PATCH', path, { token: alice.user.token, body: { content: 'first' } });
      assert.equal(edited.status, 200);
      for (const [client, name] of [[alice, 'conv_1'], [bob, conversationId]]) {
        const envelope = await client.next('message:updated');
        const { updatedAt, ...shown } = dataOf(envelope);
        assertTime(updatedAt);
        assert.equal(envelope.timestamp, updatedAt);
        assert.deepEqual(shown, { ...data, content: 'first', conversationId: name });
      }
      const deleted = await holder.server.api('DELETE', path, { token: alice.user.token });
      assert.equal(deleted.status, 200);
      for (const [client, name] of [[alice, 'conv_1'], [bob, conversationId]]) {
        assert.deepEqual(dataOf(await client.next('message:deleted')), { _id: data._id, conversationId: name });
      }
    });

    it('what was missed comes at the connect, by the own name', async (test) => {
      const [alice] = await agents(test, holder.server, ['alice'], pinned);
      const user = newAgent('bob');
      const first = await connect(holder.server, user, pinned);
      first.tell('message:send', { conversationId: 'from afar', targetUserId: alice.user.id, content: 'bye' });
      await first.next('message:receive');
      first.close();
      await first.disconnected();
      for (const content of ['one', 'two']) {
        const ack = await alice.ask('message:send', { targetUserId: user.id, content });
        dataOf(ack);
      }
      const back = await connect(holder.server, user, pinned);
      closeAfter(test, back);
      for (const content of ['one', 'two']) {
        assertReceived(await back.next('message:receive'), alice.user, { conversationId: 'from afar', content });
      }
    });

    it('a repeat with the same clientMessageId is confirmed again, and shown to nobody else', async (test) => {
      const [alice, bob] = await agents(test, holder.server, ['alice', 'bob'], pinned);
      const payload = { conversationId: 'conv_1', targetUserId: bob.user.id, content: 'once', clientMessageId: 'c1' };
      alice.tell('message:send', payload);
      const first = await alice.next('message:receive');
      alice.tell('message:send', payload);
      assert.deepEqual(await alice.next('message:receive'), first);
      alice.tell('message:send', { ...payload, content: 'other' });
      assertRefused(await alice.next('message:receive'), 'CONFLICT');
      dataOf(await alice.ask('message:send', { targetUserId: bob.user.id, content: 'marker' }));
      const heard = [await bob.next('message:receive'), await bob.next('message:receive')];
      assert.deepEqual(heard.map(({ data }) => data.content), ['once', 'marker']);
    });

    it('a row for each socket', async (test) => {
      const [alice, bob] = await agents(test, holder.server, ['alice', 'bob'], pinned);
      const second = await connect(holder.server, bob.user, pinned);
      closeAfter(test, second);
      const rows = await connectionsOf(alice);
      for (const client of [alice, bob, second]) {
        assert.ok(rows.some((row) => row.userId === client.user.id && row.socketId === client.socket.id));
      }
      assert.ok(rows.every((row) => JSON.stringify(Object.keys(row).sort()) === '["socketId","userId"]'), JSON.stringify(rows));
    });

    it('an undetermined connection hears all dialects, and after its first word only agent', async (test) => {
      const [alice, bob] = await agents(test, holder.server, ['alice', 'bob']);
      alice.tell('message:send', { targetUserId: bob.user.id, content: 'before' });
      assertReceived(await bob.next('message:receive'), alice.user, { conversationId: dataOf(await alice.next('message:receive')).conversationId, content: 'before' });
      await bob.next('new_message');
      await fetchList(bob, 'conversation');
      bob.inbox.length = 0;
      alice.tell('message:send', { targetUserId: bob.user.id, content: 'after' });
      await bob.next('message:receive');
      await fetchList(bob, 'conversation');
      assert.deepEqual(bob.inbox, []);
      assert.deepEqual(alice.told('new_message'), []);
    });
  });

  describe(`agent's refusals on ${database}`, () => {
    const holder = useServer({ database, env: { MAX_MESSAGE_LENGTH: '100', STRICT_EVENTS: 'true' } });

    it('come in the answer\'s envelope, or in the ack alone, and close nothing', async (test) => {
      const [alice, bob, carol] = await agents(test, holder.server, ['alice', 'bob', 'carol'], { dialect: 'agent' });
      const strangers = await makeGroup(holder.server, bob, [carol]);
      const { file } = await upload(holder.server, bob.user.token, 'his.png', PNG);
      dataOf(await alice.ask('message:send', { conversationId: 'known', targetUserId: bob.user.id, content: 'hi', clientMessageId: 'used' }));
      await alice.next('message:receive');
      await bob.next('message:receive');
      const to = { conversationId: 'known' };
      const long = 'x'.repeat(201);
      for (const [payload, code, sentence] of [
        [undefined, 'INVALID_PAYLOAD', 'Invalid conversationId'],
        [null, 'INVALID_PAYLOAD', 'Invalid conversationId'],
        ['hello', 'INVALID_PAYLOAD', 'Invalid payload'],
        [[], 'INVALID_PAYLOAD', 'Invalid payload'],
        [{ content: 'where?' }, 'INVALID_PAYLOAD', 'Invalid conversationId'],
        [{ conversationId: '', content: 'x' }, 'INVALID_PAYLOAD', 'Invalid conversationId'],
        [{ conversationId: long, content: 'x' }, 'INVALID_PAYLOAD', 'Invalid conversationId'],
        [{ conversationId: 1.5, content: 'x' }, 'INVALID_PAYLOAD', 'Invalid conversationId'],
        [{ targetUserId: 'with space', content: 'x' }, 'INVALID_PAYLOAD', 'Invalid targetUserId'],
        [{ ...to, targetUserId: carol.user.id, content: 'x' }, 'INVALID_PAYLOAD', 'Invalid targetUserId'],
        [to, 'INVALID_PAYLOAD', 'Invalid content'],
        [{ ...to, content: '' }, 'INVALID_PAYLOAD', 'Invalid content'],
        [{ ...to, content: 'nul \0' }, 'INVALID_PAYLOAD', 'Invalid content'],
        [{ ...to, content: 'x', attachments: 'a.png' }, 'INVALID_PAYLOAD', 'Invalid attachments'],
        [{ ...to, content: 'x', attachments: Array(21).fill(file) }, 'INVALID_PAYLOAD', 'Invalid attachments'],
        [{ ...to, content: 'x', attachments: [file] }, 'FORBIDDEN', 'Not allowed'],
        [{ ...to, content: 'x', attachments: [{ url: '/uploads/none-none-none-none.png' }] }, 'NOT_FOUND', 'File not found'],
        [{ conversationId: 'unknown', content: 'x' }, 'NOT_FOUND', 'Conversation not found'],
        [{ conversationId: NOWHERE, content: 'x' }, 'NOT_FOUND', 'Conversation not found'],
        [{ conversationId: strangers, content: 'x' }, 'FORBIDDEN', 'Not a member'],
        [{ conversationId: strangers, targetUserId: bob.user.id, content: 'x' }, 'FORBIDDEN', 'Not a member'],
        [{ ...to, content: 'x'.repeat(101) }, 'TOO_LARGE', 'Too large: the text is too long'],
        [{ ...to, content: 'other', clientMessageId: 'used' }, 'CONFLICT', 'This clientMessageId was used for another message'],
      ]) {
        const args = payload === undefined ? [] : [payload];
        alice.tell('message:send', ...args);
        assert.equal(assertRefused(await alice.next('message:receive'), code), sentence, JSON.stringify(payload));
        const ack = await alice.ask('message:send', ...args);
        assert.equal(assertRefused(ack, code), sentence, JSON.stringify(payload));
      }
      for (const resource of ['notification', 'connection', 'conversation']) {
        alice.tell(`${resource}:get`, []);
        assert.equal(assertRefused(await alice.next(`${resource}:receive`), 'INVALID_PAYLOAD'), 'Invalid payload');
      }
      alice.tell('message:typing', {});
      const unknown = await alice.next('error');
      assert.deepEqual(unknown, { message: 'Unknown event', error: 'Unknown event', code: 'UNKNOWN_EVENT', event: 'message:typing' });
      assertRefusal(await alice.ask('message:typing', {}), 'UNKNOWN_EVENT');
      dataOf(await alice.ask('message:send', { ...to, content: 'still here' }));
      assert.equal(dataOf(await bob.next('message:receive')).content, 'still here');
      assert.deepEqual(bob.inbox, [], 'nobody has seen what was refused');
    });

    it('without provisioning, an unknown target is refused', async (test) => {
      const server = await Server.start({ database, env: { AUTO_PROVISION_USERS: 'false', DIALECTS: 'agent' } });
      test.after(() => server.remove());
      const { status, body } = await server.api('POST', '/api/auth/register', {
        body: { username: 'alice', email: 'alice@example.org', password: 'correct horse' },
      });
      assert.equal(status, 201);
      const alice = await connect(server, { id: body.user.id, token: body.token });
      closeAfter(test, alice);
      for (const payload of [{ targetUserId: 'nobody', content: 'x' }, { conversationId: 'new', targetUserId: 'nobody', content: 'x' }]) {
        alice.tell('message:send', payload);
        assert.equal(assertRefused(await alice.next('message:receive'), 'NOT_FOUND'), 'User not found');
      }
    });

    it('too much at once', async (test) => {
      const server = await Server.start({ database, env: { RATE_LIMIT_EVENTS: '1', RATE_LIMIT_BURST: '1' } });
      test.after(() => server.remove());
      const [alice] = await agents(test, server, ['alice'], { dialect: 'agent' });
      for (let count = 0; count < 60; count++) alice.tell('connection:get', {});
      const isRefused = ({ success }) => !success;
      assertRefused(await alice.next('connection:receive', isRefused), 'RATE_LIMITED');
    });

    it('an outage: nothing is confirmed that is not stored', async (test) => {
      const outage = await OUTAGES[database](test);
      const server = await Server.start({ database, databaseUrl: outage.databaseUrl, env: { STORE_RETRY_FOR: '2s' } });
      test.after(() => server.remove());
      const [alice, bob] = await agents(test, server, ['alice', 'bob'], { dialect: 'agent' });
      const send = (content) => alice.tell('message:send', { conversationId: 'conv_1', targetUserId: bob.user.id, content });
      send('before');
      dataOf(await alice.next('message:receive'));
      dataOf(await bob.next('message:receive'));
      await outage.begin(server);
      send('during');
      // It is live for the recipient, and not confirmed to the sender.
      assert.equal(dataOf(await bob.next('message:receive')).content, 'during');
      assert.deepEqual(alice.told('message:receive'), []);
      assertRefused(await alice.next('message:receive', undefined, 4 * LIMIT), 'NOT_STORED');
      send('refused at once');
      assertRefused(await alice.next('message:receive'), 'STORAGE_UNAVAILABLE');
      await outage.end();
    });
  });
}

describe('agent in the scope of contacts', () => {
  const holder = useServer({ env: { PRESENCE_SCOPE: 'contacts' } });

  it('only contacts\' connections are listed', async (test) => {
    const [alice, bob] = await agents(test, holder.server, ['alice', 'bob'], { dialect: 'agent' });
    const own = { userId: alice.user.id, socketId: alice.socket.id };
    const his = { userId: bob.user.id, socketId: bob.socket.id };
    assert.deepEqual(await fetchList(alice, 'connection', { totalConnections: 1 }), [own]);
    dataOf(await alice.ask('message:send', { targetUserId: bob.user.id, content: 'hi' }));
    assert.deepEqual(await fetchList(alice, 'connection', { totalConnections: 2 }), [own, his]);
  });
});

/** The rows of `connection:get`, and that their number stands beside them. */
async function connectionsOf(client) {
  client.tell('connection:get', {});
  const { totalConnections, ...envelope } = await client.next('connection:receive');
  const rows = dataOf(envelope);
  assert.equal(totalConnections, rows.length);
  return rows;
}

/** The steps of the document's usage example, with what its server is said to answer. */
async function document(test, server, options) {
  // 1. Get WebSocket URL
  const { status, body } = await server.api('GET', DOCUMENT);
  assert.equal(status, 200);
  const { host, port } = new URL(server.url);
  const { timestamp, ...connectionInfo } = body.data.connectionInfo;
  assertTime(timestamp);
  assert.deepEqual({ ...body, data: { ...body.data, connectionInfo } }, {
    success: true,
    data: {
      websocketUrl: `ws://${host}`,
      connectionInfo: { protocol: 'ws', host, port },
      instructions: {
        authentication: 'Include JWT token in auth.token or Authorization header',
        events: [
          'notification:get → notification:receive',
          'connection:get → connection:receive',
          'conversation:get → conversation:receive',
          'message:send → message:receive',
        ],
      },
    },
  });

  // 2. Connect with JWT authentication: by auth.token, or the Authorization header
  const address = { url: body.data.websocketUrl };
  const { dialect, ...transport } = options;
  const alice = await connect(address, newAgent('alice'), options);
  const user = newAgent('bob');
  const bob = open(address, { ...transport, query: dialect && { dialect }, extraHeaders: { authorization: `Bearer ${user.token}` } });
  bob.user = user;
  await bob.connected();
  closeAfter(test, alice, bob);

  // 5. Fetch lists
  assert.deepEqual(await fetchList(alice, 'conversation'), []);
  const rows = await connectionsOf(alice);
  for (const { socket, user: { id } } of [alice, bob]) {
    assert.deepEqual(rows.filter((row) => row.userId === id), [{ userId: id, socketId: socket.id }]);
  }

  // 4. Send and receive messages
  alice.tell('message:send', { conversationId: 'conv_123', targetUserId: user.id, content: 'Hello!', attachments: [] });
  const id = assertReceived(await alice.next('message:receive'), alice.user, { conversationId: 'conv_123', content: 'Hello!' });
  const received = await bob.next('message:receive');
  const { conversationId } = received.data;
  assert.ok(isId(conversationId));
  assert.equal(assertReceived(received, alice.user, { conversationId, content: 'Hello!' }), id);
  bob.tell('message:send', { conversationId, content: 'Hello, Alice! \u{1F44B}' });
  assertReceived(await bob.next('message:receive'), user, { conversationId, content: 'Hello, Alice! \u{1F44B}' });
  assertReceived(await alice.next('message:receive'), user, { conversationId: 'conv_123', content: 'Hello, Alice! \u{1F44B}' });

  const [{ createdAt, updatedAt, lastMessage, ...listed }, ...others] = await fetchList(alice, 'conversation');
  [createdAt, updatedAt, lastMessage.timestamp].forEach(assertTime);
  assert.deepEqual(others, []);
  assert.deepEqual({ ...listed, lastMessage: { ...lastMessage, timestamp: undefined } }, {
    _id: 'conv_123', type: 'direct', name: null, avatar: null, unreadCount: 1,
    participants: [participant(alice.user), participant(user)],
    lastMessage: { content: 'Hello, Alice! \u{1F44B}', sender: user.id, timestamp: undefined, messageType: 'text' },
  });
  const [his] = await fetchList(bob, 'conversation');
  assert.deepEqual([his._id, his.unreadCount], [conversationId, 1]);

  // Offline users: stored, and delivered when they connect.
  bob.close();
  await bob.disconnected();
  alice.tell('message:send', { conversationId: 'conv_123', targetUserId: user.id, content: 'Are you there?' });
  assertReceived(await alice.next('message:receive'), alice.user, { conversationId: 'conv_123', content: 'Are you there?' });
  const back = await connect(address, user, options);
  closeAfter(test, back);
  assertReceived(await back.next('message:receive'), alice.user, { conversationId, content: 'Are you there?' });

  // It was told nothing else in this dialect.
  for (const client of [alice, bob, back]) assert.deepEqual(client.inbox.filter(({ event }) => event.endsWith(':receive')), []);
}
