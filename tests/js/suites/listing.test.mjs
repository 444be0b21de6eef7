// The marketplace's front end: what its original server's documentation promises, and what it shows its users. That
// documentation describes the server's side; the front end uses what is there, without acks, and shows `error.message`.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { assertTime, history, makeGroup, people } from '../lib/chat.mjs';
import { assertRefusal, closeAfter, connect, refusal, TRANSPORTS } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { settingOf } from '../lib/dialects.mjs';
import { PNG, upload } from '../lib/files.mjs';
import { WORDS, assertDirectMessage, assertPublicMessage } from '../lib/listing.mjs';
import { OUTAGES } from '../lib/outage.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { epoch, newUser, sign } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const KEY = 'the-market-place-server';
const SEND_FAILED = 'Failed to send message';
const LONG = 'x'.repeat(201);

/** Sets the title of a listing, as its server does. */
async function setTitle(server, listing, title) {
  const { status, body } = await server.api('PUT', `/api/listings/${listing}`, { headers: { 'x-api-key': KEY }, body: { title } });
  assert.deepEqual([status, body], [200, { success: true, listing: { id: listing, title } }]);
}

/** Proves that nothing else is in flight from `sender` to `receiver`; earlier events stay in the inbox. */
async function settle(sender, receiver) {
  const content = `marker ${Math.random()}`;
  sender.tell('sendDirectMessage', { receiverId: receiver.user.id, content });
  for (const client of [sender, receiver]) await client.next('directMessage', ({ message }) => message === content);
}

/** Sends as the front end does; returns the event that the sender is shown. */
async function say(sender, receiver, content, more = {}) {
  sender.tell('sendDirectMessage', { receiverId: receiver.user.id, content, ...more });
  return sender.next('directMessage', ({ message }) => message === content);
}

