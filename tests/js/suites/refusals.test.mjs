// Every refusal shows an id, and the log has one line with it that explains the reason.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { request } from 'node:http';
import { before, describe, it } from 'node:test';

import { people } from '../lib/chat.mjs';
import { closeAfter, connect, open, refusal } from '../lib/client.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { ERROR_ID, TIME, assertLike } from '../lib/shape.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const KEY = 'the-key-of-a-server';
const TARGET = 'parlance::refusals';
const ALL = { LOG_FORMAT: 'json', RUST_LOG: 'warn,parlance::refusals=debug', API_KEYS: KEY, STRICT_EVENTS: 'true' };
/** Dialect → a refused request, its code, and the log's cause, with its code if that differs. */
const REQUESTS = {
  assistant: ['ai-message', { chatId: 'c' }, 'INVALID_PAYLOAD', 'Missing content'],
  conversation: ['message:send', { conversationId: '01900000-0000-7000-8000-000000000000', content: 'x' }, 'NOT_FOUND', 'Conversation not found'],
  listing: ['sendDirectMessage', { receiverId: 'a\nb', content: 'x' }, 'INVALID_PAYLOAD', 'Invalid receiverId'],
  agent: ['message:send', { targetUserId: 'a\nb', content: 'x' }, 'INVALID_PAYLOAD', 'Invalid targetUserId'],
  // Its front end gets `FORBIDDEN` for something that does not exist.
  messenger: ['join_group', 'nope', 'FORBIDDEN', 'Conversation not found', 'NOT_FOUND'],
};
const ANSWERS = { assistant: 'ai-error', agent: 'message:receive' };

/** Returns the one line of the log with this id. */
async function lineOf(server, errorId) {
  assertLike({ errorId }, { errorId: ERROR_ID });
  const line = await server.logged((text) => text.includes(errorId), `a line with ${errorId}`);
  assert.equal(server.log.split(errorId).length, 2, 'one line');
  return JSON.parse(line);
}

/** Asserts the whole line. */
async function assertNoted(server, errorId, expected, { level = 'info' } = {}) {
  assertLike(await lineOf(server, errorId), { time: TIME, level, target: TARGET, message: 'refused', error_id: errorId, address: '127.0.0.1', ...expected });
}

/** Returns the raw answer to a plain request. */
function ask(server, path, headers = {}) {
  return within(LIMIT, path, new Promise((resolve, reject) => {
    const { port } = new URL(server.url);
    const asking = request({ port, host: '127.0.0.1', path, headers }, async (response) => {
      response.setEncoding('utf8');
      let body = '';
      for await (const piece of response) body += piece;
      resolve({ status: response.statusCode, headers: response.headers, body });
    });
    asking.on('error', reject);
    asking.end();
  }));
}

