// Figures, sessions and rooms as administrators see them, checked against stock clients.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { makeGroup, people, settle } from '../lib/chat.mjs';
import { connect } from '../lib/client.mjs';
import { useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const KEY = 'the-key-of-a-server';

describe('administration', () => {
  const holder = useServer({ env: { API_KEYS: KEY, RATE_LIMIT_EVENTS: '10', RATE_LIMIT_BURST: '10' } });
  const read = async (path, expected = 200) => {
    const { status, body } = await holder.server.api('GET', `/api/admin/${path}`, { headers: { 'x-api-key': KEY } });
    assert.equal(status, expected, JSON.stringify(body));
    return body;
  };
  const stats = async () => (await read('stats')).stats;
  const actor = ({ actors }, name) => actors.find((entry) => entry.actor === name);

  /** Reads until `isThere` holds. */
  async function until(what, readOnce, isThere) {
    const looked = async () => {
      for (;;) {
        const found = await readOnce();
        if (isThere(found)) return found;
      }
    };
    return within(LIMIT, what, looked());
  }

  it('counts what each kind of actor does, and how long it takes', async (test) => {
    const before = await stats();
    const [mia, carl] = await people(test, holder.server, ['mia', 'carl']);
    await settle(mia, carl);
    const after = await stats();
    for (const name of ['ChatServer', 'Hub', 'Connection', 'Persister', 'Reader']) {
      const [then, now] = [actor(before, name), actor(after, name)];
      assert.ok(now.handled > then.handled, `${name}: ${JSON.stringify([then, now])}`);
    }
    for (const name of ['ChatServer', 'Hub', 'Persister', 'Reader']) assert.ok(actor(after, name).busySeconds > 0, name);
    assert.equal(actor(after, 'ChatServer').mailbox, 0, 'all that was sent is handled');
    const { slowest } = actor(after, 'Persister');
    assert.ok(slowest.message.length > 0 && slowest.seconds > 0 && Math.abs(Date.now() - Date.parse(slowest.at)) < 3_600_000, JSON.stringify(slowest));
  });

  it('has the store\'s times and batch sizes as distributions', async (test) => {
    const before = await stats();
    const [mia, carl] = await people(test, holder.server, ['mia', 'carl']);
    await settle(mia, carl);
    const { store } = await stats();
    for (const name of ['commitSeconds', 'batchWrites', 'queueWaitSeconds', 'readSeconds']) {
      const { count, sum, buckets } = store[name];
      assert.ok(count > before.store[name].count, name);
      assert.ok(sum > 0, name);
      const counts = buckets.map((bucket) => bucket.count);
      assert.deepEqual(counts, counts.toSorted((one, other) => one - other), `${name} adds up`);
      assert.ok(counts.at(-1) <= count, name);
    }
    assert.ok(store.batchWrites.sum >= store.writes, 'every write is in a batch');
  });

  it('knows sessions by transport, dialect and namespace, and forgets those that have gone', async (test) => {
    const before = await until('the clients of other tests to be gone', stats, ({ sessions }) => Object.values(sessions.byTransport).every((count) => count === 0));
    const pinned = await connect(holder.server, newUser('pia'), { dialect: 'conversation' });
    const polling = await connect(holder.server, newUser('paul'), { transport: 'polling' });
    test.after(() => [pinned, polling].forEach((client) => client.close()));
    const [learned] = await people(test, holder.server, ['lea']);
    await learned.ask('mark_as_read', { messageId: 'none' });
    const { sessions } = await stats();
    const more = (group, name) => (sessions[group][name] ?? 0) - (before.sessions[group][name] ?? 0);
    assert.deepEqual([more('byTransport', 'polling'), more('byTransport', 'websocket')], [1, 2]);
    assert.deepEqual(['conversation', 'messenger', 'undetermined'].map((name) => more('byDialect', name)), [1, 1, 1]);
    assert.equal(more('byNamespace', '/'), 3);
    [pinned, polling, learned].forEach((client) => client.close());
    await until('nobody to be left', stats, (now) => now.chat.sockets === before.chat.sockets
      && JSON.stringify(now.sessions.byDialect) === JSON.stringify(before.sessions.byDialect));
  });

  it('shows a user\'s sessions, and one of them whole', async (test) => {
    const [mia, carl] = await people(test, holder.server, ['mia', 'carl']);
    const other = await connect(holder.server, mia.user, { transport: 'polling', dialect: 'messenger' });
    test.after(() => other.close());
    const group = await makeGroup(holder.server, mia, [carl]);
    await mia.succeed('join_group', group);
    const { sockets, next } = await read(`sockets?user=${mia.user.id}`);
    assert.equal(next, null);
    assert.deepEqual(sockets.map(({ socketId }) => socketId), [mia.socket.id, other.socket.id].toSorted());
    const { socket } = await read(`sockets/${other.socket.id}`);
    const { since, address, unprovenEvents, expiresAt, queuedPackets, queuedBytes, ...rest } = socket;
    assert.ok(Date.now() - Date.parse(since) < 60_000);
    assert.match(address, /127\.0\.0\.1|::1/);
    // The latest events may wait for the client's next poll.
    for (const count of [unprovenEvents, queuedPackets, queuedBytes]) assert.ok(Number.isInteger(count) && count >= 0);
    assert.ok(Date.parse(expiresAt) > Date.now());
    assert.deepEqual(rest, {
      socketId: other.socket.id, userId: mia.user.id, username: mia.user.username, state: 'open', namespace: '/',
      dialects: ['messenger'], dialectsFrom: 'pinned', rooms: [`conversation:${group}`], muted: [], catchingUp: false,
      waitingRequests: 0, transport: 'polling', blocked: false,
    });
    const { socket: learned } = await read(`sockets/${mia.socket.id}`);
    assert.deepEqual([learned.dialects, learned.dialectsFrom, learned.transport], [['messenger'], 'learned', 'websocket']);
    await mia.succeed('leave_group', group);
    const { socket: muted } = await read(`sockets/${mia.socket.id}`);
    assert.deepEqual([muted.rooms, muted.muted], [[], [group]]);
    await read('sockets/nobody', 404);
    await read(`sockets/${'x'.repeat(20)}`, 404);
  });

  it('pages through all sessions, each once', async (test) => {
    const clients = await people(test, holder.server, ['a', 'b', 'c', 'd', 'e']);
    const seen = [];
    for (let after = ''; after !== null;) {
      const { sockets, next } = await read(`sockets?limit=2${after && `&after=${after}`}`);
      seen.push(...sockets.map(({ socketId }) => socketId));
      after = next;
    }
    assert.equal(new Set(seen).size, seen.length);
    clients.forEach(({ socket }) => assert.ok(seen.includes(socket.id)));
    for (const query of ['limit=0', 'limit=x', 'after=x', 'user=a%09b']) await read(`sockets?${query}`, 400);
  });

  it('a session whose connection was lost is shown as parked, and one that did not come back with its reason', async (test) => {
    const [mia] = await people(test, holder.server, ['mia']);
    const id = mia.socket.id;
    const before = await stats();
    mia.socket.io.engine.close();
    const parked = await until('the session to be parked', () => read(`sockets?user=${mia.user.id}`), ({ sockets }) => sockets[0]?.state === 'parked');
    assert.deepEqual([parked.sockets[0].socketId, parked.sockets[0].transport], [id, null]);
    const foreign = await connect(holder.server, mia.user, { auth: { token: mia.user.token, pid: 'A'.repeat(20), offset: 'e1.1.1.z.1' } });
    test.after(() => foreign.close());
    const now = await stats();
    assert.equal(now.chat.notRecovered['session unknown'] - before.chat.notRecovered['session unknown'], 1);
    assert.equal(now.connections.closed['transport close'] - before.connections.closed['transport close'], 1);
  });

  it('lists the largest and the busiest rooms, and who is in one', async (test) => {
    const [mia, carl, eve] = await people(test, holder.server, ['mia', 'carl', 'eve']);
    const group = await makeGroup(holder.server, mia, [carl, eve]);
    const small = await makeGroup(holder.server, mia, [carl]);
    for (let index = 0; index < 3; index += 1) await mia.succeed('send_group_message', { conversationId: small, content: 'said' });
    const { rooms: largest } = await read('rooms');
    assert.deepEqual(largest[0], { room: `conversation:${group}`, members: 3, parked: 0, messagesPerMinute: 0 });
    const { rooms: busiest } = await read('rooms?sort=rate&limit=1');
    assert.deepEqual(busiest.map(({ room, members }) => [room, members]), [[`conversation:${small}`, 2]]);
    assert.ok([1, 2, 3].includes(busiest[0].messagesPerMinute), 'of two minutes where one ended meanwhile');
    const { room, sockets } = await read(`rooms/conversation:${group}`);
    assert.equal(room.members, 3);
    assert.deepEqual(new Set(sockets.map(({ userId }) => userId)), new Set([mia, carl, eve].map(({ user }) => user.id)));
    for (const name of ['conversation:none', 'elsewhere', 'room:nobody-there']) await read(`rooms/${name}`, 404);
    await read('rooms?sort=size', 400);
  });

  // ---- explanations ----

  const explain = async (path, expected) => (await read(`explain/${path}`, expected)).explanation;
  const codes = ({ facts }) => facts.map(({ code }) => code);
  const fact = ({ facts }, code) => facts.find((entry) => entry.code === code) ?? assert.fail(`${code} in ${JSON.stringify(facts)}`);

  it('explains why a user gets messages, by id, name, e-mail or socket', async (test) => {
    const [mia, carl] = await people(test, holder.server, ['mia', 'carl']);
    await settle(carl, mia);
    for (const who of [mia.user.id, mia.user.username, mia.socket.id]) {
      const answer = await until(`${who} to have received all`, () => explain(`user/${encodeURIComponent(who)}`), (now) => codes(now).includes('NOTHING_WAITS'));
      assert.match(answer.verdict, /^Gets messages: 1 socket is connected\. Nothing waits\.$/);
      assert.match(fact(answer, 'CONNECTED').text, new RegExp(`^Socket ${mia.socket.id} is connected over websocket from `));
      assert.match(fact(answer, 'CAME').text, /started a new session/);
      assert.match(fact(answer, 'DIALECT').text, /has sent no event/);
    }
    await read('explain/user/nobody-of-that-name', 404);
    await read('explain/user/%20', 404);
  });

  it('explains a lost connection, a disabled account, what waits and who is too fast', async (test) => {
    const [mia, carl] = await people(test, holder.server, ['mia', 'carl'], { dialect: 'messenger' });
    const group = await makeGroup(holder.server, carl, [mia]);
    await mia.succeed('leave_group', group);
    assert.match(fact(await explain(`user/${mia.user.id}`), 'MUTED').text, new RegExp(group));
    for (let index = 0; index < 80; index += 1) mia.socket.emit('join_group', group);
    const limited = await until('the refusals to be known', () => explain(`user/${mia.user.id}`), (now) => codes(now).includes('RATE_LIMITED'));
    assert.match(fact(limited, 'RATE_LIMITED').text, /^At least \d+ requests? (was|were) refused/);
    mia.socket.io.engine.close();
    const parked = await until('the loss to be noticed', () => explain(`user/${mia.user.id}`), (now) => codes(now).includes('PARKED'));
    assert.match(parked.verdict, /^Gets nothing now: the connection is lost/);
    assert.match(fact(parked, 'LEFT').text, /its client closed the connection, or the network did\. Its session was kept/);
    await carl.succeed('send_direct_message', { recipientId: mia.user.id, content: 'waits' });
    const waiting = await explain(`user/${mia.user.id}`);
    assert.match(waiting.verdict, / 1 message waits\.$/);
    assert.match(fact(waiting, 'UNDELIVERED').text, /^1 message of conversation [0-9a-f-]{36} is stored/);
    const { status } = await holder.server.api('PATCH', `/api/admin/users/${mia.user.id}`, { headers: { 'x-api-key': KEY }, body: { disabled: true } });
    assert.equal(status, 200);
    await assert.rejects(connect(holder.server, mia.user));
    const disabled = await explain(`user/${mia.user.id}`);
    assert.match(disabled.verdict, /^Gets nothing: the account is disabled\./);
    assert.match(fact(disabled, 'REFUSED').text, /ACCOUNT_DISABLED/);
    assert.ok(codes(disabled).includes('NOT_CONNECTED'));
  });

  it('explains a message: who has it, who read it, who lacks it and why', async (test) => {
    const [mia, carl, eve, fay] = await people(test, holder.server, ['mia', 'carl', 'eve', 'fay'], { dialect: 'messenger' });
    const group = await makeGroup(holder.server, mia, [carl, eve, fay]);
    await eve.succeed('leave_group', group);
    fay.close();
    await until('the one to be gone', () => read(`sockets?user=${fay.user.id}`), ({ sockets }) => sockets.length === 0);
    const { message: { _id: messageId } } = await mia.succeed('send_group_message', { conversationId: group, content: 'to all' });
    await carl.next('new_group_message', ({ message }) => message._id === messageId);
    await carl.succeed('mark_as_read', { messageId });
    const answer = await until('the reader to be known', () => explain(`message/${messageId}`), (now) => codes(now).includes('READ'));
    assert.equal(answer.verdict, 'Stored. Of 3 recipients looked at, 1 read it, 0 more received it, 2 lack it.');
    assert.match(fact(answer, 'SENT').text, new RegExp(`^${mia.user.username} sent it`));
    assert.match(fact(answer, 'READ').text, new RegExp(`^${carl.user.id} read it`));
    assert.match(fact(answer, 'MUTED').text, new RegExp(`^${eve.user.id}: socket ${eve.socket.id} has muted the group`));
    assert.match(fact(answer, 'NOT_CONNECTED').text, new RegExp(`^${fay.user.id} lacks it`));
    await read('explain/message/none', 404);
    await read('explain/message/0197a000-0000-7000-8000-000000000001', 404);
  });
});
