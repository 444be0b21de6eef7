// The `conversation` front end: conversations, several devices, presence with a chosen status, receipts. It shows its
// user the `message` of every `error`; after a refused connect, only that it is not connected.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { assertTime, conversationHistory, filled, makeGroup, people } from '../lib/chat.mjs';
import { assertRefusal, closeAfter, connect, open, refusal, TRANSPORTS } from '../lib/client.mjs';
import { assertConversation, assertNew, assertReceipt, flush, makeDirect, unread, WORDS } from '../lib/conversation.mjs';
import { DATABASES } from '../lib/database.mjs';
import { PNG, upload } from '../lib/files.mjs';
import { OUTAGES } from '../lib/outage.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { epoch, newUser, sign } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const NOWHERE = '01900000-0000-7000-8000-000000000000';

/** Ways in which a connection comes to speak `conversation`. */
const WAYS = {
  learned: { options: {}, env: {} },
  pinned: { options: { dialect: 'conversation' }, env: {} },
  alone: { options: {}, env: { DIALECTS: 'conversation' } },
};

const about = (client) => ({ userId }) => userId === client.user.id;

for (const database of DATABASES) {
  for (const [way, { options, env }] of Object.entries(WAYS)) {
    describe(`conversation, ${way}, on ${database}`, () => {
      const holder = useServer({ database, env: { RATE_LIMIT_EVENTS: '0', ...env } });
      for (const transport of Object.keys(TRANSPORTS)) {
        it(`an ordinary day, ${transport}`, (test) => day(test, holder.server, { transport, ...options }));
      }
    });
  }
}

/** An ordinary day of the front end, with two devices of Alice's. */
async function day(test, server, options) {
  const [alice, bob, carol] = await people(test, server, ['alice', 'bob', 'carol'], options);
  const phone = await connect(server, alice.user, options);
  closeAfter(test, phone);
  const all = [alice, phone, bob, carol];
  for (const client of all) {
    assert.equal(client.inbox[0].event, 'connected', 'the first event');
    assert.deepEqual(await client.next('connected'), { userId: client.user.id, socketId: client.socket.id });
  }
  for (const client of [alice, bob]) {
    assert.deepEqual(await client.next('user:online', about(carol)), { userId: carol.user.id, status: 'online' });
  }
  // Every connection sends something, and from then on receives only its own dialect.
  for (const client of all) {
    await client.succeed('user:status', 'online');
    client.inbox = client.inbox.filter(({ event }) => WORDS.includes(event));
  }

  const group = await makeGroup(server, alice, [bob, carol], 'Friends');
  for (const client of all) {
    const made = await client.next('conversation:updated');
    assert.equal(made.id, group);
    assertConversation(made, {
      type: 'group', name: 'Friends', participants: [alice, bob, carol].map(({ user }) => user.id), admin: alice.user.id,
    });
  }
  const direct = await makeDirect(server, alice, bob);
  for (const client of [alice, phone, bob]) {
    const made = await client.next('conversation:updated');
    assert.equal(made.id, direct);
    assertConversation(made, { type: 'direct', name: null, participants: [alice.user.id, bob.user.id], admin: null });
  }
  if (options.transport === 'upgrading') await Promise.all(all.map((client) => client.upgraded()));

  for (const [conversationId, others] of [[group, [bob, carol]], [direct, [bob]]]) {
    await typing(alice, others, conversationId);
    const first = await plainSend(alice, phone, others, conversationId);
    await fullSend(server, alice, phone, others, conversationId);
    await reading(server, alice, phone, bob, first);
    await changing(server, alice, [alice, phone, ...others], first);
  }
  await statuses(alice, phone, bob);
  await leaving(alice, bob, carol, group);

  carol.close();
  const gone = await alice.next('user:offline', about(carol));
  assertTime(gone.lastSeen);
  assert.deepEqual(gone, { userId: carol.user.id, lastSeen: gone.lastSeen });
  await comingBack(test, server, { alice, phone, bob, carol, group, options });
  for (const client of all) {
    const { user: { id } } = client;
    assert.deepEqual(client.inbox.map(({ event }) => event).filter((event) => !WORDS.includes(event)), [], `words of others at ${id}`);
    assert.deepEqual(client.told('error'), []);
  }
}

async function typing(typist, others, conversationId) {
  const told = { userId: typist.user.id, conversationId };
  typist.tell('typing:start', { conversationId });
  for (const other of others) assert.deepEqual(await other.next('typing:start'), told);
  typist.tell('typing:stop', { conversationId });
  for (const other of others) assert.deepEqual(await other.next('typing:stop'), told);
  assert.deepEqual(await typist.ask('typing:start', { conversationId }), { success: true });
  for (const other of others) assert.deepEqual(await other.next('typing:start'), told);
}

