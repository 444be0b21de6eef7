// A send repeated with its `clientMessageId` is one message (P4).
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';

import { assertMessage, conversationHistory, makeGroup, people, settle } from '../lib/chat.mjs';
import { closeAfter, connect } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';

/** UUID version 5 (RFC 9562 §5.5). */
function uuid5(namespace, name) {
  const hash = createHash('sha1').update(Buffer.from(namespace.replaceAll('-', ''), 'hex')).update(name).digest();
  hash[6] = (hash[6] & 0x0f) | 0x50;
  hash[8] = (hash[8] & 0x3f) | 0x80;
  return hash.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

const DNS = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';
const OURS = uuid5(DNS, 'parlance');

for (const database of DATABASES) {
  describe(`retry on ${database}`, () => {
    const holder = useServer({ database });

    it('gives the first answer, also while the first is under way and over HTTP; others see it once', async (test) => {
      const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
      const request = { recipientId: bob.user.id, content: 'once', clientMessageId: 'attempt-1' };
      const answers = await Promise.all([1, 2, 3].map(() => alice.succeed('send_direct_message', request)));
      const [{ message }] = answers;
      assertMessage(message, alice.user, { content: 'once', clientMessageId: 'attempt-1' });
      assert.equal(message._id, uuid5(uuid5(OURS, alice.user.id), 'attempt-1'));
      for (const answer of answers) assert.equal(answer.message._id, message._id);

      const again = await connect(holder.server, alice.user);
      closeAfter(test, again);
      const later = await again.succeed('send_direct_message', request);
      assert.deepEqual([later.message._id, later.message.createdAt], [message._id, message.createdAt]);
      const path = `/api/conversations/${message.conversationId}/messages`;
      const posted = await holder.server.api('POST', path, { token: alice.user.token, body: { content: 'once', clientMessageId: 'attempt-1' } });
      assert.equal(posted.body.message?._id, message._id, JSON.stringify(posted.body));

      await settle(alice, bob);
      assert.deepEqual(bob.told('new_message').map((told) => told.message._id), [message._id]);
      assert.equal((await conversationHistory(holder.server, bob.user.token, message.conversationId)).length, 2);
    });

    it('two senders may choose the same one, and a room message may have one', async (test) => {
      const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
      const group = await makeGroup(holder.server, alice, [bob]);
      const request = { conversationId: group, content: 'same name', clientMessageId: 'shared' };
      const [one, other] = [await alice.succeed('send_group_message', request), await bob.succeed('send_group_message', request)];
      assert.notEqual(one.message._id, other.message._id);
      await bob.next('new_group_message', ({ message }) => message._id === other.message._id);
      const room = { roomId: 'retry', content: 'in a room', clientMessageId: 'room-1' };
      await bob.succeed('joinRoom', 'retry');
      const [first, second] = [await alice.succeed('sendRoomMessage', room), await alice.succeed('sendRoomMessage', room)];
      assert.equal(first._id, second._id);
      await bob.next('roomMessage');
      await bob.succeed('joinRoom', 'marker');
      assert.deepEqual(bob.told('roomMessage'), []);
    });
  });

  describe(`retry after a restart on ${database}`, () => {
    it('is still the same message', async (test) => {
      const server = await Server.start({ database });
      test.after(() => server.remove());
      const [user, peer] = [newUser('alice'), newUser('bob')];
      const request = { recipientId: peer.id, content: 'before and after', clientMessageId: 'over-the-crash' };
      const before = await connect(server, user);
      closeAfter(test, before);
      const { message } = await before.succeed('send_direct_message', request);
      await server.end('SIGKILL');
      await server.launch();
      const [after, bob] = [await connect(server, user), await connect(server, peer)];
      closeAfter(test, after, bob);
      assert.equal((await after.succeed('send_direct_message', request)).message._id, message._id);
      await after.refused('CONFLICT', 'send_direct_message', { ...request, content: 'something else' });
      await settle(after, bob);
      assert.deepEqual(bob.told('new_message').map((told) => told.message._id), [message._id], 'once, by catch-up');
    });
  });
}