describe('a refusal is found by its id', () => {
  const holder = useServer({ env: ALL });
  let server;
  before(() => {
    ({ server } = holder);
    server.url = server.url.replace('localhost', '127.0.0.1');
  });

  it('at the door', async () => {
    const error = await refusal(server, { auth: { token: 'no token' } });
    assertLike(error.data, { code: 'INVALID_TOKEN', status: 401, errorId: ERROR_ID });
    await assertNoted(server, error.data.errorId, { kind: 'connect', code: 'INVALID_TOKEN', cause: 'Authentication error: Invalid token' });
  });

  for (const [dialect, [event, payload, code, cause, logged = code]] of Object.entries(REQUESTS)) {
    it(`of a request in ${dialect}, in its ack and in its packet`, async (test) => {
      const [ann] = await people(test, server, ['ann'], { dialect });
      const expected = { kind: 'event', code: logged, event, sid: ann.socket.id, user: ann.user.id, cause };
      const ack = await ann.ask(event, payload);
      assert.equal(ack.code, code);
      await assertNoted(server, ack.errorId, expected);
      ann.tell(event, payload);
      const packet = await ann.next(ANSWERS[dialect] ?? 'error');
      assert.equal(packet.code, code);
      assert.notEqual(packet.errorId, ack.errorId);
      await assertNoted(server, packet.errorId, expected);
    });
  }

  it('of an event that nobody knows', async (test) => {
    const [ann] = await people(test, server, ['ann']);
    const name = `no such event ${'x'.repeat(300)}`;
    const { errorId } = await ann.ask(name);
    const expected = { kind: 'event', code: 'UNKNOWN_EVENT', event: name.slice(0, 200), sid: ann.socket.id, user: ann.user.id, cause: 'Unknown event' };
    await assertNoted(server, errorId, expected, { level: 'debug' });
  });

  it('of who is put out', async (test) => {
    const [ann] = await people(test, server, ['ann']);
    const { id } = ann.socket;
    const { status } = await server.api('POST', `/api/admin/sockets/${id}/kick`, { headers: { 'x-api-key': KEY } });
    assert.equal(status, 200);
    const { errorId } = await ann.next('error');
    const cause = 'You were disconnected by an administrator';
    await assertNoted(server, errorId, { kind: 'disconnect', code: 'KICKED', sid: id, user: ann.user.id, cause });
  });

  it('over HTTP, in the body and in a header', async () => {
    const ann = newUser('ann');
    for (const [method, path, options, expected, level] of [
      ['GET', '/api/admin/stats?secret=1', { token: ann.token }, { code: 'FORBIDDEN', user: ann.id, cause: 'Administrators only' }],
      ['POST', '/api/messages/sync', { token: ann.token, body: {} }, { code: 'INVALID_PAYLOAD', user: ann.id, cause: 'otherUserId is required' }],
      ['GET', '/api/auth/me', { token: 'nope' }, { code: 'INVALID_TOKEN', cause: 'Invalid token' }],
      ['GET', '/api/auth/me', {}, { code: 'NO_TOKEN', cause: 'No token' }, 'debug'],
      ['GET', '/no/such/place', {}, { code: 'NOT_FOUND', cause: 'Not found' }, 'debug'],
    ]) {
      const { headers, body } = await server.api(method, path, options);
      assertLike(body, { success: false, error: expected.cause, message: expected.cause, code: expected.code, errorId: ERROR_ID });
      assert.equal(headers.get('x-error-id'), body.errorId);
      await assertNoted(server, body.errorId, { kind: 'http', event: `${method} ${path.split('?')[0]}`, ...expected }, { level });
    }
    assert.ok(!server.log.includes('secret=1'));
  });

  it('an origin that is refused is named, with what would let it in', async () => {
    const origin = 'https://elsewhere.example';
    const cause = `the page's origin is none of CLIENT_URL: CLIENT_URL=${origin} would let it in`;
    const polling = await ask(server, '/socket.io/?EIO=4&transport=polling', { origin });
    await assertNoted(server, polling.headers['x-error-id'], { kind: 'handshake', code: 'FORBIDDEN', event: 'GET /socket.io/', cause });
    const { body } = await server.api('POST', '/api/auth/login', { headers: { origin }, body: {} });
    assert.equal(body.error, 'Origin not allowed');
    await assertNoted(server, body.errorId, { kind: 'http', code: 'FORBIDDEN', event: 'POST /api/auth/login', cause });
  });

  it('a client with another parser has a line', async (test) => {
    class Encoder {
      encode(packet) {
        return [Buffer.from(JSON.stringify(packet))];
      }
    }
    class Decoder extends EventEmitter {
      add() {}

      destroy() {}
    }
    const client = open(server, { parser: { Encoder, Decoder }, auth: { token: newUser().token } });
    closeAfter(test, client);
    const line = JSON.parse(await server.logged((text) => text.includes('PROTOCOL_VIOLATION'), 'a line'));
    assert.deepEqual([line.level, line.kind], ['info', 'connect']);
    assert.match(line.cause, /another parser/);
  });

  it('a key where a user is asked for', async () => {
    const { status, body } = await server.api('GET', '/api/auth/me', { headers: { 'x-api-key': KEY } });
    assert.deepEqual([status, body.code, body.error], [401, 'NO_TOKEN', "No token: an API key stands for no user, and this is a user's"]);
  });

  it('of a handshake, in a header: the body is as Engine.IO has it', async () => {
    const cause = 'Unsupported protocol version';
    const polling = await ask(server, '/socket.io/?EIO=3&transport=polling');
    assert.deepEqual([polling.status, polling.body], [400, `{"code":5,"message":"${cause}"}`]);
    const upgrade = { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' };
    const websocket = await ask(server, '/socket.io/?EIO=3&transport=websocket', upgrade);
    assert.deepEqual([websocket.status, websocket.body], [400, cause]);
    for (const { headers } of [polling, websocket]) {
      await assertNoted(server, headers['x-error-id'], { kind: 'handshake', code: 'UNSUPPORTED_VERSION', event: 'GET /socket.io/', cause });
    }
    const gone = await ask(server, '/socket.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA');
    assert.equal(gone.body, '{"code":1,"message":"Session ID unknown"}');
    assert.equal((await lineOf(server, gone.headers['x-error-id'])).level, 'debug');
  });
});

describe('a flood of refusals', () => {
  it('gets a few lines of each client, and one that sums up the others', async (test) => {
    const server = await Server.start({ env: { ...ALL, RATE_LIMIT_EVENTS: '0' } });
    test.after(() => server.remove());
    const [ann, bob] = await people(test, server, ['ann', 'bob']);
    const refused = ['join_group', 'nope'];
    const acks = await Promise.all(Array.from({ length: 200 }, () => ann.ask(...refused)));
    assert.ok(acks.every(({ code }) => code === 'FORBIDDEN'));
    const ids = acks.map(({ errorId }) => errorId).filter((errorId) => errorId !== undefined);
    assert.equal(ids.length, 5);
    for (const errorId of ids) await lineOf(server, errorId);
    assert.ok((await bob.ask(...refused)).errorId, 'another one is heard beside it');
    const line = JSON.parse(await server.logged((text) => text.includes('refused as well'), 'the sum', 2 * LIMIT));
    const { time, seconds, ...sum } = line;
    assert.deepEqual(sum, { level: 'info', target: TARGET, message: 'refused as well', kind: 'event', code: 'NOT_FOUND', count: 195 });
    assert.ok(seconds >= 10 && time, seconds);
    assert.equal(server.log.split(TARGET).length - 1, 7, server.log);
  });

  it('what happens every day is not in the log, and has no id, unless it is asked for', async (test) => {
    const server = await Server.start({ env: { ...ALL, RUST_LOG: 'info' } });
    test.after(() => server.remove());
    const [ann] = await people(test, server, ['ann']);
    assert.deepEqual(await ann.ask('no such event'), { success: false, error: 'Unknown event', code: 'UNKNOWN_EVENT' });
    await server.api('PUT', '/api/admin/log', { headers: { 'x-api-key': KEY }, body: { filter: 'parlance::refusals=debug' } });
    await lineOf(server, (await ann.ask('no such event')).errorId);
  });
});