/** As in the documentation's example: no ack, no id of its own. */
async function plainSend(sender, device, others, conversationId) {
  const content = 'Hello, world! \u{1F44B}\n"quoted" \\ </script>';
  sender.tell('message:send', { conversationId, content, type: 'text' });
  const shown = [];
  for (const client of [device, ...others]) {
    const message = await client.next('message:new');
    assertNew(message, sender, conversationId, content);
    shown.push(message);
  }
  shown.forEach((message) => assert.deepEqual(message, shown[0]));
  for (const client of [sender, device]) {
    for (const other of others) assertReceipt(await client.next('message:delivered', about(other)), shown[0], other);
  }
  for (const other of others) await other.next('typing:stop', about(sender));
  return shown[0];
}

/** With an ack, an id of its own, a type, a file and attachments. */
async function fullSend(server, sender, device, others, conversationId) {
  const { file } = await upload(server, sender.user.token, 'photo of us.png', PNG);
  const { file: second } = await upload(server, sender.user.token, 'another.png', PNG);
  const clientMessageId = `c-${Math.random()}`;
  const request = { conversationId, content: '', type: 'sticker', file, attachments: [file, second], clientMessageId };
  // Recorded where they arrive, because promises of different depth settle in another order.
  const order = [];
  sender.socket.once('message:delivered', () => order.push('delivered'));
  const { success, ...sent } = await within(LIMIT, 'the ack', new Promise((resolve) => {
    sender.socket.emit('message:send', request, (answer) => resolve(order.push('ack') && answer));
  }));
  assert.equal(success, true);
  const more = { type: 'sticker', file, attachments: [file, second], clientMessageId };
  assertNew(sent, sender, conversationId, '', more);
  for (const client of [device, ...others]) assert.deepEqual(await client.next('message:new'), sent);
  for (const client of [sender, device]) {
    for (const other of others) {
      assertReceipt(await client.next('message:delivered', about(other)), sent, other, 'deliveredAt', { clientMessageId });
    }
  }
  assert.deepEqual(order, ['ack', 'delivered']);
  assert.deepEqual(await sender.ask('message:send', request), { success: true, ...sent }, 'the first answer again');
  assert.deepEqual(await conversationHistory(server, device.user.token, conversationId).then((kept) => kept.filter(({ _id }) => _id === sent.id).length), 1);
}

/** The reader has a further device, which is notified. */
async function reading(server, author, device, reader, message) {
  const other = await connect(server, reader.user, { dialect: 'conversation' });
  reader.tell('message:read', { messageId: message.id });
  for (const client of [author, device, other]) assertReceipt(await client.next('message:read'), message, reader, 'readAt');
  other.close();
  assert.deepEqual(reader.told('message:read'), [], 'the device that has read it knows');
  assert.deepEqual(await reader.ask('message:read', { messageId: message.id }), { success: true }, 'a second time');
  assert.deepEqual(await author.ask('message:read', { messageId: message.id }), { success: true }, 'one\'s own');
}

/** Edits and deletions over HTTP. */
async function changing(server, author, members, message) {
  const { token } = author.user;
  assert.equal((await server.api('PATCH', `/api/messages/${message.id}`, { token, body: { content: 'mended' } })).status, 200);
  for (const member of members) {
    const { updatedAt, ...updated } = await member.next('message:updated');
    assert.ok(updatedAt > message.timestamp);
    assert.deepEqual(updated, { ...message, content: 'mended' });
  }
  assert.equal((await server.api('DELETE', `/api/messages/${message.id}`, { token })).status, 200);
  for (const member of members) {
    assert.deepEqual(await member.next('message:deleted'), { messageId: message.id, conversationId: message.conversationId });
  }
}

async function statuses(alice, phone, bob) {
  for (const status of ['away', 'busy']) {
    alice.tell('user:status', status);
    for (const client of [alice, phone, bob]) {
      assert.deepEqual(await client.next('user:online', (told) => about(alice)(told) && told.status === status), { userId: alice.user.id, status });
    }
  }
  assert.deepEqual(await alice.ask('user:status', 'offline'), { success: true });
  const hidden = await bob.next('user:offline', about(alice));
  assertTime(hidden.lastSeen);
  assert.deepEqual(hidden, { userId: alice.user.id, lastSeen: hidden.lastSeen });
  for (const device of [alice, phone]) {
    await device.next('user:online', (told) => about(alice)(told) && told.status === 'offline');
    assert.deepEqual(device.told('user:offline').filter(about(alice)), [], 'not to herself');
  }
  alice.tell('user:status', 'online');
  await bob.next('user:online', (told) => about(alice)(told) && told.status === 'online');
}

