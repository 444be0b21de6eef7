// Events of other servers are passed on unchanged, to sockets of every dialect (docs/other-servers.md).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { assertHttpError, assertTime, makeGroup, people } from '../lib/chat.mjs';
import { closeAfter, connect, TRANSPORTS, VERSIONS } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';

const KEY = 'a-server-key';
const DIALECTS = ['assistant', 'conversation', 'listing', 'agent', 'messenger'];

async function emit(server, body, expected) {
  const answer = await server.api('POST', '/api/emit', { headers: { 'x-api-key': KEY }, body });
  assert.deepEqual([answer.status, answer.body], [200, { success: true, sockets: expected }], JSON.stringify(body));
}

for (const database of DATABASES) {
  describe(`emitting on ${database}`, () => {
    const holder = useServer({ database, env: { RATE_LIMIT_EVENTS: '0', API_KEYS: KEY } });
    const server = () => holder.server;

    it('every JSON arrives as it is, in every dialect, once', async (test) => {
      const user = newUser('bob');
      const clients = [await connect(server(), user)];
      for (const dialect of DIALECTS) clients.push(await connect(server(), user, { dialect, transport: 'polling' }));
      clients.push(await connect(server(), user, { dialect: DIALECTS }));
      for (const version of Object.keys(VERSIONS)) clients.push(await connect(server(), user, { version }));
      closeAfter(test, ...clients);
      for (const data of [{ price: 7, tags: ['ä', null, { deep: [1.5, true] }] }, [], ['x', 1], 0, false, 'a text', '', {}]) {
        await emit(server(), { to: { user: user.id }, event: 'price:changed', data }, clients.length);
        for (const client of clients) assert.deepEqual(await client.nextArgs('price:changed'), [data]);
      }
      for (const without of [{}, { data: null }]) {
        await emit(server(), { to: { user: user.id }, event: 'refresh "now"', ...without }, clients.length);
        for (const client of clients) assert.deepEqual(await client.nextArgs('refresh "now"'), []);
      }
      for (const client of clients) assert.deepEqual(client.inbox.filter(({ event }) => ['price:changed', 'refresh "now"'].includes(event)), []);
    });

    it('to a user, a room, a conversation, all: those who are meant, and nobody else', async (test) => {
      const [alice, bob, carol] = await people(test, server(), ['alice', 'bob', 'carol']);
      const again = await connect(server(), bob.user);
      closeAfter(test, again);
      const everybody = [alice, bob, again, carol];
      const room = `flat-${Math.random()}`;
      const group = await makeGroup(server(), alice, [bob]);
      const { message } = await alice.succeed('send_direct_message', { recipientId: carol.user.id, content: 'hi' });
      await bob.succeed('joinRoom', room);
      await carol.succeed('joinRoom', 7);
      await again.succeed('leave_group', group);
      let count = 0;
      const reaches = async (to, ...those) => {
        const data = { number: ++count };
        await emit(server(), { to, event: 'ping:all', data }, those.length);
        for (const client of those) assert.deepEqual(await client.next('ping:all'), data, JSON.stringify(to));
      };
      await reaches({ user: bob.user.id }, bob, again);
      await reaches({ room: `user_${bob.user.id}` }, bob, again);
      await reaches({ room: `user:${bob.user.id}` }, bob, again);
      await reaches({ user: bob.user.id, room: null, all: false, other: 1 }, bob, again);
      await reaches({ room }, bob);
      await reaches({ room: `room_${room}` }, bob);
      await reaches({ room: 7 }, carol);
      await reaches({ room: 'room_7' }, carol);
      await reaches({ room: group }, alice, bob);
      await reaches({ conversation: group }, alice, bob);
      await reaches({ conversation: message.conversationId }, alice, carol);
      await reaches({ room: message.conversationId }, alice, carol);
      for (const nobody of [
        { user: 'nobody' }, { room: 'nowhere' }, { room: 'user_nobody' }, { room: 'room_nowhere' }, { room: 'common_chat' },
        { conversation: '01900000-0000-7000-8000-000000000000' }, { conversation: 'nonsense' },
      ]) await reaches(nobody);
      const data = { number: ++count };
      const answer = await server().api('POST', '/api/emit', { headers: { 'x-api-key': KEY }, body: { to: { all: true }, event: 'ping:all', data } });
      assert.ok(answer.body.sockets >= everybody.length);
      // An event that went astray would be before this one in an inbox.
      for (const client of everybody) assert.deepEqual(await client.next('ping:all'), data);
    });

    it('a notification to a user is stored as well, and comes later to who is away', async (test) => {
      const [bob, carol] = [newUser('bob'), newUser('carol')];
      const here = await connect(server(), bob, { dialect: 'messenger' });
      closeAfter(test, here);
      const data = { id: 'n-7', type: 'sale', message: 'Sold', data: { price: 7 }, createdAt: '2026-01-01T00:00:00.000Z' };
      await emit(server(), { to: { user: bob.id }, event: 'notification:new', data }, 1);
      assert.deepEqual(await here.next('notification:new'), data);
      await emit(server(), { to: { room: `user:${carol.id}` }, event: 'notification:new', data }, 0);
      for (const user of [bob, carol]) {
        const { body } = await server().api('GET', '/api/notifications', { token: user.token });
        const [{ id, createdAt, ...rest }, ...further] = body.notifications;
        assert.deepEqual([rest, further], [{ type: 'sale', message: 'Sold', data: { price: 7 }, read: false }, []]);
        assert.match(id, /^[0-9a-f-]{36}$/);
        assertTime(createdAt);
        const later = await connect(server(), user, { dialect: 'conversation' });
        closeAfter(test, later);
        await emit(server(), { to: { user: user.id }, event: 'marker' }, user === bob ? 2 : 1);
        await later.nextArgs('marker');
        assert.deepEqual(later.told('notification:new'), user === bob ? [] : [{ id, createdAt, ...rest }]);
      }
    });
  });
}

