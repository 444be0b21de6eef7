// Finer points of `messenger`: devices, muting, receipts, presence, typing.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { assertTime, makeGroup, people, settle } from '../lib/chat.mjs';
import { closeAfter, connect } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';

for (const database of DATABASES) {
  describe(`devices and groups on ${database}`, () => {
    const holder = useServer({ database });

    it('all devices of the recipient; of the sender only those that pinned messenger', async (test) => {
      const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
      const pinned = await connect(holder.server, alice.user, { dialect: 'messenger' });
      const learned = await connect(holder.server, alice.user);
      await learned.ask('leave_group', 'nothing');
      const second = await connect(holder.server, bob.user);
      closeAfter(test, pinned, learned, second);
      const { message } = await alice.succeed('send_direct_message', { recipientId: bob.user.id, content: 'everywhere' });
      for (const device of [bob, second, pinned]) assert.equal((await device.next('new_message')).message._id, message._id);
      await settle(bob, learned);
      await settle(bob, alice);
      for (const device of [learned, alice]) {
        assert.deepEqual(device.told('new_message').filter((told) => told.message._id === message._id), []);
      }
    });

    it('a direct message to oneself', async (test) => {
      const [alice] = await people(test, holder.server, ['alice'], { dialect: 'messenger' });
      const other = await connect(holder.server, alice.user, { dialect: 'messenger' });
      closeAfter(test, other);
      const { message } = await alice.succeed('send_direct_message', { recipientId: alice.user.id, content: 'note to self' });
      assert.equal((await other.next('new_message')).message._id, message._id);
    });

    it('one conversation, whoever begins it', async (test) => {
      const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
      const [there, back] = await Promise.all([
        alice.succeed('send_direct_message', { recipientId: bob.user.id, content: 'ping' }),
        bob.succeed('send_direct_message', { recipientId: alice.user.id, content: 'pong' }),
      ]);
      assert.equal(there.message.conversationId, back.message.conversationId);
    });

    it('leaving a group mutes it on that socket until it is joined again', async (test) => {
      const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
      const tablet = await connect(holder.server, bob.user);
      closeAfter(test, tablet);
      const group = await makeGroup(holder.server, alice, [bob]);
      await bob.succeed('leave_group', group);
      await alice.succeed('typing_start', { conversationId: group });
      const muted = await alice.succeed('send_group_message', { conversationId: group, content: 'muted' });
      assert.equal((await tablet.next('new_group_message')).message._id, muted.message._id);
      await settle(alice, bob);
      assert.deepEqual([...bob.told('new_group_message'), ...bob.told('user_typing')], []);
      await bob.succeed('join_group', group);
      const heard = await alice.succeed('send_group_message', { conversationId: group, content: 'heard' });
      assert.equal((await bob.next('new_group_message')).message._id, heard.message._id);
      assert.deepEqual(alice.told('user_left_group'), [], 'what was not opened is left silently');
    });

    it('opening and leaving are told once to the members', async (test) => {
      const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
      const group = await makeGroup(holder.server, alice, [bob]);
      for (const event of ['join_group', 'join_group', 'leave_group', 'leave_group']) await bob.succeed(event, group);
      await settle(bob, alice);
      assert.equal(alice.told('user_joined_group').length, 1);
      assert.equal(alice.told('user_left_group').length, 1);
    });

    it('who is added or removed over HTTP is in or out at once', async (test) => {
      const [alice, bob, carol] = await people(test, holder.server, ['alice', 'bob', 'carol']);
      const group = await makeGroup(holder.server, alice, [bob]);
      const path = `/api/conversations/${group}/participants`;
      const { token } = alice.user;
      const added = await holder.server.api('POST', path, { token, body: { participants: [carol.user.id] } });
      assert.equal(added.status, 200, JSON.stringify(added.body));
      const first = await alice.succeed('send_group_message', { conversationId: group, content: 'welcome' });
      for (const member of [bob, carol]) assert.equal((await member.next('new_group_message')).message._id, first.message._id);
      const removed = await holder.server.api('DELETE', `${path}/${bob.user.id}`, { token });
      assert.equal(removed.status, 200, JSON.stringify(removed.body));
      await alice.succeed('send_group_message', { conversationId: group, content: 'he is gone' });
      await settle(alice, bob);
      assert.deepEqual(bob.told('new_group_message'), []);
      await bob.refused('FORBIDDEN', 'send_group_message', { conversationId: group, content: 'me too' });
    });

    it('messages over HTTP are the socket\'s, edits and deletions have their own words', async (test) => {
      const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
      const { token } = alice.user;
      const { message } = await alice.succeed('send_direct_message', { recipientId: bob.user.id, content: 'first' });
      await bob.next('new_message');
      const posted = await holder.server.api('POST', `/api/conversations/${message.conversationId}/messages`, { token, body: { content: 'second' } });
      assert.equal(posted.status, 201, JSON.stringify(posted.body));
      assert.equal((await bob.next('new_message')).message._id, posted.body.message._id);

      const edited = await holder.server.api('PATCH', `/api/messages/${message._id}`, { token, body: { content: 'first, mended' } });
      assert.equal(edited.status, 200, JSON.stringify(edited.body));
      const updated = await bob.next('message_updated');
      assert.deepEqual([updated.conversationId, updated.message.content], [message.conversationId, 'first, mended']);
      const deleted = await holder.server.api('DELETE', `/api/messages/${message._id}`, { token });
      assert.equal(deleted.status, 200, JSON.stringify(deleted.body));
      assert.deepEqual(await bob.next('message_deleted'), { messageId: message._id, conversationId: message.conversationId });
      assert.deepEqual(bob.told('new_message'), []);
    });
  });

  describe(`receipts on ${database}`, () => {
    const holder = useServer({ database });

    it('are told once, and never for one\'s own message', async (test) => {
      const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
      const phone = await connect(holder.server, alice.user);
      const tablet = await connect(holder.server, bob.user, { dialect: 'messenger' });
      closeAfter(test, phone, tablet);
      const { message } = await alice.succeed('send_direct_message', { recipientId: bob.user.id, content: 'read me' });
      await bob.next('new_message');
      const messageId = message._id;
      await alice.succeed('mark_as_read', { messageId });
      await bob.succeed('mark_as_read', { messageId });
      await bob.succeed('mark_as_read', { messageId });
      for (const device of [alice, phone]) {
        const receipt = await device.next('message_read');
        assert.deepEqual([receipt.messageId, receipt.readBy], [messageId, bob.user.id]);
      }
      await settle(bob, alice);
      await settle(bob, phone);
      await settle(alice, tablet);
      assert.deepEqual(tablet.told('message_read'), [], 'its front end would take it for one of a message of its own');
      assert.deepEqual([...alice.told('message_read'), ...phone.told('message_read'), ...bob.told('message_read')], []);

      const { body } = await holder.server.api('GET', `/api/conversations/${message.conversationId}/messages`, { token: bob.user.token });
      const stored = body.messages.find(({ _id }) => _id === messageId);
      assert.equal(stored.status, 'read');
      assert.equal(stored.readBy.length, 1);
      assert.equal(stored.readBy[0].user, bob.user.id);
      assertTime(stored.readBy[0].readAt);
    });

    it('of a message that is still being stored wait for it', async (test) => {
      const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
      // Recorded in the callbacks, because promises of different depth settle in another order.
      const order = [];
      const sent = new Promise((resolve) => {
        alice.socket.emit('send_direct_message', { recipientId: bob.user.id, content: 'quick' }, (answer) => resolve(order.push('ack') && answer));
      });
      alice.socket.on('message_read', () => order.push('read'));
      const { message } = await bob.next('new_message');
      await bob.succeed('mark_as_read', { messageId: message._id });
      await alice.next('message_read');
      assert.equal((await sent).success, true);
      assert.deepEqual(order, ['ack', 'read']);
    });
  });
}