for (const database of DATABASES) {
  describe(`listing on ${database}`, () => {
    const holder = useServer({ database, env: { API_KEYS: KEY, RATE_LIMIT_EVENTS: '0' } });

    for (const transport of Object.keys(TRANSPORTS)) {
      it(`sets up and talks about a listing, ${transport}`, async (test) => {
        const { server } = holder;
        const [ann, bob] = await people(test, server, ['ann', 'bob'], { transport });
        const phone = await connect(server, ann.user, { transport, dialect: 'listing' });
        const tablet = await connect(server, bob.user, { transport });
        closeAfter(test, phone, tablet);
        for (const client of [ann, bob, tablet]) {
          client.tell('setupUser', { userId: client.user.id });
          assert.deepEqual(await client.next('userSetup'), { success: true, userId: client.user.id });
        }

        const listingId = `flat-${transport}`;
        ann.tell('sendDirectMessage', { receiverId: bob.user.id, content: 'Is it still free?', listingId });
        const shown = await ann.next('directMessage');
        assertDirectMessage(shown, ann, bob, 'Is it still free?', { listingId: { _id: listingId, title: null } });
        assert.equal(shown.updatedAt, shown.createdAt);
        for (const client of [phone, bob, tablet]) assert.deepEqual(await client.next('directMessage'), shown);

        await setTitle(server, listingId, 'Sunny loft');
        bob.tell('sendDirectMessage', { receiverId: ann.user.id, content: 'Yes', listingId, messageType: 'answer' });
        const answer = await ann.next('directMessage');
        assertDirectMessage(answer, bob, ann, 'Yes', { listingId: { _id: listingId, title: 'Sunny loft' }, messageType: 'answer' });
        for (const client of [phone, bob, tablet]) assert.deepEqual(await client.next('directMessage'), answer);

        await settle(ann, bob);
        for (const client of [ann, bob]) {
          assert.deepEqual(client.inbox.filter(({ event }) => WORDS.includes(event)), [], 'each once');
        }
      });

      it(`the common chat, ${transport}`, async (test) => {
        const { server } = holder;
        const [ann, bob, outsider] = await people(test, server, ['ann', 'bob', 'outsider'], { transport, dialect: 'listing' });
        for (const client of [ann, bob]) {
          client.tell('joinCommonChat');
          assert.deepEqual(await client.next('joinedCommonChat'), { success: true });
        }
        outsider.tell('sendCommonChatMessage', { content: 'hello all' });
        const first = await outsider.next('commonChatMessage');
        assertPublicMessage(first, outsider, 'hello all');
        for (const client of [ann, bob]) assert.deepEqual(await client.next('commonChatMessage'), first);

        bob.tell('leaveCommonChat');
        assert.deepEqual(await bob.next('leftCommonChat'), { success: true });
        ann.tell('sendCommonChatMessage', { content: 'bye', messageType: 'farewell' });
        const second = await ann.next('commonChatMessage');
        assertPublicMessage(second, ann, 'bye', { messageType: 'farewell' });
        await settle(ann, bob);
        assert.deepEqual([...bob.told('commonChatMessage'), ...outsider.told('commonChatMessage')], []);

        const stored = await history(server, bob.user.token, '/api/common-chat/messages');
        const [{ seq: before, ...one }, { seq: after, ...two }] = stored.slice(-2);
        assert.deepEqual([one, two], [first, second], 'the event\'s payload, and a number');
        assert.equal(after, before + 1);
      });
    }

    it('rooms have their history in their event\'s payload', async (test) => {
      const [ann] = await people(test, holder.server, ['ann']);
      const roomId = 'a/b %';
      ann.tell('sendRoomMessage', { roomId, content: 'anybody?' });
      const shown = await ann.next('roomMessage');
      assertPublicMessage(shown, ann, 'anybody?', { roomId });
      const stored = await history(holder.server, ann.user.token, `/api/rooms/${encodeURIComponent(roomId)}/messages`);
      assert.deepEqual(stored, [{ ...shown, seq: 1 }]);
    });

    it('acks carry the reply, and the event comes as well', async (test) => {
      const [ann, bob] = await people(test, holder.server, ['ann', 'bob']);
      assert.deepEqual(await ann.ask('setupUser', null), { success: true, userId: ann.user.id });
      assert.deepEqual(await ann.next('userSetup'), { success: true, userId: ann.user.id });
      for (const [event, reply] of [['joinCommonChat', 'joinedCommonChat'], ['leaveCommonChat', 'leftCommonChat']]) {
        assert.deepEqual(await ann.ask(event), { success: true });
        assert.deepEqual(await ann.next(reply), { success: true });
      }
      const { success, ...sent } = await ann.ask('sendDirectMessage', { receiverId: bob.user.id, content: 'acked', listingId: 17 });
      assert.equal(success, true);
      assertDirectMessage(sent, ann, bob, 'acked', { listingId: { _id: '17', title: null } });
      assert.deepEqual(await ann.next('directMessage'), sent);
      assert.deepEqual(await bob.next('directMessage'), sent);
      const common = await ann.ask('sendCommonChatMessage', { content: 'acked' });
      const told = await ann.next('commonChatMessage');
      assertPublicMessage(told, ann, 'acked');
      assert.deepEqual(common, { success: true, ...told });
    });

    it('to oneself', async (test) => {
      const [ann] = await people(test, holder.server, ['ann']);
      const phone = await connect(holder.server, ann.user, { dialect: 'listing' });
      closeAfter(test, phone);
      const shown = await say(ann, ann, 'note to self');
      assertDirectMessage(shown, ann, ann, 'note to self');
      assert.deepEqual(await phone.next('directMessage'), shown);
      assert.deepEqual([...ann.told('directMessage'), ...phone.told('directMessage')], []);
    });

    it('who was away finds it at the next connect, with the title of then', async (test) => {
      const { server } = holder;
      const [ann, away] = await people(test, server, ['ann', 'away']);
      away.close();
      const sent = await say(ann, away, 'call me', { listingId: 'garden' });
      await setTitle(server, 'garden', 'Garden with shed');
      const back = await connect(server, away.user, { dialect: 'listing' });
      closeAfter(test, back);
      const missed = await back.next('directMessage');
      assert.deepEqual(missed, { ...sent, listingId: { _id: 'garden', title: 'Garden with shed' } });
    });

    it('edited and deleted ones have words of their own', async (test) => {
      const { server } = holder;
      const [ann, bob] = await people(test, server, ['ann', 'bob'], { dialect: 'listing' });
      const { token } = ann.user;
      const group = await makeGroup(server, ann, [bob]);
      const inGroup = await server.api('POST', `/api/conversations/${group}/messages`, { token, body: { content: 'to all' } });
      assert.equal(inGroup.status, 201);
      const sent = await say(ann, bob, 'tpyo');
      assert.deepEqual(await bob.next('directMessage'), sent);

      const path = `/api/messages/${sent._id}`;
      for (const [of, content] of [[`/api/messages/${inGroup.body.message._id}`, 'to you all'], [path, 'typo']]) {
        assert.equal((await server.api('PATCH', of, { token, body: { content } })).status, 200);
      }
      const updated = await bob.next('messageUpdated');
      assert.deepEqual(updated, { ...sent, message: 'typo', updatedAt: updated.updatedAt });
      assert.ok(updated.updatedAt > sent.updatedAt);
      assert.deepEqual(await ann.next('messageUpdated'), updated);
      for (const of of [`/api/messages/${inGroup.body.message._id}`, path]) {
        assert.equal((await server.api('DELETE', of, { token })).status, 200);
      }
      for (const client of [ann, bob]) assert.deepEqual(await client.next('messageDeleted'), { _id: sent._id });
      await settle(ann, bob);
      assert.deepEqual([...ann.inbox, ...bob.inbox], [], 'a group is not told of here');
    });

    it('what other front ends send is shown as well as it can be', async (test) => {
      const { server } = holder;
      const [ann] = await people(test, server, ['ann'], { dialect: 'listing' });
      const [bob] = await people(test, server, ['bob'], { dialect: 'messenger' });
      const { file } = await upload(server, bob.user.token, 'plan.png', PNG);
      const first = await bob.succeed('send_direct_message', { recipientId: ann.user.id, file });
      const bare = await ann.next('directMessage');
      assertDirectMessage(bare, bob, ann, `plan.png ${file.url}`, { messageType: 'image', file });
      await bob.succeed('send_direct_message', { recipientId: ann.user.id, content: 'the plan', file });
      assertDirectMessage(await ann.next('directMessage'), bob, ann, 'the plan', { messageType: 'image', file });

      // The same in the other direction.
      const answer = await say(ann, bob, 'thanks', { listingId: 'flat' });
      const { conversationId, message } = await bob.next('new_message');
      assert.deepEqual([conversationId, message._id, message.content], [first.message.conversationId, answer._id, 'thanks']);
    });

    it('a repeat is answered by the same message, and shown to nobody else', async (test) => {
      const { server } = holder;
      const [ann, bob] = await people(test, server, ['ann', 'bob']);
      const payload = { receiverId: bob.user.id, content: 'once', clientMessageId: 'c1' };
      ann.tell('sendDirectMessage', payload);
      const first = await ann.next('directMessage');
      ann.tell('sendDirectMessage', payload);
      assert.deepEqual(await ann.next('directMessage'), first, 'its front end knows no other answer');
      const { success, ...again } = await ann.ask('sendDirectMessage', payload);
      assert.deepEqual([success, again], [true, first]);
      assert.deepEqual(await ann.next('directMessage'), first);
      ann.tell('sendDirectMessage', { ...payload, content: 'twice' });
      const error = await ann.next('error');
      assertRefusal(error, 'CONFLICT');
      assert.equal(error.message, SEND_FAILED);
      await settle(ann, bob);
      assert.deepEqual(bob.told('directMessage'), [first]);
    });

    it('a connection that says what only listing has hears listing alone', async (test) => {
      const { server } = holder;
      const [ann, bob] = await people(test, server, ['ann', 'bob']);
      bob.tell('setupUser');
      await bob.next('userSetup');
      bob.inbox.length = 0;
      await say(ann, bob, 'hello');
      await bob.next('directMessage');
      await bob.ask('joinCommonChat');
      assert.deepEqual(bob.inbox.map(({ event }) => event), ['joinedCommonChat']);
    });
  });

  describe(`listing's copies on ${database}`, () => {
    const holder = useServer({ database, env: { API_KEYS: KEY, RATE_LIMIT_EVENTS: '0' } });
    const sync = (client, body) => holder.server.api('POST', '/api/messages/sync', { token: client.user.token, body });

    it('hold what was shown, and follow it', async (test) => {
      const { server } = holder;
      const [ann, bob, carol] = await people(test, server, ['ann', 'bob', 'carol']);
      const nothing = await sync(ann, { otherUserId: bob.user.id });
      assert.deepEqual([nothing.status, nothing.body], [200, {
        success: true, messages: [], deleted: [], syncTimestamp: '1970-01-01T00:00:00.000Z', count: 0,
      }]);
      const idle = await server.api('GET', '/api/messages/sync-status', { token: ann.user.token });
      const { serverTime, ...rest } = idle.body;
      assert.deepEqual([idle.status, rest], [200, { success: true, lastActivity: null, userId: ann.user.id }]);
      assertTime(serverTime);

      const shown = [await say(ann, bob, 'one', { listingId: 'flat' }), await say(bob, ann, 'two'), await say(ann, bob, 'three')];
      await say(carol, bob, 'from another');
      const all = await sync(ann, { otherUserId: bob.user.id });
      assert.deepEqual(all.body, { success: true, messages: shown, deleted: [], syncTimestamp: shown[2].updatedAt, count: 3 });
      assert.deepEqual((await sync(bob, { otherUserId: ann.user.id })).body, all.body);
      const later = { otherUserId: bob.user.id, lastSyncTimestamp: Date.parse(shown[0].updatedAt) };
      assert.deepEqual((await sync(ann, later)).body.messages, shown.slice(1));
      const status = await server.api('GET', '/api/messages/sync-status', { token: ann.user.token });
      assert.equal(status.body.lastActivity, all.body.syncTimestamp);

      let since = all.body.syncTimestamp;
      await bob.succeed('mark_as_read', { messageId: shown[2]._id });
      const read = await sync(ann, { otherUserId: bob.user.id, lastSyncTimestamp: since });
      const [{ updatedAt }] = read.body.messages;
      assert.deepEqual([read.body.messages, read.body.count], [[{ ...shown[2], isRead: true, updatedAt }], 1]);
      assert.ok(updatedAt > since);
      assert.equal(read.body.syncTimestamp, updatedAt);
      since = updatedAt;
      assert.equal((await server.api('DELETE', `/api/messages/${shown[0]._id}`, { token: ann.user.token })).status, 200);
      const deleted = await sync(ann, { otherUserId: bob.user.id, lastSyncTimestamp: since });
      const { syncTimestamp } = deleted.body;
      assert.deepEqual([deleted.body.messages, deleted.body.count], [[], 1]);
      assert.deepEqual(deleted.body.deleted, [{ _id: shown[0]._id, deletedAt: syncTimestamp }]);
      assert.ok(syncTimestamp > since);
      assert.deepEqual((await sync(ann, { otherUserId: bob.user.id })).body.messages.map(({ _id }) => _id), [shown[1]._id, shown[2]._id]);
    });

    it('miss nothing that is sent meanwhile, and come to an end', async (test) => {
      const [ann, bob] = await people(test, holder.server, ['ann', 'bob']);
      const count = 350;
      const kept = new Map();
      let answers = 0;
      let since;
      const ask = async () => {
        const { status, body } = await sync(bob, { otherUserId: ann.user.id, lastSyncTimestamp: since });
        assert.equal(status, 200, JSON.stringify(body));
        assert.ok(body.count <= 100 && body.count === body.messages.length + body.deleted.length);
        answers += 1;
        since = body.syncTimestamp;
        for (const message of body.messages) {
          const known = kept.get(message._id);
          assert.ok(!known || known.updatedAt < message.updatedAt, 'nothing comes again unchanged');
          kept.set(message._id, message);
        }
        return body.count;
      };
      const sends = Promise.all(Array.from({ length: count }, (_, index) => ann.succeed('sendDirectMessage', { receiverId: bob.user.id, content: `${index}` })));
      let sent;
      sends.then((all) => { sent = all; });
      while (!sent) await ask();
      while (await ask() > 0) assert.ok(answers < 10_000);
      assert.deepEqual([...kept.keys()], sent.map(({ _id }) => _id));
    });

    it('are refused in the front end\'s words', async (test) => {
      const { server } = holder;
      const [ann] = await people(test, server, ['ann']);
      const refused = (error, code) => ({ success: false, error, message: error, code });
      for (const [body, error] of [
        [{}, 'otherUserId is required'],
        [{ otherUserId: '' }, 'otherUserId is required'],
        [{ otherUserId: { _id: 'x' } }, 'Invalid otherUserId'],
        [{ otherUserId: 'bob', lastSyncTimestamp: 'yesterday' }, 'Invalid lastSyncTimestamp'],
      ]) {
        const answer = await sync(ann, body);
        assert.deepEqual([answer.status, answer.body], [400, refused(error, 'INVALID_PAYLOAD')]);
      }
      const anonymous = await server.api('POST', '/api/messages/sync', { body: { otherUserId: 'bob' } });
      assert.deepEqual([anonymous.status, anonymous.body], [401, refused('No token', 'NO_TOKEN')]);
      const wrong = await server.api('PUT', '/api/listings/flat', { headers: { 'x-api-key': 'guessed' }, body: { title: 'Mine' } });
      assert.deepEqual([wrong.status, wrong.body], [401, refused('Invalid token', 'INVALID_TOKEN')]);
    });
  });

  describe(`listing in an outage on ${database}`, () => {
    async function setUp(test, env) {
      const outage = await OUTAGES[database](test);
      const server = await Server.start({ database, databaseUrl: outage.databaseUrl, env });
      test.after(() => server.remove());
      const [ann, bob] = await people(test, server, ['ann', 'bob'], { dialect: 'listing' });
      await settle(ann, bob);
      await settle(bob, ann);
      return { outage, server, ann, bob };
    }

    it('the sender is shown nothing before it is stored, and then all in order', async (test) => {
      const { outage, server, ann, bob } = await setUp(test, { STORE_RETRY_FOR: '5m' });
      await ann.succeed('joinCommonChat');
      await outage.begin(server);
      ann.tell('sendDirectMessage', { receiverId: bob.user.id, content: 'held' });
      const live = await bob.next('directMessage');
      ann.tell('sendCommonChatMessage', { content: 'held, too' });
      bob.tell('sendDirectMessage', { receiverId: ann.user.id, content: 'behind it' });
      await bob.succeed('joinCommonChat');
      assert.deepEqual(await ann.ask('joinRoom', 'r'), { success: true, roomId: 'r' }, 'acks and replies pass');
      await ann.next('joinedRoom');
      assert.deepEqual([...ann.told('directMessage'), ...ann.told('commonChatMessage'), ...bob.told('directMessage')], []);
      await outage.end();
      assert.deepEqual(await ann.next('directMessage', () => true, 3 * LIMIT), live);
      await ann.next('directMessage', ({ message }) => message === 'behind it');
      await ann.next('commonChatMessage');
      assert.deepEqual(ann.told('error'), []);
    });

    it('what is not stored is refused, and its sender is not shown it', async (test) => {
      const { outage, server, ann, bob } = await setUp(test, { STORE_RETRY_FOR: '3s' });
      await outage.begin(server);
      ann.tell('sendDirectMessage', { receiverId: bob.user.id, content: 'lost', listingId: 'unknown', clientMessageId: 'c1' });
      const error = await ann.next('error', () => true, 3 * LIMIT);
      assert.ok(['NOT_STORED', 'STORAGE_UNAVAILABLE'].includes(error.code), JSON.stringify(error));
      assert.deepEqual(error, { message: SEND_FAILED, error: error.error, code: error.code, event: 'sendDirectMessage' });
      assert.equal(bob.told('directMessage').length, error.code === 'NOT_STORED' ? 1 : 0);
      for (const [event, payload] of [
        ['sendDirectMessage', { receiverId: bob.user.id, content: 'not now' }],
        ['sendCommonChatMessage', { content: 'not now' }],
        ['sendRoomMessage', { roomId: 'r', content: 'not now' }],
      ]) {
        ann.tell(event, payload);
        const refused = await ann.next('error');
        assert.deepEqual([refused.message, refused.code, refused.event], [SEND_FAILED, 'STORAGE_UNAVAILABLE', event]);
      }
      const { token } = ann.user;
      for (const [method, path, body, sentence] of [
        ['POST', '/api/messages/sync', { otherUserId: bob.user.id }, 'Failed to sync conversation'],
        ['GET', '/api/messages/sync-status', undefined, 'Failed to get sync status'],
      ]) {
        const answer = await server.api(method, path, { token, body });
        const expected = { success: false, error: sentence, message: sentence, code: 'STORAGE_UNAVAILABLE' };
        assert.deepEqual([answer.status, answer.body], [503, expected]);
      }
      assert.deepEqual([...ann.told('directMessage'), ...ann.told('error')], []);

      await outage.end();
      const seen = bob.told('directMessage').length;
      const again = await within(3 * LIMIT, 'the first success', (async () => {
        for (;;) {
          const answer = await ann.ask('sendDirectMessage', { receiverId: bob.user.id, content: 'lost', listingId: 'unknown', clientMessageId: 'c1' });
          if (answer.success) return answer;
          assertRefusal(answer, error.code);
          await server.api('GET', '/readyz');
        }
      })());
      assert.equal((await ann.next('directMessage'))._id, again._id);
      await settle(ann, bob);
      assert.deepEqual(bob.told('directMessage').map(({ _id }) => _id), [again._id], seen === 1 ? 'not again' : 'now');
    });
  });
}