describe('emitting, refused', () => {
  const holder = useServer({ env: { API_KEYS: KEY } });
  const ask = (body, headers = { 'x-api-key': KEY }) => holder.server.api('POST', '/api/emit', { headers, body });
  const good = { to: { user: 'bob' }, event: 'x', data: 1 };

  it('names that Socket.IO keeps for itself', async () => {
    for (const event of ['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener']) {
      assertHttpError(await ask({ ...good, event }), 400, 'INVALID_PAYLOAD');
    }
    assert.equal((await ask({ ...good, event: 'error' })).status, 200);
  });

  it('what is malformed', async () => {
    for (const bad of [
      { to: undefined }, { to: null }, { to: 'bob' }, { to: [] }, { to: {} }, { to: { all: false } }, { to: { all: 'x' } }, { to: { user: {} } },
      { to: { user: 'a\nb' } }, { to: { room: '' } }, { to: { room: true } }, { to: { conversation: [] } }, { to: { user: 'bob', all: true } },
      { to: { socket: 'x' } }, { event: undefined }, { event: '' }, { event: 7 }, { event: 'a\0b' }, { data: '\0' }, { data: { '\0': 1 } },
    ]) assertHttpError(await ask({ ...good, ...bad }), 400, 'INVALID_PAYLOAD');
    assertHttpError(await ask('{"to":{"all":true},"event":"x","data":"\\ud800"}'), 400, 'INVALID_PAYLOAD');
  });

  it('those who may not', async (test) => {
    const [alice] = await people(test, holder.server, ['alice']);
    assertHttpError(await ask(good, {}), 401, 'NO_TOKEN');
    assertHttpError(await ask(good, { 'x-api-key': 'x' }), 401, 'INVALID_TOKEN');
    assertHttpError(await ask(good, { authorization: `Bearer ${alice.user.token}` }), 403, 'FORBIDDEN');
    assertHttpError(await holder.server.api('GET', '/api/emit', { headers: { 'x-api-key': KEY } }), 405, 'METHOD_NOT_ALLOWED');
  });
});

describe('emitting, on every transport', () => {
  const holder = useServer({ env: { API_KEYS: KEY } });

  for (const transport of Object.keys(TRANSPORTS)) {
    it(transport, async (test) => {
      const [alice] = await people(test, holder.server, ['alice'], { transport });
      const data = { text: 'ü'.repeat(50_000) };
      await emit(holder.server, { to: { user: alice.user.id }, event: 'big', data }, 1);
      assert.deepEqual(await alice.nextArgs('big'), [data]);
    });
  }
});
