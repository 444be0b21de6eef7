// Notifications: recipients, time of showing, and their form over HTTP.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { assertHttpError, assertTime, makeGroup, people, settle } from '../lib/chat.mjs';
import { closeAfter, connect, TRANSPORTS } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';

const KEY = 'a-server-key';
const withKey = { 'x-api-key': KEY };

/** Asserts that a notification has exactly the documented fields, and these values. */
function assertNotification(notification, expected) {
  const { id, type, message, data, createdAt, read, ...unknown } = notification;
  assert.deepEqual(unknown, {}, 'fields that the contract does not know');
  assert.match(id, /^[0-9a-f-]{36}$/);
  assertTime(createdAt);
  assert.deepEqual({ type, message, data, read }, { read: false, data: null, ...expected });
}

const ofMessage = (sender, { _id, conversationId }) => ({
  type: 'message',
  message: `New message from ${sender.username}`,
  data: { conversationId, messageId: _id, senderId: sender.id },
});

/** One page over HTTP. */
async function list(server, { token }, query = '') {
  const { status, body } = await server.api('GET', `/api/notifications${query}`, { token });
  assert.equal(status, 200, JSON.stringify(body));
  const { success, notifications, nextCursor, ...unknown } = body;
  assert.deepEqual([success, unknown], [true, {}]);
  return { notifications, nextCursor };
}

const notify = (server, body, headers = withKey) => server.api('POST', '/api/notifications', { headers, body });

