// The `agent` front end: everything that its documentation shows, event by event, and cases that it does not show.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { agents, assertReceived, assertRefused, dataOf, fetchList, isId, listen, newAgent, participant } from '../lib/agent.mjs';
import { assertTime, makeGroup, people } from '../lib/chat.mjs';
import { assertRefusal, closeAfter, connect, open, PROVING, refusal } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { PNG, upload } from '../lib/files.mjs';
import { OUTAGES } from '../lib/outage.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { epoch, newUser, sign } from '../lib/token.mjs';
import { LIMIT } from '../lib/wait.mjs';

/** Ways in which a connection comes to speak `agent`. */
const MODES = {
  alone: { env: { DIALECTS: 'agent' } },
  pinned: { dialect: 'agent' },
  learned: {},
};

const NOWHERE = '01900000-0000-7000-8000-000000000000';
const DOCUMENT = '/app/get-connection-id';
const KEY = 'a-server-key';

/** All events that an `agent` front end can receive. */
const WORDS = [
  'notification:receive', 'connection:receive', 'conversation:receive', 'message:receive', 'message:updated', 'message:deleted', 'error',
];

for (const database of DATABASES) {
  for (const [mode, { env = {}, dialect }] of Object.entries(MODES)) {
    describe(`agent, ${mode}, on ${database}`, () => {
      const holder = useServer({ database, env: { ...PROVING, ...env } });
      for (const transport of ['polling', 'websocket']) {
        it(`does what the front end's document shows over ${transport}`, (test) => document(test, holder.server, { transport, dialect }));
      }
    });
  }

  describe(`agent's finer points on ${database}`, () => {
    const holder = useServer({ database, env: { RATE_LIMIT_EVENTS: '0', API_KEYS: KEY } });
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
      for (const event of ['new_message', 'message:new']) assert.deepEqual(alice.told(event), [], 'its own message, once');
    });

    it('who has only ever sent a message speaks conversation as well, and is refused in both\'s words', async (test) => {
      const [alice, bob] = await agents(test, holder.server, ['alice', 'bob']);
      await fetchList(bob, 'conversation');
      alice.tell('message:send', { targetUserId: bob.user.id, content: 'first' });
      const { conversationId } = dataOf(await alice.next('message:receive'));
      await bob.next('message:receive');
      alice.inbox.length = 0;
      // Without a target, it is handled as the other front end's event, where such names do not exist.
      alice.tell('message:send', { conversationId, content: 'second' });
      assertReceived(await alice.next('message:receive'), alice.user, { conversationId, content: 'second' });
      alice.tell('message:send', { conversationId: 'unknown', content: 'x' });
      const sentence = 'Conversation not found';
      assert.equal(assertRefused(await alice.next('message:receive'), 'NOT_FOUND'), sentence);
      assert.deepEqual(await alice.next('error'), { message: sentence, error: sentence, code: 'NOT_FOUND', event: 'message:send' });
      await alice.refused('NOT_FOUND', 'message:send', { conversationId: 'unknown', content: 'x' });
      bob.tell('message:send', { conversationId, content: 'third' });
      const { id, timestamp, ...heard } = await alice.next('message:new');
      assert.deepEqual(heard, { conversationId, senderId: bob.user.id, content: 'third', type: 'text' });
      assert.equal(dataOf(await alice.next('message:receive'))._id, id);
      await fetchList(alice, 'conversation');
      alice.inbox = alice.inbox.filter(({ event }) => event !== 'message:delivered');
      bob.tell('message:send', { conversationId, content: 'fourth' });
      await alice.next('message:receive');
      await fetchList(alice, 'conversation');
      // Clients of earlier tests are announced as offline when their grace time ends.
      const ours = alice.inbox.filter(({ event }) => !/^user:(online|offline)$/.test(event));
      assert.deepEqual(ours, [], 'one that tells them apart ends the doubt');
    });

    it('a note to oneself: once at each device', async (test) => {
      const [alice] = await agents(test, holder.server, ['alice'], pinned);
      const phone = await connect(holder.server, alice.user, pinned);
      closeAfter(test, phone);
      for (const content of ['milk', 'bread']) {
        alice.tell('message:send', { conversationId: 'notes', targetUserId: alice.user.id, content });
        const ids = [];
        for (const client of [alice, phone]) {
          ids.push(assertReceived(await client.next('message:receive'), alice.user, { conversationId: 'notes', content }));
        }
        assert.equal(ids[0], ids[1]);
      }
      const [{ participants, unreadCount }, ...others] = await fetchList(alice, 'conversation');
      assert.deepEqual([participants, unreadCount, others], [[participant(alice.user)], 0, []]);
      await fetchList(phone, 'conversation');
      assert.deepEqual([...alice.inbox, ...phone.inbox], []);
    });

    it('notifications: the newest first, whole, and read once they were marked', async (test) => {
      const { server } = holder;
      const [alice] = await agents(test, server, ['alice'], pinned);
      const bob = newAgent('bob');
      alice.tell('message:send', { conversationId: 'conv_1', targetUserId: bob.id, content: 'one' });
      const { data: { _id: messageId } } = await alice.next('message:receive');
      const group = await makeGroup(server, alice, [{ user: bob }], 'Team');
      const client = await connect(server, bob, pinned);
      closeAfter(test, client);
      const { conversationId } = dataOf(await client.next('message:receive'));
      const made = await server.api('POST', '/api/notifications', {
        headers: { 'x-api-key': KEY }, body: { userId: bob.id, type: 'order', message: 'It is on its way', data: { n: [1, null], at: { x: 'y' } } },
      });
      assert.equal(made.status, 201, JSON.stringify(made.body));
      const bare = await server.api('POST', '/api/notifications', {
        headers: { 'x-api-key': KEY }, body: { userId: bob.id, type: 'note', message: 'Nothing else' },
      });
      assert.equal(bare.status, 201, JSON.stringify(bare.body));
      const listed = async () => (await fetchList(client, 'notification')).map(({ _id, createdAt, ...rest }) => {
        assert.ok(isId(_id));
        assertTime(createdAt);
        return rest;
      });
      const expected = [
        { type: 'note', message: 'Nothing else', data: null, read: false },
        { type: 'order', message: 'It is on its way', data: { n: [1, null], at: { x: 'y' } }, read: false },
        { type: 'group', message: `${alice.user.username} added you to Team`, data: { conversationId: group, by: alice.user.id }, read: false },
        { type: 'message', message: `New message from ${alice.user.username}`, data: { conversationId, messageId, senderId: alice.user.id }, read: false },
      ];
      assert.deepEqual(await listed(), expected);
      const ack = await client.ask('notification:get', {});
      assert.deepEqual(await client.next('notification:receive'), ack);
      assert.equal((await server.api('POST', '/api/notifications/read', { token: bob.token, body: {} })).status, 200);
      assert.deepEqual(await listed(), expected.map((one) => ({ ...one, read: true })));
      assert.deepEqual(client.inbox, [], 'this front end asks: it is told of none by itself');
      const again = await connect(server, bob, { dialect: 'conversation' });
      closeAfter(test, again);
      await again.succeed('user:status', 'online');
      assert.deepEqual(again.told('notification:new'), [], 'what was listed is seen');
    });

    it('the life of a group, and silence about all that there is no word for', async (test) => {
      const { server } = holder;
      const [alice, bob] = await agents(test, server, ['alice', 'bob'], pinned);
      const [mia] = await people(test, server, ['mia'], { dialect: 'messenger' });
      const group = await makeGroup(server, mia, [alice], 'Club');
      const path = `/api/conversations/${group}`;
      const { token } = mia.user;
      const names = async (client) => (await fetchList(client, 'conversation')).map(({ name }) => name);
      const say = async (content) => (await mia.succeed('send_group_message', { conversationId: group, content })).message;
      const hears = async (client, content) => {
        assert.equal(assertReceived(await client.next('message:receive'), mia.user, {
          conversationId: group, content, senderInfo: { userId: mia.user.id, email: null, role: 'user' },
        }).length, 36);
      };
      await say('before');
      await hears(alice, 'before');
      assert.deepEqual(await names(bob), []);
      assert.equal((await server.api('POST', `${path}/participants`, { token, body: { participants: [bob.user.id] } })).status, 200);
      assert.equal((await server.api('PATCH', path, { token, body: { name: 'Society' } })).status, 200);
      assert.deepEqual(await names(bob), ['Society']);
      await mia.succeed('join_group', group);
      await mia.succeed('typing_start', { conversationId: group });
      await mia.succeed('typing_stop', { conversationId: group });
      const { _id } = await say('welcome');
      for (const client of [alice, bob]) await hears(client, 'welcome');
      bob.tell('message:send', { conversationId: group, content: 'thanks' });
      const thanks = dataOf(await bob.next('message:receive'));
      assert.deepEqual([dataOf(await alice.next('message:receive'))._id, thanks.conversationId], [thanks._id, group]);
      await mia.succeed('mark_as_read', { messageId: thanks._id });
      assert.equal((await server.api('PATCH', `/api/messages/${_id}`, { token, body: { content: 'hello' } })).status, 200);
      assert.equal((await server.api('DELETE', `/api/messages/${_id}`, { token })).status, 200);
      for (const client of [alice, bob]) {
        const { content, conversationId } = dataOf(await client.next('message:updated'));
        assert.deepEqual([content, conversationId], ['hello', group]);
        assert.deepEqual(dataOf(await client.next('message:deleted')), { _id, conversationId: group });
      }
      assert.equal((await server.api('DELETE', `${path}/participants/${bob.user.id}`, { token })).status, 200);
      await say('without you');
      await hears(alice, 'without you');
      bob.tell('message:send', { conversationId: group, content: 'me too' });
      assert.equal(assertRefused(await bob.next('message:receive'), 'FORBIDDEN'), 'Not a member');
      assert.deepEqual(await names(bob), []);
      assert.equal((await server.api('DELETE', path, { token })).status, 200);
      alice.tell('message:send', { conversationId: group, content: 'anybody?' });
      assert.equal(assertRefused(await alice.next('message:receive'), 'NOT_FOUND'), 'Conversation not found');
      assert.deepEqual(await names(alice), []);
      mia.close();
      await mia.disconnected();
      const late = await connect(server, newUser('late'), { dialect: 'messenger' });
      closeAfter(test, late);
      await late.succeed('send_direct_message', { recipientId: alice.user.id, content: 'the last' });
      assert.equal(dataOf(await alice.next('message:receive')).content, 'the last');
      assert.deepEqual([...alice.inbox, ...bob.inbox], []);
    });
  });

  describe(`agent's refusals on ${database}`, () => {
    const holder = useServer({ database, env: { MAX_MESSAGE_LENGTH: '100', STRICT_EVENTS: 'true' } });

    it('come in the answer\'s envelope, or in the ack alone, and close nothing', async (test) => {
      const [alice, bob, carol] = await agents(test, holder.server, ['alice', 'bob', 'carol'], { dialect: 'agent' });
      const log = listen(alice);
      const strangers = await makeGroup(holder.server, bob, [carol]);
      const { file } = await upload(holder.server, bob.user.token, 'his.png', PNG);
      dataOf(await alice.ask('message:send', { conversationId: 'known', targetUserId: bob.user.id, content: 'hi', clientMessageId: 'used' }));
      await alice.next('message:receive');
      await bob.next('message:receive');
      const to = { conversationId: 'known' };
      const long = 'x'.repeat(201);
      for (const [payload, code, sentence] of [
        [undefined, 'INVALID_PAYLOAD', 'Missing conversationId'],
        [null, 'INVALID_PAYLOAD', 'Missing conversationId'],
        ['hello', 'INVALID_PAYLOAD', 'Invalid payload'],
        [[], 'INVALID_PAYLOAD', 'Invalid payload'],
        [{ content: 'where?' }, 'INVALID_PAYLOAD', 'Missing conversationId'],
        [{ conversationId: '', content: 'x' }, 'INVALID_PAYLOAD', 'Invalid conversationId'],
        [{ conversationId: long, content: 'x' }, 'INVALID_PAYLOAD', 'Invalid conversationId'],
        [{ conversationId: 1.5, content: 'x' }, 'INVALID_PAYLOAD', 'Invalid conversationId'],
        [{ targetUserId: 'with\nbreak', content: 'x' }, 'INVALID_PAYLOAD', 'Invalid targetUserId'],
        [{ ...to, targetUserId: carol.user.id, content: 'x' }, 'INVALID_PAYLOAD', 'Invalid targetUserId'],
        [to, 'INVALID_PAYLOAD', 'Missing content'],
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
      await alice.next('message:receive');
      assert.deepEqual(log, [['Message received:', 'hi'], ['Message received:', 'still here']], 'its user is shown no refused message');
      assert.deepEqual(alice.inbox, [], 'one answer per fault');
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
      const log = listen(alice);
      const send = (content) => alice.tell('message:send', { conversationId: 'conv_1', targetUserId: bob.user.id, content });
      send('before');
      dataOf(await alice.next('message:receive'));
      dataOf(await bob.next('message:receive'));
      await outage.begin(server);
      send('during');
      // It is delivered live to the recipient, and not confirmed to the sender.
      assert.equal(dataOf(await bob.next('message:receive')).content, 'during');
      assert.deepEqual(alice.told('message:receive'), []);
      assertRefused(await alice.next('message:receive', undefined, 4 * LIMIT), 'NOT_STORED');
      send('refused at once');
      assertRefused(await alice.next('message:receive'), 'STORAGE_UNAVAILABLE');
      for (const resource of ['notification', 'conversation']) {
        alice.tell(`${resource}:get`, {});
        const refused = await alice.next(`${resource}:receive`, undefined, 4 * LIMIT);
        assert.equal(assertRefused(refused, 'STORAGE_UNAVAILABLE'), 'Could not be read, try again later');
      }
      assert.deepEqual(log, [['Message received:', 'before']], 'its user is shown what is stored');
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

describe('agent: who is refused at the door, and who is put out', () => {
  const holder = useServer({ env: { DIALECTS: 'agent' } });
  const strict = useServer({ env: { DIALECTS: 'agent', AUTO_PROVISION_USERS: 'false' } });

  it('an error for the stock client, and for good', async () => {
    const sentence = (text) => `Authentication error: ${text}`;
    for (const [options, code, message] of [
      [{}, 'NO_TOKEN', sentence('No token provided')],
      [{ auth: { token: null } }, 'NO_TOKEN', sentence('No token provided')],
      [{ auth: { token: 'your-jwt-token' } }, 'INVALID_TOKEN', sentence('Invalid token')],
      [{ extraHeaders: { authorization: `Bearer ${sign({ id: 'x', exp: epoch(-60) })}` } }, 'TOKEN_EXPIRED', sentence('Invalid token')],
      [{ auth: { token: newUser().token } }, 'USER_NOT_FOUND', sentence('User not found')],
    ]) {
      const error = await refusal(strict.server, options);
      assert.deepEqual([error.message, error.data], [message, { code, status: 401 }]);
    }
    const error = await refusal(strict.server, { auth: { dialect: 'messenger' } });
    assert.deepEqual([error.message, error.data], ['Unknown dialect, known are: agent', { code: 'UNKNOWN_DIALECT', status: 400 }]);
  });

  it('error comes first, then the disconnect', async (test) => {
    const { server } = holder;
    const putOut = async (client, code, message) => {
      closeAfter(test, client);
      assert.deepEqual(await client.next('error'), { message, error: message, code });
      assert.equal(await client.disconnected(), 'io server disconnect');
      assert.deepEqual(client.inbox.filter(({ event }) => !WORDS.includes(event)), []);
    };
    await putOut(await connect(server, newUser('brief', { exp: epoch(2) })), 'TOKEN_EXPIRED', 'Your session has expired');

    const leaver = newUser('leaver');
    const left = await connect(server, leaver);
    assert.equal((await server.api('POST', '/api/auth/logout', { token: leaver.token })).status, 200);
    await putOut(left, 'INVALID_TOKEN', 'You were logged out');
  });
});

/** Returns the rows of `connection:get`; asserts their number. */
async function connectionsOf(client) {
  client.tell('connection:get', {});
  const { totalConnections, ...envelope } = await client.next('connection:receive');
  const rows = dataOf(envelope);
  assert.equal(totalConnections, rows.length);
  return rows;
}

/** The steps of the documentation's usage example, with the answers of its server. */
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
  await bob.proven();
  bob.close();
  await bob.disconnected();
  alice.tell('message:send', { conversationId: 'conv_123', targetUserId: user.id, content: 'Are you there?' });
  assertReceived(await alice.next('message:receive'), alice.user, { conversationId: 'conv_123', content: 'Are you there?' });
  const back = await connect(address, user, options);
  closeAfter(test, back);
  assertReceived(await back.next('message:receive'), alice.user, { conversationId, content: 'Are you there?' });

  // It received nothing else in this dialect.
  for (const client of [alice, bob, back]) assert.deepEqual(client.inbox.filter(({ event }) => event.endsWith(':receive')), []);
}