/** Leaving mutes that socket only, joining ends it; a direct conversation is never muted. */
async function leaving(alice, bob, carol, group) {
  assert.deepEqual(await bob.ask('conversation:join', group), { success: true });
  assert.deepEqual(await bob.ask('conversation:leave', group), { success: true });
  alice.tell('typing:start', { conversationId: group });
  await carol.next('typing:start');
  await flush(alice, group, carol);
  await carol.next('typing:stop');
  await alice.next('message:delivered', about(carol));
  bob.tell('conversation:join', group);
  await bob.succeed('conversation:join', group);
  await flush(alice, group, bob, carol);
  assert.deepEqual([...bob.told('message:new'), ...bob.told('typing:start'), ...bob.told('typing:stop')], []);
  for (const recipient of [bob, carol]) await alice.next('message:delivered', about(recipient));
  assert.deepEqual(alice.told('message:delivered'), [], 'the first one was not delivered by a socket that had left');
}

async function comingBack(test, server, { alice, phone, bob, carol, group, options }) {
  await flush(alice, group, bob);
  const contents = ['one', 'two', 'three'];
  for (const content of contents) await alice.succeed('message:send', { conversationId: group, content });
  const back = await connect(server, carol.user, options);
  closeAfter(test, back);
  const missed = [];
  for (const content of contents) missed.push(await back.next('message:new', (message) => message.content === content));
  missed.forEach((message, index) => assertNew(message, alice, group, contents[index]));
  const order = back.inbox.findIndex(({ event }) => event === 'connected');
  assert.equal(order, 0, 'before what was missed');
  for (const device of [alice, phone]) {
    for (const message of missed) {
      assertReceipt(await device.next('message:delivered', (told) => about(carol)(told) && told.messageId === message.id), message, carol);
    }
  }
}

describe('conversation: who is refused at the door', () => {
  const holder = useServer({ env: { DIALECTS: 'conversation', AUTO_PROVISION_USERS: 'false' } });
  const cases = {
    'no token': [{}, 'NO_TOKEN', 'Authentication error: No token provided'],
    'a foreign key': [{ auth: { token: sign({ id: 'x' }, { secret: 'another' }) } }, 'INVALID_TOKEN', 'Authentication error: Invalid token'],
    'past its time': [{ auth: { token: sign({ id: 'x', exp: epoch(-60) }) } }, 'TOKEN_EXPIRED', 'Authentication error: Invalid token'],
    'a stranger': [{ auth: { token: newUser().token } }, 'USER_NOT_FOUND', 'Authentication error: User not found'],
  };
  for (const [what, [options, code, message]] of Object.entries(cases)) {
    for (const transport of ['polling', 'websocket']) {
      it(`${what}, ${transport}`, async () => {
        const error = await refusal(holder.server, { transport, ...options });
        assert.deepEqual([error.message, error.data], [message, { code, status: 401 }]);
      });
    }
  }

  it('a dialect that is not enabled', async () => {
    const error = await refusal(holder.server, { auth: { dialect: 'messenger' } });
    assert.deepEqual([error.message, error.data], ['Unknown dialect, known are: conversation', { code: 'UNKNOWN_DIALECT', status: 400 }]);
  });
});

/**
 * `[event, payload, code, text shown to the user]`; `$group`, `$message` … stand for things that the test makes first.
 */
