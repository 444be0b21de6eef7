// Missed messages come at the next connect, in order, once (P6); everyone sees the same order (P5).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { assertMessage, assertTime, conversationHistory, makeGroup, people, settle } from '../lib/chat.mjs';
import { closeAfter, connect, TRANSPORTS } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { pipelined } from '../lib/wait.mjs';

for (const database of DATABASES) {
  describe(`offline on ${database}`, () => {
    const holder = useServer({ database, env: { RATE_LIMIT_EVENTS: '0' } });

    for (const transport of Object.keys(TRANSPORTS)) {
      it(`direct and group messages, oldest first, before anything new; the sender learns of it, ${transport}`, async (test) => {
        const [alice, bob] = await people(test, holder.server, ['alice', 'bob'], { transport });
        const group = await makeGroup(holder.server, alice, [bob]);
        bob.close();
        await alice.next('user_offline', ({ userId }) => userId === bob.user.id);
        const sent = [];
        for (let index = 0; index < 10; index++) {
          const [event, target] = index % 2 ? ['send_group_message', { conversationId: group }] : ['send_direct_message', { recipientId: bob.user.id }];
          const answer = await alice.succeed(event, { ...target, content: `${index}` });
          if (index % 2 === 0) assert.equal(answer.status, 'sent');
          sent.push(answer.message);
        }
        const back = await connect(holder.server, bob.user, { transport });
        closeAfter(test, back);
        await settle(alice, back);
        const missed = back.inbox.filter(({ event }) => event.startsWith('new_')).map(({ args }) => args[0].message);
        assert.deepEqual(missed.map(({ _id }) => _id), sent.map(({ _id }) => _id));
        missed.forEach((message) => assertMessage(message, alice.user));
        for (const { _id, conversationId } of sent) {
          const proof = await alice.next('message_delivered', ({ messageId }) => messageId === _id);
          const { deliveredAt, ...rest } = proof;
          assert.deepEqual(rest, { messageId: _id, conversationId, userId: bob.user.id });
          assertTime(deliveredAt);
        }

        const third = await connect(holder.server, bob.user, { transport });
        closeAfter(test, third);
        await settle(alice, third);
        assert.deepEqual(third.inbox.filter(({ event }) => event.startsWith('new_')), [], 'nothing comes twice');
      });
    }

    it('to somebody who was never here', async (test) => {
      const [alice] = await people(test, holder.server, ['alice']);
      const stranger = newUser('stranger');
      const { message, status } = await alice.succeed('send_direct_message', { recipientId: stranger.id, content: 'welcome' });
      assert.equal(status, 'sent');
      const client = await connect(holder.server, stranger);
      closeAfter(test, client);
      assert.equal((await client.next('new_message')).message._id, message._id);
    });

    it('in its latest form: edited is new, deleted is gone', async (test) => {
      const [alice] = await people(test, holder.server, ['alice']);
      const bob = newUser('bob');
      const send = (content) => alice.succeed('send_direct_message', { recipientId: bob.id, content });
      const [edited, deleted, kept] = [await send('draft'), await send('oops'), await send('kept')].map(({ message }) => message);
      const { token } = alice.user;
      assert.equal((await holder.server.api('PATCH', `/api/messages/${edited._id}`, { token, body: { content: 'final' } })).status, 200);
      assert.equal((await holder.server.api('DELETE', `/api/messages/${deleted._id}`, { token })).status, 200);
      const client = await connect(holder.server, bob);
      closeAfter(test, client);
      await settle(alice, client);
      assert.deepEqual(client.told('new_message').map(({ message }) => [message._id, message.content]), [[edited._id, 'final'], [kept._id, 'kept']]);
    });

    it('what is sent while the catch-up runs comes after it, and nothing is lost between', async (test) => {
      const [alice] = await people(test, holder.server, ['alice']);
      const bob = newUser('bob');
      const send = (index) => alice.succeed('send_direct_message', { recipientId: bob.id, content: `${index}` });
      await pipelined(300, 50, send);
      const during = pipelined(300, 10, (index) => send(300 + index));
      const client = await connect(holder.server, bob, { transport: 'polling' });
      closeAfter(test, client);
      await during;
      await settle(alice, client);
      const seen = client.told('new_message').map(({ message }) => message);
      const stored = await conversationHistory(holder.server, bob.token, seen[0].conversationId);
      assert.equal(seen.length, 600);
      assert.deepEqual(seen.map(({ _id }) => _id), stored.slice(0, 600).map(({ _id }) => _id));
    });
  });

  describe(`one order on ${database}`, () => {
    const holder = useServer({ database, env: { RATE_LIMIT_EVENTS: '0' } });

    it('every socket sees a group\'s messages in the order of their seq', async (test) => {
      const names = ['ann', 'ben', 'cem', 'dan', 'eve'];
      const transports = Object.keys(TRANSPORTS);
      const members = [];
      for (const [index, name] of names.entries()) members.push(...await people(test, holder.server, [name], { transport: transports[index % 3] }));
      const group = await makeGroup(holder.server, members[0], members.slice(1));
      const each = 60;
      await Promise.all(members.map((member) => (
        pipelined(each, 10, (index) => member.succeed('send_group_message', { conversationId: group, content: `${member.user.id} ${index}` }))
      )));
      const last = await members[0].succeed('send_group_message', { conversationId: group, content: 'the last one' });
      const stored = await conversationHistory(holder.server, members[0].user.token, group);
      assert.equal(stored.length, each * members.length + 1);
      assert.deepEqual(stored.map(({ seq }) => seq), stored.map((_, index) => index + 1));
      for (const member of members) {
        await member.next('new_group_message', ({ message }) => message._id === last.message._id);
        const seen = member.told('new_group_message').map(({ message }) => message._id);
        assert.deepEqual([...seen, last.message._id], stored.map(({ _id }) => _id));
      }
    });
  });
}