describe('what a listing front end is refused', () => {
  const env = { RATE_LIMIT_EVENTS: '0', MAX_MESSAGE_LENGTH: '10', MAX_ROOMS_PER_SOCKET: '1', STRICT_EVENTS: 'true', AUTO_PROVISION_USERS: 'false' };
  const holder = useServer({ env });

  /** Returns a registered user: here, unknown recipients are not created. */
  async function registered(test, name) {
    const username = `${name}-${Math.random().toString(36).slice(2)}`;
    const { status, body } = await holder.server.api('POST', '/api/auth/register', {
      body: { username, email: `${username}@example.org`, password: 'correct horse' },
    });
    assert.equal(status, 201, JSON.stringify(body));
    const client = await connect(holder.server, { id: body.user.id, username, token: body.token }, { dialect: 'listing' });
    closeAfter(test, client);
    return client;
  }

  it('in its ack, or in one packet that says what to show', async (test) => {
    const [ann, bob] = [await registered(test, 'ann'), await registered(test, 'bob')];
    const to = (more) => ({ receiverId: bob.user.id, content: 'hi', ...more });
    await ann.succeed('joinRoom', 'one');
    await ann.next('joinedRoom');
    const cases = [
      ['setupUser', '\u0000', 'INVALID_PAYLOAD', 'Invalid payload'],
      ['joinCommonChat', { a: ['\u0000'] }, 'INVALID_PAYLOAD', 'Invalid payload'],
      ['leaveCommonChat', '\u0000', 'INVALID_PAYLOAD', 'Invalid payload'],
      ['joinRoom', null, 'INVALID_PAYLOAD', 'Missing roomId'],
      ['joinRoom', { roomId: 'r' }, 'INVALID_PAYLOAD', 'Invalid roomId'],
      ['joinRoom', 'two', 'TOO_LARGE', 'Too large: too many rooms'],
      ['leaveRoom', 1.5, 'INVALID_PAYLOAD', 'Invalid roomId'],
      ['sendDirectMessage', null, 'INVALID_PAYLOAD', 'Missing receiverId'],
      ['sendDirectMessage', 'hi', 'INVALID_PAYLOAD', 'Invalid payload'],
      ['sendDirectMessage', to({ receiverId: 'with\nbreak' }), 'INVALID_PAYLOAD', 'Invalid receiverId'],
      ['sendDirectMessage', to({ receiverId: 'nobody' }), 'NOT_FOUND', 'User not found'],
      ['sendDirectMessage', to({ content: undefined }), 'INVALID_PAYLOAD', 'Missing content'],
      ['sendDirectMessage', to({ content: '' }), 'INVALID_PAYLOAD', 'Invalid content'],
      ['sendDirectMessage', to({ content: ['hi'] }), 'INVALID_PAYLOAD', 'Invalid content'],
      ['sendDirectMessage', to({ content: '\u0000' }), 'INVALID_PAYLOAD', 'Invalid content'],
      ['sendDirectMessage', to({ content: '01234567890' }), 'TOO_LARGE', 'Too large: the text is too long'],
      ['sendDirectMessage', to({ listingId: LONG }), 'INVALID_PAYLOAD', 'Invalid listingId'],
      ['sendDirectMessage', to({ listingId: { _id: 'flat' } }), 'INVALID_PAYLOAD', 'Invalid listingId'],
      ['sendDirectMessage', to({ messageType: '' }), 'INVALID_PAYLOAD', 'Invalid messageType'],
      ['sendDirectMessage', to({ clientMessageId: LONG }), 'INVALID_PAYLOAD', 'Invalid clientMessageId'],
      ['sendCommonChatMessage', null, 'INVALID_PAYLOAD', 'Missing content'],
      ['sendCommonChatMessage', { content: 'x'.repeat(11) }, 'TOO_LARGE', 'Too large: the text is too long'],
      ['sendRoomMessage', { content: 'hi' }, 'INVALID_PAYLOAD', 'Missing roomId'],
      ['sendRoomMessage', { roomId: 'r', content: 7 }, 'INVALID_PAYLOAD', 'Invalid content'],
    ];
    for (const [event, payload, code, error] of cases) {
      assert.deepEqual(await ann.ask(event, payload), { success: false, error, code }, `${event} ${JSON.stringify(payload)}`);
      ann.tell(event, payload);
      const message = event.startsWith('send') ? SEND_FAILED : error;
      assert.deepEqual(await ann.next('error'), { message, error, code, event });
    }
    ann.tell('send_direct_message', to({}));
    assert.deepEqual(await ann.next('error'), { message: 'Unknown event', error: 'Unknown event', code: 'UNKNOWN_EVENT', event: 'send_direct_message' });
    const last = await say(ann, bob, 'last');
    await bob.next('directMessage', ({ _id }) => _id === last._id);
    assert.deepEqual([...bob.inbox, ...ann.inbox], [], 'one packet per fault, and nobody saw anything');
    assert.ok(ann.socket.connected);
  });
});