const REFUSED = [
  ['message:send', null, 'INVALID_PAYLOAD', 'Missing content'],
  ['message:send', 'hello', 'INVALID_PAYLOAD', 'Invalid payload'],
  ['message:send', { content: 'where?' }, 'INVALID_PAYLOAD', 'Missing conversationId'],
  ['message:send', { conversationId: [], content: 'x' }, 'INVALID_PAYLOAD', 'Invalid conversationId'],
  ['message:send', { conversationId: '$group' }, 'INVALID_PAYLOAD', 'Missing content'],
  ['message:send', { conversationId: '$group', content: '' }, 'INVALID_PAYLOAD', 'Invalid content'],
  ['message:send', { conversationId: '$group', content: { text: 'x' } }, 'INVALID_PAYLOAD', 'Invalid content'],
  ['message:send', { conversationId: '$group', content: 'nul \0 inside' }, 'INVALID_PAYLOAD', 'Invalid content'],
  ['message:send', { conversationId: '$group', content: 'half a pair \ud83d' }, 'INVALID_PAYLOAD', 'Invalid content'],
  ['message:send', { conversationId: '$group', content: 'x', type: '' }, 'INVALID_PAYLOAD', 'Invalid type'],
  ['message:send', { conversationId: '$group', content: 'x', type: 'y'.repeat(33) }, 'INVALID_PAYLOAD', 'Invalid type'],
  ['message:send', { conversationId: '$group', file: 'photo.png' }, 'INVALID_PAYLOAD', 'Invalid file'],
  ['message:send', { conversationId: '$group', attachments: 'photo.png' }, 'INVALID_PAYLOAD', 'Invalid attachments'],
  ['message:send', { conversationId: '$group', attachments: Array(21).fill({ url: '/uploads/x.png' }) }, 'INVALID_PAYLOAD', 'Invalid attachments'],
  ['message:send', { conversationId: '$group', content: 'x', clientMessageId: '' }, 'INVALID_PAYLOAD', 'Invalid clientMessageId'],
  ['message:send', { conversationId: '$group', content: 'x', clientMessageId: 'z'.repeat(201) }, 'INVALID_PAYLOAD', 'Invalid clientMessageId'],
  ['message:send', { conversationId: NOWHERE, content: 'x' }, 'NOT_FOUND', 'Conversation not found'],
  ['message:send', { conversationId: 'conv-123', content: 'x' }, 'NOT_FOUND', 'Conversation not found'],
  ['message:send', { conversationId: '$foreign_group', content: 'x' }, 'FORBIDDEN', 'Not a member'],
  ['message:send', { conversationId: '$foreign_direct', content: 'x' }, 'FORBIDDEN', 'Not a member'],
  ['message:send', { conversationId: '$group', file: { url: '/uploads/unknown-unknown-unknown.png' } }, 'NOT_FOUND', 'File not found'],
  ['message:send', { conversationId: '$group', attachments: [{ url: '$strangers_file' }] }, 'FORBIDDEN', 'Not allowed'],
  ['message:send', { conversationId: '$group', content: 'x'.repeat(101) }, 'TOO_LARGE', 'Too large: the text is too long'],
  ['message:send', { conversationId: '$group', content: 'another', clientMessageId: 'used' }, 'CONFLICT', 'This clientMessageId was used for another message'],
  ['message:read', {}, 'INVALID_PAYLOAD', 'Missing messageId'],
  ['message:read', { messageId: 'msg-456' }, 'NOT_FOUND', 'Message not found'],
  ['message:read', { messageId: NOWHERE }, 'NOT_FOUND', 'Message not found'],
  ['message:read', { messageId: '$foreign_message' }, 'FORBIDDEN', 'Not a member'],
  ['typing:start', null, 'INVALID_PAYLOAD', 'Missing conversationId'],
  ['typing:start', { conversationId: '$foreign_group' }, 'FORBIDDEN', 'Not a member'],
  ['typing:stop', { conversationId: 'conv-123' }, 'NOT_FOUND', 'Conversation not found'],
  ['conversation:join', {}, 'INVALID_PAYLOAD', 'Invalid conversationId'],
  ['conversation:join', '$foreign_group', 'FORBIDDEN', 'Not a member'],
  ['conversation:join', '$foreign_direct', 'FORBIDDEN', 'Not a member'],
  ['conversation:join', NOWHERE, 'FORBIDDEN', 'Not a member'],
  ['conversation:join', 'conv-123', 'FORBIDDEN', 'Not a member'],
  ['conversation:leave', null, 'INVALID_PAYLOAD', 'Missing conversationId'],
  ['user:status', null, 'INVALID_PAYLOAD', 'Missing status'],
  ['user:status', 'asleep', 'INVALID_PAYLOAD', 'Invalid status'],
  ['user:status', { status: 'away' }, 'INVALID_PAYLOAD', 'Invalid status'],
  ['authenticate', {}, 'INVALID_PAYLOAD', 'Missing token'],
  ['authenticate', { token: null }, 'INVALID_PAYLOAD', 'Missing token'],
  ['authenticate', { token: '' }, 'INVALID_PAYLOAD', 'Invalid token'],
  ['authenticate', { token: 7 }, 'INVALID_TOKEN', 'Invalid token'],
  ['authenticate', { token: 'your-jwt-token' }, 'INVALID_TOKEN', 'Invalid token'],
  ['authenticate', { token: '$foreign_key' }, 'INVALID_TOKEN', 'Invalid token'],
  ['authenticate', { token: '$expired' }, 'INVALID_TOKEN', 'Invalid token'],
  ['authenticate', { token: '$revoked' }, 'INVALID_TOKEN', 'Invalid token'],
  ['authenticate', { token: '$strangers_token' }, 'FORBIDDEN', 'Not allowed'],
];

