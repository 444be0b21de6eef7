// Events as administrators see them: `/api/admin/events/stream`.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Backend } from '../lib/backend.mjs';
import { assertTime, people } from '../lib/chat.mjs';
import { connect, open } from '../lib/client.mjs';
import { Receiver } from '../lib/receiver.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { EventStream } from '../lib/sse.mjs';
import { newUser } from '../lib/token.mjs';

const KEY = 'the-key-of-a-server';
const PATH = '/api/admin/events/stream';

describe('the stream of events', () => {
  const holder = useServer({ env: { API_KEYS: KEY, RATE_LIMIT_EVENTS: '0' } });

  async function watch(test, query = '') {
    const stream = await EventStream.open(holder.server, PATH + query, { 'x-api-key': KEY });
    test.after(() => stream.close());
    return stream;
  }

  it('tells who comes, says, hears and goes', async (test) => {
    const stream = await watch(test);
    const user = newUser('ann');
    // Once the user is known, the socket connects before its client moves to a WebSocket.
    await holder.server.api('GET', '/api/auth/me', { token: user.token });
    const ann = await connect(holder.server, user, { dialect: 'messenger', transport: 'upgrading' });
    test.after(() => ann.close());
    const [bob] = await people(test, holder.server, ['bob'], { dialect: 'conversation' });
    const of = ({ user }, what) => (entry) => entry.what === what && entry.user === user.id;
    const connected = await stream.next(of(ann, 'connected'));
    assertTime(connected.time);
    assert.deepEqual({ ...connected, time: undefined }, {
      time: undefined, what: 'connected', socket: ann.socket.id, user: ann.user.id, username: ann.user.username,
      transport: 'polling', address: '127.0.0.1', rooms: [`user:${ann.user.id}`],
    });
    assert.equal((await stream.next(of(ann, 'updated'))).transport, 'websocket');
    await ann.succeed('send_direct_message', { recipientId: bob.user.id, content: 'for your eyes only' });
    await bob.next('message:new');
    const said = await stream.next((entry) => entry.event === 'send_direct_message');
    assert.deepEqual([said.what, said.user, said.dialects], ['received', ann.user.id, ['messenger']]);
    const heard = await stream.next((entry) => entry.event === 'message:new' && entry.socket === bob.socket.id);
    assert.deepEqual([heard.what, heard.user, heard.dialects], ['sent', bob.user.id, ['conversation']]);
    bob.close();
    assert.equal((await stream.next(of(bob, 'disconnected'))).reason, 'disconnected');
    assert.doesNotMatch(JSON.stringify([said, heard, stream.inbox]), /eyes only|"args"/, 'bodies are hidden');
  });

  it('tells of rooms', async (test) => {
    const stream = await watch(test);
    const [ann] = await people(test, holder.server, ['ann'], { dialect: 'listing' });
    await ann.succeed('joinRoom', 7);
    const joined = await stream.next((entry) => entry.what === 'joined');
    assert.deepEqual([joined.room, joined.socket], ['room:7', ann.socket.id]);
    ann.tell('leaveRoom', 7);
    assert.equal((await stream.next((entry) => entry.what === 'left')).room, 'room:7');
    ann.close();
    await stream.next((entry) => entry.what === 'disconnected');
    assert.equal(stream.inbox.some((entry) => entry.what === 'left'), false, 'who is gone is told once');
  });

  it('shows bodies where they are asked for, and never what proves somebody', async (test) => {
    const stream = await watch(test, '?bodies=true');
    const [ann, bob] = await people(test, holder.server, ['ann', 'bob'], { dialect: 'conversation' });
    const { conversation } = (await holder.server.api('POST', '/api/conversations', {
      token: ann.user.token, body: { type: 'direct', participantId: bob.user.id },
    })).body;
    ann.tell('message:send', { conversationId: conversation.id, content: 'for all eyes' });
    const said = await stream.next((entry) => entry.event === 'message:send');
    assert.deepEqual(said.args, [{ conversationId: conversation.id, content: 'for all eyes' }]);
    const heard = await stream.next((entry) => entry.event === 'message:new' && entry.user === bob.user.id);
    assert.equal(heard.args.length, 1, 'without its place in the order');
    assert.equal(heard.args[0].content, 'for all eyes');
    ann.tell('authenticate', { token: ann.user.token });
    assert.deepEqual((await stream.next((entry) => entry.event === 'authenticate')).args, [{ token: '(hidden)' }]);
    ann.tell('x', 'y'.repeat(20_000));
    assert.deepEqual((await stream.next((entry) => entry.event === 'x')).args, ['(20002 bytes, not shown)']);
  });

  it('tells of a user, a socket, a dialect or an event only', async (test) => {
    const [ann, bob] = await people(test, holder.server, ['ann', 'bob'], { dialect: 'messenger' });
    const [cid] = await people(test, holder.server, ['cid'], { dialect: 'conversation' });
    const streams = await Promise.all([
      `?user=${ann.user.id}`, `?socket=${bob.socket.id}`, '?dialect=conversation', '?event=typing_start',
    ].map((query) => watch(test, query)));
    const socket = bob.socket.id;
    for (const client of [ann, bob]) client.tell('typing_start', { conversationId: 'none' });
    cid.tell('typing:start', { conversationId: 'none' });
    for (const client of [ann, bob, cid]) client.close();
    await streams[0].next((entry) => entry.what === 'disconnected');
    await streams[1].next((entry) => entry.what === 'disconnected');
    await streams[2].next((entry) => entry.event === 'typing:start');
    await streams[3].next((entry) => entry.user === bob.user.id);
    const only = (stream, field, value) => assert.deepEqual(stream.inbox.filter((entry) => entry[field] !== value), []);
    only(streams[0], 'user', ann.user.id);
    only(streams[1], 'socket', socket);
    only(streams[3], 'event', 'typing_start');
    assert.ok(streams[2].inbox.every((entry) => entry.dialects.includes('conversation')));
    for (const query of ['?dialect=klingon', '?socket=short', '?bodies=maybe', '?user=']) {
      const { status } = await fetch(holder.server.url + PATH + query, { method: 'GET', headers: { 'x-api-key': KEY }, signal: AbortSignal.timeout(20_000) })
        .then(async (response) => { await response.body.cancel(); return response; });
      assert.equal(status, query === '?user=' ? 200 : 400, query);
    }
  });

  it('waits for nobody: who reads too slowly loses some and is told how many', async (test) => {
    const slow = await watch(test, '?bodies=true');
    slow.response.pause();
    const [ann, bob] = await people(test, holder.server, ['ann', 'bob'], { dialect: 'messenger' });
    const body = 'z'.repeat(7_000);
    for (let sent = 0; sent < 8_000; sent += 200) {
      for (let more = 0; more < 200; more++) ann.tell('x', body);
      // The server has read those before it answers this one.
      await ann.ask('send_direct_message', { recipientId: bob.user.id, content: 'still there?' });
    }
    slow.response.resume();
    const { count } = await slow.next((entry) => entry.what === 'lost');
    assert.ok(count > 0);
  });
});