describe('presence', () => {
  const holder = useServer({ env: { PRESENCE_GRACE: '1s' } });

  it('the first socket comes and the last one goes', async (test) => {
    const [alice] = await people(test, holder.server, ['alice']);
    const user = newUser('bob');
    const about = ({ userId }) => userId === user.id;
    const first = await connect(holder.server, user);
    await first.next('user_online', about);
    const second = await connect(holder.server, user);
    await second.next('user_online', about);
    closeAfter(test, first, second);
    await alice.next('user_online', about);
    first.close();
    await settle(second, alice);
    assert.deepEqual([...alice.told('user_online'), ...alice.told('user_offline')].filter(about), []);
    second.close();
    assertTime((await alice.next('user_offline', about)).lastSeen);
  });

  it('a short drop is not told; one that lasts is', async (test) => {
    const [alice] = await people(test, holder.server, ['alice']);
    const user = newUser('bob');
    const about = ({ userId }) => userId === user.id;
    const dropped = await connect(holder.server, user);
    await alice.next('user_online', about);
    dropped.socket.io.engine.close();
    const back = await connect(holder.server, user);
    closeAfter(test, back);
    await settle(back, alice);
    assert.deepEqual([...alice.told('user_online'), ...alice.told('user_offline')].filter(about), []);
    back.socket.io.engine.close();
    await alice.next('user_offline', about);
  });

  it('who is online, over HTTP', async (test) => {
    const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
    const { status, body } = await holder.server.api('GET', '/api/users/online', { token: alice.user.token });
    assert.equal(status, 200);
    assert.ok(body.users.some(({ id, isOnline }) => id === bob.user.id && isOnline === true), JSON.stringify(body.users));
  });
});