for (const database of DATABASES) {
  describe(`conversation: refused on ${database}`, () => {
    const holder = useServer({ database, env: { RATE_LIMIT_EVENTS: '0', MAX_MESSAGE_LENGTH: '100' } });

    for (const [way, options] of [['learned', {}], ['pinned', { dialect: 'conversation' }]]) {
      it(`with an ack in the ack, without one as one error packet; nobody sees it, ${way}`, async (test) => {
        const { server } = holder;
        const [alice, bob, eve, eva] = await people(test, server, ['alice', 'bob', 'eve', 'eva'], options);
        for (const client of [alice, bob, eve, eva]) await client.succeed('user:status', 'online');
        const [group, foreignGroup] = [await makeGroup(server, alice, [bob]), await makeGroup(server, eve, [eva])];
        const foreignDirect = await makeDirect(server, eve, eva);
        const { id: foreignMessage } = await eve.succeed('message:send', { conversationId: foreignDirect, content: 'psst' });
        await eva.next('message:new');
        const used = { conversationId: group, content: 'first', clientMessageId: 'used' };
        await alice.succeed('message:send', used);
        await bob.next('message:new');
        const revoked = sign({ id: alice.user.id, exp: epoch(600), jti: 'revoked' });
        assert.equal((await server.api('POST', '/api/auth/logout', { token: revoked })).status, 200);
        const made = {
          group, foreign_group: foreignGroup, foreign_direct: foreignDirect, foreign_message: foreignMessage, revoked,
          strangers_file: (await upload(server, eve.user.token, 'secret.png', PNG)).file.url,
          strangers_token: eve.user.token,
          foreign_key: sign({ id: alice.user.id, exp: epoch(60) }, { secret: 'another' }),
          expired: sign({ id: alice.user.id, exp: epoch(-60) }),
        };
        for (const [event, payload, code, sentence] of REFUSED) {
          const what = `${event} ${JSON.stringify(payload)}`;
          assert.deepEqual(await alice.ask(event, filled(payload, made)), { success: false, error: sentence, code }, what);
          alice.tell(event, filled(payload, made));
          assert.deepEqual(await alice.next('error'), { message: sentence, error: sentence, code, event }, what);
        }
        assert.deepEqual(alice.told('error'), [], 'one packet per fault');
        assert.deepEqual(alice.told('connected').length, 1);
        await flush(alice, group, bob);
        assert.deepEqual([...unread(bob), ...bob.told('typing:start')], []);
        await flush(eve, foreignGroup, eva);
        assert.deepEqual([...unread(eva), ...eva.told('typing:start'), ...eva.told('message:read')], []);
        assert.equal((await conversationHistory(server, bob.user.token, group)).length, 2, 'the first message and the marker');
      });
    }

    it('leaving succeeds for what does not exist', async (test) => {
      const [alice] = await people(test, holder.server, ['alice']);
      for (const id of [NOWHERE, 'conv-123', 7]) assert.deepEqual(await alice.ask('conversation:leave', id), { success: true });
      assert.deepEqual(alice.told('error'), []);
    });
  });

  describe(`conversation: an outage on ${database}`, () => {
    it('what was seen and not stored is NOT_STORED, what comes then STORAGE_UNAVAILABLE; a retry is shown once', async (test) => {
      const outage = await OUTAGES[database](test);
      const server = await Server.start({ database, databaseUrl: outage.databaseUrl, env: { RATE_LIMIT_EVENTS: '0', STORE_RETRY_FOR: '2s' } });
      test.after(() => server.remove());
      const [alice, bob] = await people(test, server, ['alice', 'bob'], { dialect: 'conversation' });
      const conversationId = await makeDirect(server, alice, bob);
      const send = (content, clientMessageId) => ({ conversationId, content, clientMessageId });
      await alice.succeed('message:send', send('before', 'before'));
      await alice.next('message:delivered');
      await outage.begin(server);
      alice.tell('message:send', send('lost?', 'lost'));
      const error = 'The message was not stored, try again';
      assert.deepEqual(await alice.next('error', undefined, 2 * LIMIT), { message: error, error, code: 'NOT_STORED', event: 'message:send' });
      assert.deepEqual(await alice.askWithin(2 * LIMIT, 'message:send', send('not now', 'later')), {
        success: false, error: 'The message could not be stored, try again later', code: 'STORAGE_UNAVAILABLE',
      });
      assert.deepEqual(alice.told('message:delivered'), [], 'nothing is delivered that is not stored');
      await outage.end();
      await within(3 * LIMIT, 'the first success', (async () => {
        while (!(await alice.ask('message:send', send('lost?', 'lost'))).success) await server.api('GET', '/readyz');
      })());
      await alice.next('message:delivered', ({ clientMessageId }) => clientMessageId === 'lost');
      await flush(alice, conversationId, bob);
      assert.deepEqual(unread(bob).map(({ content }) => content), ['before', 'lost?']);
    });
  });
}

describe('conversation: refused for haste, or for the name', () => {
  const holder = useServer({ env: { RATE_LIMIT_EVENTS: '5', RATE_LIMIT_BURST: '5', STRICT_EVENTS: 'true' } });

  it('RATE_LIMITED says when to come back', async (test) => {
    const [alice] = await people(test, holder.server, ['alice'], { dialect: 'conversation' });
    for (let count = 0; count < 60; count++) alice.tell('conversation:leave', 'conv-123');
    const { retryAfterMs, ...error } = await alice.next('error');
    assert.ok(retryAfterMs > 0);
    const sentence = 'Too many requests, try again later';
    assert.deepEqual(error, { message: sentence, error: sentence, code: 'RATE_LIMITED', event: 'conversation:leave' });
  });

  it('UNKNOWN_EVENT', async (test) => {
    const [alice] = await people(test, holder.server, ['alice'], { dialect: 'conversation' });
    alice.tell('message:sent', {});
    assert.deepEqual(await alice.next('error'), {
      message: 'Unknown event', error: 'Unknown event', code: 'UNKNOWN_EVENT', event: 'message:sent',
    });
    await alice.refused('UNKNOWN_EVENT', 'send_direct_message', {});
  });
});

