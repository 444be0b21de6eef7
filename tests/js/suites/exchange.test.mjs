// An ordinary day of a front end, with three releases of the stock client, over each transport, on both databases.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { assertMessage, assertTime, makeGroup, people } from '../lib/chat.mjs';
import { TRANSPORTS, VERSIONS } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { PNG, upload } from '../lib/files.mjs';
import { useServer } from '../lib/server.mjs';

for (const database of DATABASES) {
  describe(`exchange on ${database}`, () => {
    const holder = useServer({ database });
    for (const version of Object.keys(VERSIONS)) {
      for (const transport of Object.keys(TRANSPORTS)) {
        it(`client ${version}, ${transport}`, (test) => exchange(test, holder.server, { version, transport }));
      }
    }
  });
}

async function exchange(test, server, options) {
  const [alice, bob, carol] = await people(test, server, ['alice', 'bob', 'carol'], options);
  await presence(alice, bob);
  await directMessage(alice, bob);
  await groupMessage(server, alice, bob, carol);
  await file(server, alice, bob);
  if (options.transport === 'upgrading') await Promise.all([alice, bob, carol].map((client) => client.upgraded()));
  await directMessage(bob, alice);
  bob.close();
  const gone = await alice.next('user_offline', ({ userId }) => userId === bob.user.id);
  assert.deepEqual(Object.keys(gone).sort(), ['lastSeen', 'userId']);
  assertTime(gone.lastSeen);
}

async function presence(alice, bob) {
  const online = await alice.next('user_online', ({ userId }) => userId === bob.user.id);
  assert.deepEqual(online, { userId: bob.user.id, username: bob.user.username });
}

async function directMessage(from, to) {
  const content = 'Grüße \u{1F44B}\n"quoted" \\ and </script>';
  const answer = await from.succeed('send_direct_message', { recipientId: to.user.id, content });
  assert.deepEqual(Object.keys(answer).sort(), ['message', 'status', 'success']);
  assert.equal(answer.status, 'delivered');
  assertMessage(answer.message, from.user, { content, messageType: 'text', file: null, readBy: [] });
  const received = await to.next('new_message', ({ message }) => message._id === answer.message._id);
  assert.deepEqual(Object.keys(received).sort(), ['conversationId', 'message']);
  assert.equal(received.conversationId, answer.message.conversationId);
  assertMessage(received.message, from.user, { content, status: 'delivered', conversationId: received.conversationId });

  assert.deepEqual(await to.ask('mark_as_read', { messageId: answer.message._id }), { success: true });
  const receipt = await from.next('message_read', ({ messageId }) => messageId === answer.message._id);
  assert.deepEqual(Object.keys(receipt).sort(), ['conversationId', 'messageId', 'readAt', 'readBy']);
  assert.equal(receipt.readBy, to.user.id);
  assert.equal(receipt.conversationId, received.conversationId);
  assertTime(receipt.readAt);
}

async function groupMessage(server, alice, bob, carol) {
  const group = await makeGroup(server, alice, [bob, carol]);
  assert.deepEqual(await alice.ask('join_group', group), { success: true });
  assert.deepEqual(await bob.next('user_joined_group'), { userId: alice.user.id, username: alice.user.username, conversationId: group });
  await typing(bob, [alice, carol], group);

  const answer = await alice.succeed('send_group_message', { conversationId: group, content: 'all of you' });
  assert.deepEqual(Object.keys(answer).sort(), ['message', 'success']);
  assertMessage(answer.message, alice.user, { content: 'all of you', conversationId: group });
  for (const member of [alice, bob, carol]) {
    const { conversationId, message } = await member.next('new_group_message', ({ message }) => message._id === answer.message._id);
    assert.equal(conversationId, group);
    assertMessage(message, alice.user, { content: 'all of you', conversationId: group });
  }
  alice.tell('leave_group', group);
  assert.deepEqual(await bob.next('user_left_group'), { userId: alice.user.id, username: alice.user.username, conversationId: group });
}

async function typing(typist, others, conversationId) {
  const { id: userId, username } = typist.user;
  typist.tell('typing_start', { conversationId });
  for (const other of others) assert.deepEqual(await other.next('user_typing'), { userId, username, conversationId });
  assert.deepEqual(await typist.ask('typing_stop', { conversationId }), { success: true });
  for (const other of others) assert.deepEqual(await other.next('user_stopped_typing'), { userId, conversationId });
  assert.deepEqual(typist.told('user_typing'), []);
}

async function file(server, alice, bob) {
  const { file } = await upload(server, alice.user.token, 'photo of us.png', PNG);
  const answer = await alice.succeed('send_direct_message', { recipientId: bob.user.id, file });
  assertMessage(answer.message, alice.user, { content: '', messageType: 'image', file });
  const { message } = await bob.next('new_message', ({ message }) => message._id === answer.message._id);
  assertMessage(message, alice.user, { content: '', messageType: 'image', file });
  const bytes = Buffer.from(await (await fetch(server.url + message.file.url)).arrayBuffer());
  assert.deepEqual(bytes, PNG);
}