describe('presence among contacts only', () => {
  const holder = useServer({ env: { PRESENCE_SCOPE: 'contacts' } });

  it('strangers are told nothing', async (test) => {
    const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
    await alice.succeed('send_direct_message', { recipientId: bob.user.id, content: 'now we know each other' });
    bob.close();
    await alice.next('user_offline', ({ userId }) => userId === bob.user.id);
    const [carol] = await people(test, holder.server, ['carol']);
    const back = await connect(holder.server, bob.user);
    closeAfter(test, back);
    // Each sees itself when others would see it.
    for (const client of [carol, back]) await client.next('user_online', ({ userId }) => userId === client.user.id);
    await alice.next('user_online', ({ userId }) => userId === bob.user.id);
    await carol.succeed('leave_group', 'nothing');
    assert.deepEqual(carol.told('user_online'), []);
    assert.deepEqual(alice.told('user_online').filter(({ userId }) => userId === carol.user.id), []);
  });
});

describe('typing', () => {
  const [short, endless] = [useServer({ env: { TYPING_TTL: '1s' } }), useServer({ env: { TYPING_TTL: '1h' } })];

  async function pair(test, { server }) {
    const [alice, bob] = await people(test, server, ['alice', 'bob']);
    const { conversationId } = (await alice.succeed('send_direct_message', { recipientId: bob.user.id, content: 'hi' })).message;
    return { alice, bob, conversationId, start: () => alice.succeed('typing_start', { conversationId }) };
  }

  it('lapses by itself', async (test) => {
    const { bob, start } = await pair(test, short);
    await start();
    await bob.next('user_typing');
    await bob.next('user_stopped_typing');
  });

  it('ends with a send and with a disconnect; repeats are silent', async (test) => {
    const { alice, bob, conversationId, start } = await pair(test, endless);
    await start();
    await start();
    await alice.succeed('send_direct_message', { recipientId: bob.user.id, content: 'there you are' });
    await bob.next('user_typing');
    await bob.next('user_stopped_typing');
    await alice.succeed('typing_stop', { conversationId });
    await settle(alice, bob);
    assert.deepEqual([...bob.told('user_typing'), ...bob.told('user_stopped_typing')], []);

    await start();
    await bob.next('user_typing');
    alice.close();
    await bob.next('user_stopped_typing');
  });
});