describe('conversation: a fresh token', () => {
  const holder = useServer();
  const dialect = 'conversation';

  it('extends the connection; without an ack connected comes again', async (test) => {
    for (const asks of [true, false]) {
      const user = newUser('brief', { exp: epoch(3) });
      const client = await connect(holder.server, user, { dialect });
      const other = await connect(holder.server, user, { dialect });
      closeAfter(test, client, other);
      await client.next('connected');
      const token = sign({ id: user.id, exp: epoch(3600) });
      if (asks) {
        assert.deepEqual(await client.ask('authenticate', { token }), { success: true });
        assert.deepEqual(client.told('connected'), []);
      } else {
        client.tell('authenticate', { token });
        assert.deepEqual(await client.next('connected'), { userId: user.id, socketId: client.socket.id });
      }
      assertRefusal(await other.next('error'), 'TOKEN_EXPIRED');
      assert.equal(await other.disconnected(), 'io server disconnect');
      await client.succeed('user:status', 'online');
    }
  });

  it('counts with its own expiry, also where that is earlier', async (test) => {
    const user = newUser('long');
    const client = await connect(holder.server, user, { dialect });
    closeAfter(test, client);
    await client.succeed('authenticate', { token: sign({ id: user.id, exp: epoch(2) }) });
    const error = await client.next('error');
    assert.deepEqual(error, { message: 'Your session has expired', error: 'Your session has expired', code: 'TOKEN_EXPIRED' });
    assert.equal(await client.disconnected(), 'io server disconnect');
  });

  it('a bad one changes nothing: the old one still ends', async (test) => {
    const user = newUser('stubborn', { exp: epoch(3) });
    const client = await connect(holder.server, user, { dialect });
    closeAfter(test, client);
    await client.refused('FORBIDDEN', 'authenticate', { token: newUser('other').token });
    await client.refused('INVALID_TOKEN', 'authenticate', { token: `${user.token}x` });
    assertRefusal(await client.next('error'), 'TOKEN_EXPIRED');
  });

  it('is the one whose logout counts', async (test) => {
    const { server } = holder;
    const registered = await server.api('POST', '/api/auth/register', {
      body: { username: 'mover', email: 'mover@example.org', password: 'a long password' },
    });
    const { user: { id }, token: first } = registered.body;
    const again = await server.api('POST', '/api/auth/login', { body: { login: 'mover', password: 'a long password' } });
    const client = await connect(server, { id, token: first }, { dialect });
    closeAfter(test, client);
    await client.succeed('authenticate', { token: again.body.token });
    assert.equal((await server.api('POST', '/api/auth/logout', { token: first })).status, 200);
    await client.refused('INVALID_TOKEN', 'authenticate', { token: first });
    await client.succeed('user:status', 'online');
    assert.equal((await server.api('POST', '/api/auth/logout', { token: again.body.token })).status, 200);
    assertRefusal(await client.next('error'), 'INVALID_TOKEN');
    assert.equal(await client.disconnected(), 'io server disconnect');
  });
});

