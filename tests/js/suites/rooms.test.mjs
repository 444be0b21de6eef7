// `listing`'s public rooms, and how a connection's dialect is learned and pinned.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { assertTime, history, people, settle } from '../lib/chat.mjs';
import { assertRefusal, TRANSPORTS } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { useServer } from '../lib/server.mjs';

const summary = ({ user }) => ({ _id: user.id, fullName: user.username, username: user.username, profilePicture: null });

function assertRoomMessage(message, sender, roomId, content) {
  const { _id, timestamp, ...rest } = message;
  assert.match(_id, /^[0-9a-f-]{36}$/);
  assertTime(timestamp);
  assert.deepEqual(rest, { user: summary(sender), roomId, message: content, messageType: 'text' });
}

for (const database of DATABASES) {
  describe(`public rooms on ${database}`, () => {
    const holder = useServer({ database });

    for (const transport of Object.keys(TRANSPORTS)) {
      it(`join, send, leave, ${transport}`, async (test) => {
        const [alice, bob, outsider] = await people(test, holder.server, ['alice', 'bob', 'outsider'], { transport });
        const roomId = `flat-${transport}`;
        for (const member of [alice, bob]) {
          member.tell('joinRoom', roomId);
          assert.deepEqual(await member.next('joinedRoom'), { roomId, success: true });
        }
        outsider.tell('sendRoomMessage', { roomId, content: 'is it still free?' });
        const shown = [];
        for (const client of [alice, bob, outsider]) {
          const message = await client.next('roomMessage');
          assertRoomMessage(message, outsider, roomId, 'is it still free?');
          shown.push(message._id);
        }
        assert.equal(new Set(shown).size, 1);

        bob.tell('leaveRoom', roomId);
        assert.deepEqual(await bob.next('leftRoom'), { roomId, success: true });
        alice.tell('sendRoomMessage', { roomId, content: 'taken' });
        assertRoomMessage(await alice.next('roomMessage'), alice, roomId, 'taken');
        await bob.ask('joinRoom', 'another');
        assert.deepEqual(bob.told('roomMessage'), []);
        assert.deepEqual(outsider.told('roomMessage'), []);

        const stored = await history(holder.server, bob.user.token, `/api/rooms/${roomId}/messages`);
        assert.deepEqual(stored.map(({ message, seq }) => [message, seq]), [['is it still free?', 1], ['taken', 2]]);
      });
    }

    it('acks carry the reply, and a number stays a number', async (test) => {
      const [alice] = await people(test, holder.server, ['alice']);
      assert.deepEqual(await alice.ask('joinRoom', 17), { success: true, roomId: 17 });
      assert.deepEqual(await alice.next('joinedRoom'), { roomId: 17, success: true });
      const answer = await alice.succeed('sendRoomMessage', { roomId: 17, content: 'numbers', messageType: 'text' });
      const { success, ...reply } = answer;
      assert.deepEqual(reply, await alice.next('roomMessage'));
      assertRoomMessage(reply, alice, 17, 'numbers');
      const stored = await history(holder.server, alice.user.token, '/api/rooms/17/messages');
      assert.equal(stored.length, 1);
      assert.equal(stored[0].roomId, '17');
    });

    it('a room that nobody wrote in has an empty history', async (test) => {
      const [alice] = await people(test, holder.server, ['alice']);
      assert.deepEqual(await history(holder.server, alice.user.token, '/api/rooms/nowhere/messages'), []);
    });

    it('a room is no conversation, whatever its name', async (test) => {
      const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
      const { conversationId } = (await alice.succeed('send_direct_message', { recipientId: bob.user.id, content: 'private' })).message;
      const [eve] = await people(test, holder.server, ['eve']);
      await eve.succeed('joinRoom', conversationId);
      await alice.succeed('send_direct_message', { recipientId: bob.user.id, content: 'still private' });
      await eve.succeed('sendRoomMessage', { roomId: conversationId, content: 'let me in' });
      await settle(bob, alice);
      assert.deepEqual([...eve.told('new_message'), ...eve.told('directMessage')], []);
      assert.deepEqual([...alice.told('roomMessage'), ...bob.told('roomMessage')], []);
      assert.deepEqual(await history(holder.server, eve.user.token, `/api/rooms/${conversationId}/messages`).then((all) => all.length), 1);
    });
  });
}

describe('learning and pinning', () => {
  const holder = useServer();

  /** Returns whether a direct message reaches this client in `messenger`. */
  async function hearsMessenger(sender, recipient) {
    const before = recipient.told('new_message').length;
    await sender.succeed('send_direct_message', { recipientId: recipient.user.id, content: 'do you read me?' });
    await recipient.ask('joinRoom', 'marker');
    return recipient.told('new_message').length > before;
  }

  it('an undetermined connection hears every dialect, and learns by what it says', async (test) => {
    const [sender, pupil] = await people(test, holder.server, ['sender', 'pupil']);
    await settle(sender, pupil);
    assert.equal(await hearsMessenger(sender, pupil), true, 'still undetermined when it was sent');
    assert.equal(await hearsMessenger(sender, pupil), false, 'speaks listing alone by now');
    // A refused event counts as well.
    await pupil.refused('INVALID_PAYLOAD', 'typing_start', {});
    assert.equal(await hearsMessenger(sender, pupil), true, 'speaks both');
  });

  it('a pinned connection speaks no other', async (test) => {
    const [sender] = await people(test, holder.server, ['sender']);
    const [listing] = await people(test, holder.server, ['listing'], { dialect: 'listing' });
    const [both] = await people(test, holder.server, ['both'], { dialect: ['listing', 'messenger'] });
    const [byQuery] = await people(test, holder.server, ['query'], { query: { dialect: 'messenger' } });
    assert.equal(await hearsMessenger(sender, listing), false);
    listing.tell('typing_start', { conversationId: 'x' });
    assert.equal(await hearsMessenger(sender, listing), false);
    assert.deepEqual(listing.told('error'), [], 'what it does not speak is ignored');
    assert.equal(await hearsMessenger(sender, both), true);
    byQuery.tell('joinRoom', 'r');
    await settle(sender, byQuery);
    assert.deepEqual(byQuery.told('joinedRoom'), []);
  });

  it('auth wins over the query', async (test) => {
    const [sender] = await people(test, holder.server, ['sender']);
    const [client] = await people(test, holder.server, ['client'], { dialect: 'messenger', query: { dialect: 'listing' } });
    await settle(sender, client);
  });
});

describe('strict about names', () => {
  const holder = useServer({ env: { STRICT_EVENTS: 'true' } });

  it('an unknown event and another dialect\'s are refused by name', async (test) => {
    const [client] = await people(test, holder.server, ['client'], { dialect: 'messenger' });
    for (const name of ['make_coffee', 'joinRoom']) {
      client.tell(name, 'x');
      const error = await client.next('error');
      assertRefusal(error, 'UNKNOWN_EVENT');
      assert.equal(error.event, name);
      assert.equal(error.message, error.error);
      await client.refused('UNKNOWN_EVENT', name, 'x');
    }
    assert.deepEqual(client.told('error'), []);
  });
});