describe('the end of a stream of events', () => {
  const holder = useServer({ env: { API_KEYS: KEY } });

  it('does not keep the server from stopping', async () => {
    const stream = await EventStream.open(holder.server, PATH, { 'x-api-key': KEY });
    const client = open(holder.server, { auth: { token: newUser().token } });
    await client.connected();
    assert.deepEqual(await holder.server.end(), { code: 0, signal: null });
    await stream.ended;
    client.close();
  });
});

describe('the stream of events and an own server', () => {
  it('tells what that refuses, and where it fails', async (test) => {
    const [backend, receiver] = [await Backend.start(), await Receiver.start(test)];
    test.after(() => backend.stop());
    receiver.answer = () => 500;
    const answers = { allow: {}, refuse: { refuse: { code: 'NOT_NICE', message: 'Be nice' } }, break: 'rubbish' };
    backend.answer = ({ type, data }) => (type === 'event' ? 'rubbish' : answers[data.message.content]);
    const settings = { ...backend.hook(), ...backend.forward(), ...receiver.settings('message.created'), WEBHOOK_KEEP: '1s' };
    const server = await Server.start({ env: { API_KEYS: KEY, RATE_LIMIT_EVENTS: '0', ...settings } });
    test.after(() => server.remove());
    const stream = await EventStream.open(server, PATH, { 'x-api-key': KEY });
    test.after(() => stream.close());
    const [ann, bob] = await people(test, server, ['ann', 'bob']);
    const send = (content) => ['send_direct_message', { recipientId: bob.user.id, content }];
    const by = { user: ann.user.id, socket: ann.socket.id };
    const next = async (what) => {
      const { time, ...entry } = await stream.next((each) => each.what === what);
      assertTime(time);
      return entry;
    };
    await ann.refused('NOT_NICE', ...send('refuse'));
    assert.deepEqual(await next('hook_refused'), { what: 'hook_refused', ...by, question: 'send', code: 'NOT_NICE', cause: 'Be nice' });
    await ann.refused('HOOK_FAILED', ...send('break'));
    assert.deepEqual(await next('hook_failed'), { what: 'hook_failed', ...by, question: 'send', cause: 'the answer is no JSON object' });
    await ann.refused('FORWARD_FAILED', 'app:do');
    assert.deepEqual(await next('forward_failed'), { what: 'forward_failed', ...by, event: 'app:do', cause: 'the answer is no JSON object' });
    await ann.succeed(...send('allow'));
    assert.deepEqual(await next('webhook_failed'), { what: 'webhook_failed', webhook: 'default', cause: 'the answer is 500', waiting: 1 });
    assert.deepEqual(await next('webhook_gave_up'), { what: 'webhook_gave_up', webhook: 'default', events: 1 });
  });
});