for (const database of DATABASES) {
  describe(`conversation: the life of a group on ${database}`, () => {
    const holder = useServer({ database });

    it('is told to whom it concerns, and counts at once', async (test) => {
      const { server } = holder;
      const options = { dialect: 'conversation' };
      const [alice, bob, carol] = await people(test, server, ['alice', 'bob', 'carol'], options);
      const tablet = await connect(server, carol.user, options);
      const [dave] = await people(test, server, ['dave'], { dialect: 'messenger' });
      closeAfter(test, tablet);
      const { token } = alice.user;
      const ids = (...members) => members.map(({ user }) => user.id);
      const group = await makeGroup(server, alice, [bob, dave], 'Club');
      const path = `/api/conversations/${group}`;
      const expected = { type: 'group', name: 'Club', participants: ids(alice, bob, dave), admin: alice.user.id };
      for (const member of [alice, bob]) assertConversation(await member.next('conversation:updated'), expected);

      const shown = async (answer, members, change) => {
        assert.equal(answer.status, 200, JSON.stringify(answer.body));
        Object.assign(expected, change);
        for (const member of members) {
          const told = await member.next('conversation:updated');
          assertConversation(told, expected);
          assert.equal(told.id, group);
          if (answer.body.conversation) {
            const { unreadCount, ...conversation } = answer.body.conversation;
            assert.deepEqual(told, conversation, 'HTTP says the same');
          }
        }
      };
      await shown(await server.api('PATCH', path, { token, body: { name: 'Society' } }), [alice, bob], { name: 'Society' });
      await shown(await server.api('PATCH', path, { token, body: { avatar: '/uploads/a.png' } }), [alice, bob], { avatar: '/uploads/a.png' });
      await shown(await server.api('PATCH', path, { token, body: { avatar: '' } }), [alice, bob], { avatar: null });

      const added = await server.api('POST', `${path}/participants`, { token, body: { participants: [carol.user.id] } });
      await shown(added, [alice, bob, carol, tablet], { participants: ids(alice, bob, dave, carol) });
      await flush(alice, group, bob, carol, tablet);
      await carol.succeed('message:send', { conversationId: group, content: 'hello all' });
      for (const client of [alice, bob, tablet]) assertNew(await client.next('message:new'), carol, group, 'hello all');
      const { message } = await dave.next('new_group_message', (told) => told.message.content === 'hello all');
      assert.equal(message.sender._id, carol.user.id);
      assert.deepEqual(carol.told('message:new'), [], 'not to the device that sends');
      const lastMessage = { content: 'hello all', sender: carol.user.id, timestamp: message.createdAt, messageType: 'text' };

      carol.tell('typing:start', { conversationId: group });
      await alice.next('typing:start');
      const removed = await server.api('DELETE', `${path}/participants/${carol.user.id}`, { token });
      await shown(removed, [alice, bob], { participants: ids(alice, bob, dave), lastMessage });
      for (const device of [carol, tablet]) assert.deepEqual(await device.next('conversation:deleted'), { conversationId: group });
      await alice.next('typing:stop');
      await flush(alice, group, bob);
      await carol.refused('FORBIDDEN', 'message:send', { conversationId: group, content: 'me too' });
      await carol.refused('FORBIDDEN', 'conversation:join', group);
      assert.deepEqual(unread(carol), []);
      assert.deepEqual(carol.told('conversation:updated'), []);

      const { timestamp } = (await server.api('GET', path, { token })).body.conversation.lastMessage;
      const { content } = (await server.api('GET', path, { token })).body.conversation.lastMessage;
      const left = await server.api('DELETE', `${path}/participants/${alice.user.id}`, { token });
      await shown(left, [bob], {
        participants: ids(bob, dave), admin: bob.user.id, lastMessage: { content, sender: alice.user.id, timestamp, messageType: 'text' },
      });
      assert.deepEqual(await alice.next('conversation:deleted'), { conversationId: group });
      await alice.refused('FORBIDDEN', 'message:send', { conversationId: group, content: 'wait' });

      const deleted = await server.api('DELETE', path, { token: bob.user.token });
      assert.equal(deleted.status, 200, JSON.stringify(deleted.body));
      assert.deepEqual(await bob.next('conversation:deleted'), { conversationId: group });
      await bob.refused('NOT_FOUND', 'message:send', { conversationId: group, content: 'anybody?' });
      await dave.refused('NOT_FOUND', 'send_group_message', { conversationId: group, content: 'anybody?' });
    });

    it('a direct conversation is shown before its first message, whoever begins it', async (test) => {
      const [alice] = await people(test, holder.server, ['alice'], { dialect: 'messenger' });
      const [bob] = await people(test, holder.server, ['bob'], { dialect: 'conversation' });
      const order = [];
      bob.socket.onAny((event) => order.push(event));
      const { message } = await alice.succeed('send_direct_message', { recipientId: bob.user.id, content: 'hello' });
      await bob.next('message:new');
      const made = await bob.next('conversation:updated');
      assertConversation(made, { type: 'direct', name: null, participants: [alice.user.id, bob.user.id], admin: null });
      assert.equal(made.id, message.conversationId);
      assert.deepEqual(order.filter((event) => /^(message:new|conversation)/.test(event)), ['conversation:updated', 'message:new']);
      bob.tell('message:send', { conversationId: made.id, content: 'hi Alice' });
      const { message: answer } = await alice.next('new_message');
      assert.deepEqual([answer.content, answer.sender._id, answer.status], ['hi Alice', bob.user.id, 'delivered']);
      assertReceipt(await bob.next('message:delivered'), { id: answer._id, conversationId: made.id }, alice);
      assert.deepEqual(alice.told('message_delivered'), [], 'the ack told her');
      assert.deepEqual(bob.told('conversation:updated'), [], 'not for messages');
    });
  });

  describe(`conversation: presence on ${database}`, () => {
    it('a chosen status outlives connections and the server; messenger hears of coming and going alone', async (test) => {
      const server = await Server.start({ database, env: { PRESENCE_GRACE: '1s' } });
      test.after(() => server.remove());
      const options = { dialect: 'conversation' };
      const [bob] = await people(test, server, ['bob'], options);
      const [mia] = await people(test, server, ['mia'], { dialect: 'messenger' });
      const user = newUser('alice');
      const who = ({ userId }) => userId === user.id;
      let alice = await connect(server, user, options);
      await bob.next('user:online', who);
      await mia.next('user_online', who);
      await alice.succeed('user:status', 'busy');
      assert.deepEqual(await bob.next('user:online', who), { userId: user.id, status: 'busy' });
      alice.close();
      await bob.next('user:offline', who);
      await mia.next('user_offline', who);
      assert.deepEqual(mia.told('user_online').filter(who), [], 'nothing is sent for busy');
      alice = await connect(server, user, options);
      assert.deepEqual(await alice.next('user:online', who), { userId: user.id, status: 'busy' });
      assert.deepEqual(await bob.next('user:online', who), { userId: user.id, status: 'busy' });
      assert.deepEqual(await mia.next('user_online', who), { userId: user.id, username: user.username });
      await alice.succeed('user:status', 'offline');
      const { lastSeen } = await bob.next('user:offline', who);
      assert.deepEqual(await mia.next('user_offline', who), { userId: user.id, lastSeen });
      const seen = async (token) => (await server.api('GET', `/api/users/${user.id}`, { token })).body.user;
      assert.deepEqual([(await seen(bob.user.token)).isOnline, (await seen(bob.user.token)).lastSeen], [false, lastSeen]);
      assert.equal((await seen(user.token)).isOnline, true);

      await server.end('SIGKILL');
      await server.launch();
      const [watcher] = await people(test, server, ['watcher'], options);
      alice = await connect(server, user, options);
      closeAfter(test, alice);
      assert.deepEqual(await alice.next('user:online', who), { userId: user.id, status: 'offline' });
      const [late] = await people(test, server, ['late'], options);
      await watcher.next('user:online', about(late));
      assert.deepEqual([...watcher.told('user:online'), ...watcher.told('user:offline')].filter(who), [], 'she appears offline');
      const listed = (await server.api('GET', '/api/users/online', { token: watcher.user.token })).body.users;
      assert.deepEqual(listed.filter(({ id }) => id === user.id), []);
      await alice.succeed('user:status', 'away');
      assert.deepEqual(await watcher.next('user:online', who), { userId: user.id, status: 'away' });
    });
  });
}

