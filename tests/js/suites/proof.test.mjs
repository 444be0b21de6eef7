// "Delivered" means that the recipient's client has the message, and nothing less.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { conversationHistory, people } from '../lib/chat.mjs';
import { closeAfter, connect, TRANSPORTS, VERSIONS } from '../lib/client.mjs';
import { assertReceipt, makeDirect } from '../lib/conversation.mjs';
import { DATABASES } from '../lib/database.mjs';
import { onALine } from '../lib/line.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

/** Waits until a message's status in the history is `expected`. */
async function statusBecomes(server, { user }, conversation, id, expected) {
  await within(LIMIT, `status ${expected}`, (async () => {
    while ((await conversationHistory(server, user.token, conversation)).find(({ _id }) => _id === id).status !== expected);
  })());
}

for (const database of DATABASES) {
  describe(`proof of delivery on ${database}`, () => {
    const holder = useServer({ database, env: { PROOF_INTERVAL: '1h', RATE_LIMIT_EVENTS: '0' } });

    for (const transport of Object.keys(TRANSPORTS)) {
      // Over polling, nothing is received while no request can be sent.
      for (const direction of transport === 'polling' ? ['down'] : ['down', 'up']) {
        it(`the sender who waits is told when it is proven, not when it is sent, ${transport}, nothing passes ${direction}`, async (test) => {
          const { server } = holder;
          const [alice] = await people(test, server, ['alice'], { dialect: 'conversation' });
          const { client: bob, way } = await onALine(test, server, newUser('bob'), { transport, dialect: 'conversation' });
          if (transport === 'upgrading') await bob.upgraded();
          const conversationId = await makeDirect(server, alice, bob);
          const { id: first } = await alice.succeed('message:send', { conversationId, content: 'first' });
          await alice.next('message:delivered', ({ messageId }) => messageId === first);

          way.hold(direction);
          const message = await alice.succeed('message:send', { conversationId, content: 'held back' });
          if (direction === 'up') await bob.next('message:new', ({ content }) => content === 'held back');
          // Events at another device of hers come behind all that she could have received by now.
          const phone = await connect(server, alice.user, { dialect: 'conversation' });
          closeAfter(test, phone);
          await alice.succeed('conversation:leave', conversationId);
          assert.deepEqual(alice.told('message:delivered'), []);
          const [, before] = await conversationHistory(server, alice.user.token, conversationId);
          assert.equal(before.status, 'sent');

          way.release();
          assertReceipt(await alice.next('message:delivered'), message, bob);
          await phone.next('message:delivered', ({ messageId }) => messageId === message.id);
          await statusBecomes(server, alice, conversationId, message.id, 'delivered');
        });
      }
    }
  });
}

describe('proof of delivery', () => {
  it('comes within PROOF_INTERVAL where nobody waits', async (test) => {
    const server = await Server.start({ env: { PROOF_INTERVAL: '300ms' } });
    test.after(() => server.remove());
    const [alice, bob] = await people(test, server, ['alice', 'bob'], { dialect: 'messenger' });
    const { message, status } = await alice.succeed('send_direct_message', { recipientId: bob.user.id, content: 'hello' });
    assert.equal(status, 'delivered', 'it was handed to a live socket');
    await statusBecomes(server, alice, message.conversationId, message._id, 'delivered');
    assert.deepEqual(alice.told('message_delivered'), [], 'the answer said so');
  });

  for (const version of Object.keys(VERSIONS)) {
    it(`what was not proven comes again to a client that knows no offset, ${version}`, async (test) => {
      const server = await Server.start({ env: { PROOF_INTERVAL: '1h', PRESENCE_GRACE: '0s' } });
      test.after(() => server.remove());
      const user = newUser('bob');
      const [alice] = await people(test, server, ['alice'], { dialect: 'messenger' });
      const { client: bob, way } = await onALine(test, server, user, { version, reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 100 });
      const { message } = await alice.succeed('send_direct_message', { recipientId: user.id, content: 'unproven' });
      assert.equal((await bob.next('new_message')).message._id, message._id);
      way.reset();
      await bob.disconnected();
      await bob.connected();
      const { message: last } = await alice.succeed('send_direct_message', { recipientId: user.id, content: 'last' });
      await bob.next('new_message', ({ message: { _id } }) => _id === last._id);
      // It is the same message: a client that compares ids shows it once.
      const again = bob.told('new_message').map(({ message: { _id } }) => _id);
      assert.deepEqual(again, version === '4.8' ? [] : [message._id]);
    });
  }
});