for (const database of DATABASES) {
  describe(`notifications on ${database}`, () => {
    const holder = useServer({ database, env: { RATE_LIMIT_EVENTS: '0', API_KEYS: `another,${KEY}` } });
    const server = () => holder.server;

    for (const transport of Object.keys(TRANSPORTS)) {
      it(`of a message to somebody who is away: after the catch-up, before anything new, once, ${transport}`, async (test) => {
        const [alice] = await people(test, server(), ['alice'], { transport });
        const bob = newUser('bob');
        const { message } = await alice.succeed('send_direct_message', { recipientId: bob.id, content: 'where are you?' });
        const client = await connect(server(), bob, { transport });
        closeAfter(test, client);
        await settle(alice, client);
        const order = client.inbox.map(({ event }) => event).filter((event) => ['new_message', 'notification:new'].includes(event));
        assert.deepEqual(order, ['new_message', 'notification:new']);
        const shown = await client.next('notification:new');
        assertNotification(shown, ofMessage(alice.user, message));
        assert.equal(shown.createdAt, message.createdAt);

        const again = await connect(server(), bob, { transport });
        closeAfter(test, again);
        await settle(alice, again);
        assert.deepEqual([...client.told('notification:new'), ...again.told('notification:new')], [], 'nothing comes twice');
        const { notifications } = await list(server(), bob);
        assert.deepEqual(notifications, [shown], 'who is here is not notified');
      });
    }

    it('one for each conversation while it is unseen: renewed', async (test) => {
      const [alice, carol] = await people(test, server(), ['alice', 'carol']);
      const bob = newUser('bob');
      const send = async (from) => (await from.succeed('send_direct_message', { recipientId: bob.id, content: 'hello?' })).message;
      await send(alice);
      const { notifications: [first] } = await list(server(), bob);
      const [latest, other] = [await send(alice), await send(carol)];
      const { notifications } = await list(server(), bob);
      assert.equal(notifications.length, 2);
      assertNotification(notifications[0], ofMessage(carol.user, other));
      assertNotification(notifications[1], ofMessage(alice.user, latest));
      assert.equal(notifications[1].id, first.id);
      assert.equal(notifications[1].createdAt, latest.createdAt);
      const client = await connect(server(), bob, { dialect: 'conversation' });
      closeAfter(test, client);
      assert.deepEqual([await client.next('notification:new'), await client.next('notification:new')], notifications.reverse());
      client.close();
      await alice.next('user_offline', ({ userId }) => userId === bob.id);
      const next = await send(alice);
      const { notifications: [anew, , seen] } = await list(server(), bob);
      assertNotification(anew, ofMessage(alice.user, next));
      assert.notEqual(anew.id, first.id, 'a seen one is not renewed');
      assert.equal(seen.id, first.id);
    });

    it('of a group that one is added to: at its making and later, not its maker', async (test) => {
      const [alice, bob] = await people(test, server(), ['alice', 'bob']);
      const carol = newUser('carol');
      const dave = newUser('dave');
      const group = await makeGroup(server(), alice, [bob, { user: carol }], 'Hikers');
      const expected = { type: 'group', message: `${alice.user.username} added you to Hikers`, data: { conversationId: group, by: alice.user.id } };
      assertNotification(await bob.next('notification:new'), expected);
      const add = { token: alice.user.token, body: { participants: [dave.id, bob.user.id] } };
      assert.equal((await server().api('POST', `/api/conversations/${group}/participants`, add)).status, 200);
      for (const user of [carol, dave]) {
        const client = await connect(server(), user, { dialect: 'conversation' });
        closeAfter(test, client);
        assertNotification(await client.next('notification:new'), expected);
      }
      await settle(alice, bob);
      await settle(bob, alice);
      assert.deepEqual([alice.told('notification:new'), bob.told('notification:new')], [[], []]);
      assert.deepEqual((await list(server(), alice.user)).notifications, []);
    });

    it('of group messages, to those members who are away', async (test) => {
      const [alice, bob] = await people(test, server(), ['alice', 'bob']);
      const carol = newUser('carol');
      const group = await makeGroup(server(), alice, [bob, { user: carol }], 'Hikers');
      await alice.succeed('send_group_message', { conversationId: group, content: 'one' });
      const { message } = await bob.succeed('send_group_message', { conversationId: group, content: 'two' });
      const ofCarol = (await list(server(), carol)).notifications;
      assert.equal(ofCarol.length, 2);
      assertNotification(ofCarol[0], ofMessage(bob.user, message));
      const ofBob = (await list(server(), bob.user)).notifications;
      assert.deepEqual(ofBob.map(({ type }) => type), ['group']);
    });

    it('a front end without a word for them leaves them unseen', async (test) => {
      const [alice] = await people(test, server(), ['alice']);
      const bob = newUser('bob');
      const { message } = await alice.succeed('send_direct_message', { recipientId: bob.id, content: 'hi' });
      const messenger = await connect(server(), bob, { dialect: 'messenger' });
      closeAfter(test, messenger);
      assert.equal((await notify(server(), { userId: bob.id, type: 'sale', message: 'Sold' })).status, 201);
      await settle(alice, messenger);
      assert.deepEqual(messenger.told('notification:new'), []);
      const client = await connect(server(), bob, { dialect: 'conversation' });
      closeAfter(test, client);
      assertNotification(await client.next('notification:new'), ofMessage(alice.user, message));
      assertNotification(await client.next('notification:new'), { type: 'sale', message: 'Sold' });
    });

    it('other servers make some: stored, and shown at once', async (test) => {
      const [bob] = await people(test, server(), ['bob']);
      const other = await connect(server(), bob.user, { dialect: 'conversation', transport: 'polling' });
      closeAfter(test, other);
      const data = { orderId: 7, tags: ['ä', null, 1.5, { deep: [true] }] };
      for (const [given, shown] of [
        [{ data }, { data }], [{}, { data: null }], [{ data: null }, { data: null }], [{ data: 'text' }, { data: 'text' }],
        [{ data: [] }, { data: [] }], [{ data: false }, { data: false }],
      ]) {
        const { status, body } = await notify(server(), { userId: bob.user.id, type: 'order', message: 'Shipped', ...given, extra: 1 });
        assert.equal(status, 201, JSON.stringify(body));
        const { success, notification, ...unknown } = body;
        assert.deepEqual([success, unknown], [true, {}]);
        assertNotification(notification, { type: 'order', message: 'Shipped', ...shown });
        assert.deepEqual(await bob.next('notification:new'), notification);
        assert.deepEqual(await other.next('notification:new'), notification);
        assert.deepEqual((await list(server(), bob.user, '?limit=1')).notifications, [notification]);
      }
    });

    it('at a connect the newest hundred come, oldest first; the rest counts as seen', async (test) => {
      const bob = newUser('bob');
      for (let index = 0; index < 103; index++) {
        assert.equal((await notify(server(), { userId: bob.id, type: 'n', message: `${index}` })).status, 201);
      }
      const first = await connect(server(), bob, { dialect: 'conversation' });
      closeAfter(test, first);
      await first.next('notification:new', ({ message }) => message === '102');
      assert.deepEqual(first.told('notification:new').map(({ message }) => Number(message)), Array.from({ length: 99 }, (_, index) => index + 3));
      const second = await connect(server(), bob, { dialect: 'conversation' });
      closeAfter(test, second);
      await notify(server(), { userId: bob.id, type: 'n', message: 'last' });
      assert.equal((await second.next('notification:new')).message, 'last');
    });

    it('a list is read page by page, in both directions', async () => {
      const bob = newUser('bob');
      for (let index = 0; index < 7; index++) await notify(server(), { userId: bob.id, type: 'n', message: `${index}` });
      const page = async (query) => {
        const { notifications, nextCursor } = await list(server(), bob, query);
        return [notifications.map(({ message }) => message).join(''), nextCursor];
      };
      assert.deepEqual(await page(''), ['6543210', null]);
      const [newest, before] = await page('?limit=3');
      const [middle, further] = await page(`?limit=3&before=${before}`);
      const [oldest, end] = await page(`?limit=3&before=${further}`);
      assert.deepEqual([newest, middle, oldest, end], ['654', '321', '0', null]);
      const [later, after] = await page(`?limit=2&after=${further}`);
      const [still, again] = await page(`?limit=2&after=${after}`);
      const [last, none] = await page(`?limit=2&after=${again}`);
      assert.deepEqual([later, still, last, none], ['32', '54', '6', null]);
      assert.deepEqual(await page(`?limit=9&after=${further}`), ['65432', null]);
      for (const query of ['?limit=0', '?limit=x', '?before=x', `?before=${before}&after=${before}`]) {
        assertHttpError(await server().api('GET', `/api/notifications${query}`, { token: bob.token }), 400, 'INVALID_PAYLOAD');
      }
    });

    it('some or all are marked as read; others\' are left alone', async () => {
      const [bob, carol] = [newUser('bob'), newUser('carol')];
      const made = [];
      for (const user of [bob, bob, bob, carol]) made.push((await notify(server(), { userId: user.id, type: 'n', message: 'x' })).body.notification);
      const read = async (user, body) => {
        const answer = await server().api('POST', '/api/notifications/read', { token: user.token, body });
        assert.deepEqual([answer.status, answer.body], [200, { success: true }]);
        return (await list(server(), bob)).notifications.map((notification) => notification.read);
      };
      assert.deepEqual(await read(bob, { ids: [made[1].id, made[3].id, 'nonsense', 7] }), [false, true, false]);
      assert.deepEqual(await read(bob, { ids: [] }), [false, true, false]);
      assert.deepEqual(await read(carol), [false, true, false]);
      assert.deepEqual(await read(bob, { ids: null }), [true, true, true]);
      for (const ids of ['x', {}, [null], [{}], [1.5], 7]) {
        const answer = await server().api('POST', '/api/notifications/read', { token: bob.token, body: { ids } });
        assertHttpError(answer, 400, 'INVALID_PAYLOAD');
      }
    });

    it('a read one is not shown at the next connect', async (test) => {
      const [alice] = await people(test, server(), ['alice']);
      const bob = newUser('bob');
      await alice.succeed('send_direct_message', { recipientId: bob.id, content: 'hi' });
      assert.equal((await server().api('POST', '/api/notifications/read', { token: bob.token })).status, 200);
      const client = await connect(server(), bob);
      closeAfter(test, client);
      await settle(alice, client);
      assert.deepEqual(client.told('notification:new'), []);
    });

    it('they go with what they tell of: deleted, read in any dialect or over HTTP, out of the group', async (test) => {
      const [alice, carol] = await people(test, server(), ['alice', 'carol']);
      const { token } = alice.user;
      const bob = newUser('bob');
      const send = async (content) => (await alice.succeed('send_direct_message', { recipientId: bob.id, content })).message;
      const told = async (user = bob) => (await list(server(), user)).notifications.map(({ type, data }) => [type, data.messageId]);
      const [one, two, three] = [await send('1'), await send('2'), await send('3')];
      assert.equal((await server().api('DELETE', `/api/messages/${three._id}`, { token })).status, 200);
      assert.deepEqual(await told(), [['message', two._id]], 'it tells of the one before');
      assert.equal((await server().api('DELETE', `/api/messages/${two._id}`, { token })).status, 200);
      assert.equal((await server().api('DELETE', `/api/messages/${one._id}`, { token })).status, 200);
      assert.deepEqual(await told(), [], 'there is none before');

      // Read on another device, in each dialect that can; `agent` lists the rest.
      const group = await makeGroup(server(), alice, [{ user: bob }, { user: carol.user }], 'Hikers');
      const agent = await connect(server(), bob, { dialect: 'agent' });
      closeAfter(test, agent);
      for (const [dialect, event] of [['messenger', 'mark_as_read'], ['conversation', 'message:read']]) {
        agent.close();
        const away = newUser('away');
        const { message } = await alice.succeed('send_direct_message', { recipientId: away.id, content: 'read me' });
        const second = (await carol.succeed('send_direct_message', { recipientId: away.id, content: 'and me' })).message;
        assert.equal((await told(away)).length, 2);
        const reader = await connect(server(), away, { dialect });
        closeAfter(test, reader);
        await reader.succeed(event, { messageId: message._id });
        assert.deepEqual(await told(away), [['message', second._id]], dialect);
        const other = await connect(server(), away, { dialect: 'agent' });
        closeAfter(test, other);
        other.tell('notification:get', {});
        const { data } = await other.next('notification:receive');
        assert.deepEqual(data.map((notification) => notification.data.messageId), [second._id]);
      }

      // Removed from the group, and then the group is deleted.
      await alice.succeed('send_group_message', { conversationId: group, content: 'to all' });
      assert.deepEqual((await told()).map(([type]) => type), ['message', 'group']);
      assert.equal((await server().api('DELETE', `/api/conversations/${group}/participants/${bob.id}`, { token })).status, 200);
      assert.deepEqual(await told(), []);
      assert.deepEqual((await told(carol.user)).map(([type]) => type), ['group']);
      assert.equal((await server().api('DELETE', `/api/conversations/${group}`, { token })).status, 200);
      assert.deepEqual(await told(carol.user), []);
    });

    it('who may not, and what is malformed, is refused', async (test) => {
      const [alice] = await people(test, server(), ['alice']);
      const good = { userId: alice.user.id, type: 'n', message: 'x' };
      assertHttpError(await server().api('GET', '/api/notifications'), 401, 'NO_TOKEN');
      assertHttpError(await server().api('POST', '/api/notifications/read', { body: {} }), 401, 'NO_TOKEN');
      assertHttpError(await notify(server(), good, {}), 401, 'NO_TOKEN');
      assertHttpError(await notify(server(), good, { 'x-api-key': `${KEY}x` }), 401, 'INVALID_TOKEN');
      assertHttpError(await server().api('POST', '/api/notifications', { token: alice.user.token, body: good }), 403, 'FORBIDDEN');
      for (const bad of [
        { userId: undefined }, { userId: 'a\nb' }, { userId: {} }, { type: undefined }, { type: '' }, { type: 'x'.repeat(33) }, { type: 1 },
        { message: undefined }, { message: '' }, { message: null }, { message: [] }, { message: 'a\0b' }, { data: { a: '\0' } },
      ]) {
        assertHttpError(await notify(server(), { ...good, ...bad }), 400, 'INVALID_PAYLOAD');
      }
      assertHttpError(await notify(server(), { ...good, data: 'x'.repeat(70_000) }), 413, 'TOO_LARGE');
      assertHttpError(await server().api('DELETE', '/api/notifications', { headers: withKey }), 405, 'METHOD_NOT_ALLOWED');
      assert.deepEqual((await list(server(), alice.user)).notifications, []);
    });
  });

  it(`what an acked message owes is there after a crash, on ${database}`, async (test) => {
    const server = await Server.start({ database });
    test.after(() => server.remove());
    const alice = await connect(server, newUser('alice'));
    const bob = newUser('bob');
    const send = async (content) => (await alice.succeed('send_direct_message', { recipientId: bob.id, content })).message;
    await send('one');
    const { notifications: [first] } = await list(server, bob);
    const { conversationId, _id } = await send('two');
    await server.end('SIGKILL');
    alice.close();
    await server.launch();
    const { notifications } = await list(server, bob);
    assert.equal(notifications.length, 1);
    assertNotification(notifications[0], ofMessage(alice.user, { conversationId, _id }));
    assert.equal(notifications[0].id, first.id);
  });
}

it('nobody is notified who does not exist', async (test) => {
  const server = await Server.start({ env: { API_KEYS: KEY, AUTO_PROVISION_USERS: 'false' } });
  test.after(() => server.remove());
  assertHttpError(await notify(server, { userId: 'nobody', type: 'n', message: 'x' }), 404, 'NOT_FOUND');
});