describe('conversation: typing', () => {
  const [short, endless] = [useServer({ env: { TYPING_TTL: '1s' } }), useServer({ env: { TYPING_TTL: '1h' } })];

  it('lapses', async (test) => {
    const [alice, bob] = await people(test, short.server, ['alice', 'bob'], { dialect: 'conversation' });
    const conversationId = await makeDirect(short.server, alice, bob);
    alice.tell('typing:start', { conversationId });
    await bob.next('typing:start');
    await bob.next('typing:stop');
  });

  it('ends with a disconnect; repeats and stops without a start are silent', async (test) => {
    const [alice, bob] = await people(test, endless.server, ['alice', 'bob'], { dialect: 'conversation' });
    const conversationId = await makeDirect(endless.server, alice, bob);
    for (const event of ['typing:stop', 'typing:start', 'typing:start']) await alice.succeed(event, { conversationId });
    await bob.next('typing:start');
    await alice.succeed('typing:stop', { conversationId });
    await bob.next('typing:stop');
    await alice.succeed('typing:start', { conversationId });
    await bob.next('typing:start');
    assert.deepEqual([...bob.told('typing:start'), ...bob.told('typing:stop')], []);
    alice.close();
    await bob.next('typing:stop');
  });
});

describe('conversation: what the document\'s own code expects', () => {
  const holder = useServer();

  it('connects, is told who it is, and logs its errors', async (test) => {
    const user = newUser('reader');
    const client = open(holder.server, { auth: { token: user.token }, reconnection: true, reconnectionDelay: 1000, reconnectionAttempts: 5 });
    closeAfter(test, client);
    const log = [];
    client.socket.on('connect', () => log.push(`Connected to socket server: ${client.socket.id}`));
    client.socket.on('connected', (data) => log.push(`Authenticated: ${JSON.stringify(data)}`));
    client.socket.on('error', (error) => log.push(`Socket error: ${error.message}`));
    await client.next('connected');
    client.tell('conversation:join', 'conv-123');
    await client.next('error');
    assert.deepEqual(log, [
      `Connected to socket server: ${client.socket.id}`,
      `Authenticated: ${JSON.stringify({ userId: user.id, socketId: client.socket.id })}`,
      'Socket error: Not a member',
    ]);
  });

  it('its health check', async () => {
    const { status, body } = await holder.server.api('GET', '/api/socket/health');
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(body.socket).sort(), ['connected', 'initialized', 'rooms']);
    assert.equal(body.status, 'ok');
  });
});