describe('a listing front end in haste', () => {
  const holder = useServer({ env: { RATE_LIMIT_EVENTS: '1', RATE_LIMIT_BURST: '1' } });

  it('is told when to try again', async (test) => {
    const [ann] = await people(test, holder.server, ['ann'], { dialect: 'listing' });
    for (let sent = 0; sent < 52; sent += 1) ann.tell('sendCommonChatMessage', { content: `${sent}` });
    const { retryAfterMs, error, ...rest } = await ann.next('error');
    assert.deepEqual(rest, { message: SEND_FAILED, code: 'RATE_LIMITED', event: 'sendCommonChatMessage' });
    assert.ok(retryAfterMs > 0);
    assert.ok(error.length > 0);
  });
});

describe('a server for listing alone', () => {
  const holder = useServer({ env: { DIALECTS: 'listing' } });

  it('says nothing that its front end does not know', async (test) => {
    const [ann, bob] = await people(test, holder.server, ['ann', 'bob']);
    const shown = await say(ann, bob, 'hello');
    assert.deepEqual(await bob.next('directMessage'), shown);
    bob.tell('send_direct_message', { recipientId: ann.user.id, content: 'unknown here' });
    await bob.ask('joinCommonChat');
    for (const client of [ann, bob]) assert.ok(client.inbox.every(({ event }) => WORDS.includes(event)), JSON.stringify(client.inbox));
    assert.deepEqual([...ann.told('directMessage'), ...bob.told('error')], []);
  });

  it('refuses in its front end\'s words', async () => {
    const { server } = holder;
    const cases = [
      [{}, 'Authentication error: No token provided', 'NO_TOKEN'],
      [{ auth: { token: '' } }, 'Authentication error: No token provided', 'NO_TOKEN'],
      [{ auth: { token: 'nonsense' } }, 'Authentication error: Invalid token', 'INVALID_TOKEN'],
      [{ auth: { token: sign({ id: 'ann', exp: epoch(-60) }) } }, 'Authentication error: Invalid token', 'TOKEN_EXPIRED'],
      [{ auth: { token: newUser().token, dialect: 'messenger' } }, `Unknown dialect, known are: ${settingOf('listing')}`, 'UNKNOWN_DIALECT'],
    ];
    for (const [options, message, code] of cases) {
      const error = await refusal(server, options);
      assert.deepEqual([error.message, error.data.code], [message, code]);
    }
    const closed = await Server.start({ env: { DIALECTS: 'listing', AUTO_PROVISION_USERS: 'false' } });
    try {
      assert.equal((await refusal(closed, { auth: { token: newUser().token } })).message, 'Authentication error: User not found');
    } finally {
      await closed.remove();
    }
  });
});
