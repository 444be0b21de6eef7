// The log of the built server: its two formats, and its filter, switched at run time.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { people } from '../lib/chat.mjs';
import { connect } from '../lib/client.mjs';
import { Server } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const KEY = 'the-key-of-a-server';
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const LEVELS = ['error', 'warn', 'info', 'debug', 'trace'];

/** Starts a server of this test alone. */
async function start(test, env) {
  const server = await Server.start({ env: { API_KEYS: KEY, ...env } });
  test.after(() => server.remove());
  return server;
}

const admin = (server, method, body) => server.api(method, '/api/admin/log', { headers: { 'x-api-key': KEY }, body });

describe('lines of JSON', () => {
  it('each is an object with time, level, target and message, whatever clients say', async (test) => {
    const server = await Server.start({ env: { LOG_FORMAT: 'json', RUST_LOG: 'trace', API_KEYS: KEY } });
    const logFile = join(server.folder, 'all.log');
    // From the first line on.
    server.logFile = logFile;
    await server.end();
    await server.launch();
    test.after(() => server.remove());
    const [ann, bob] = await people(test, server, ['ann', 'bob']);
    for (const name of ['"', 'a"b\nc', '{"level":"error"}', '\u2028\u0007', 'é'.repeat(200), '\\']) ann.socket.emit(name, 'a secret text');
    await ann.ask('send_direct_message', { recipientId: bob.user.id, content: 'a secret text' });
    await server.api('GET', '/no/such/%22path%22?token=hidden');
    const { id } = ann.socket;
    ann.close();
    await server.logged((line) => line.includes('"disconnected"') && line.includes(id), 'the end of the connection');
    await server.end();
    const text = readFileSync(logFile, 'utf8');
    const lines = text.trimEnd().split('\n').map((line) => JSON.parse(line));
    for (const line of lines) {
      assert.match(line.time, TIME);
      assert.ok(LEVELS.includes(line.level), line.level);
      assert.equal(typeof line.target, 'string');
      assert.equal(typeof line.message, 'string');
    }
    const ofAnn = (message) => lines.find((line) => line.message === message && line.sid === id);
    const { time, ...connected } = ofAnn('connected');
    const target = 'parlance::chat::broker::connect';
    assert.deepEqual(connected, { level: 'info', target, message: 'connected', sid: id, user: ann.user.id, role: 'user', connections: 1 });
    assert.equal(ofAnn('disconnected').user, ann.user.id);
    assert.match(ofAnn('disconnected').reason, /^(disconnected|transport close)$/);
    assert.ok(lines.some((line) => line.message === 'event received' && line.event === 'a"b\nc'));
    assert.ok(!text.includes('a secret text') && !text.includes('hidden') && !text.includes(ann.user.token));
  });

  it('a start that fails says so in an object as well', async (test) => {
    const server = await start(test, { LOG_FORMAT: 'json' });
    server.env = { ...server.env, PORT: new URL(server.url).port };
    const other = Object.assign(new Server(), { wrap: [], env: server.env, folder: server.folder });
    await assert.rejects(other.launch(), /ended before it listened/);
    const line = JSON.parse(other.log.trimEnd().split('\n').at(-1));
    assert.deepEqual([line.level, line.target], ['error', 'parlance']);
    assert.match(line.message, /^cannot listen on localhost port \d+: /);
  });
});

describe('lines of text', () => {
  it('have the same fields as name=value', async (test) => {
    const server = await start(test, { RUST_LOG: 'info' });
    const [ann] = await people(test, server, ['ann']);
    const { id } = ann.socket;
    const fields = `sid=${id} user=${ann.user.id} role=user connections=1`;
    const line = await server.logged((line) => line.includes('connected sid='));
    assert.match(line, /^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO  parlance::chat::broker::connect\] connected /);
    assert.ok(line.endsWith(fields), line);
    ann.socket.io.engine.close();
    const gone = await server.logged((line) => line.includes(`disconnected sid=${id}`));
    assert.ok(gone.endsWith('reason="transport close"'), gone);
  });
});

describe('the filter', () => {
  it('is switched while the server runs, and returns by itself', async (test) => {
    const server = await start(test, { RUST_LOG: 'warn' });
    const ann = await connect(server, newUser('ann'));
    test.after(() => ann.close());
    const { body: before } = await admin(server, 'GET');
    assert.deepEqual(before, { success: true, log: { filter: 'warn', configured: 'warn', until: null } });

    const filter = 'warn,parlance::session=debug';
    const { status, body } = await admin(server, 'PUT', { filter, forSeconds: 2 });
    assert.equal(status, 200);
    assert.match(body.log.until, TIME);
    assert.deepEqual(body.log, { filter, configured: 'warn', until: body.log.until });
    await ann.ask('leave_group', 'first');
    await server.logged((line) => line.includes('event received') && line.includes('event=leave_group'));

    await within(LIMIT, 'the return of the filter', (async () => {
      while ((await admin(server, 'GET')).body.log.until !== null);
    })());
    assert.ok(Date.now() >= Date.parse(body.log.until), 'not before its time');
    assert.deepEqual((await admin(server, 'GET')).body, before);
    server.log = '';
    await ann.ask('leave_group', 'second');
    assert.ok(!server.log.includes('event received'), server.log);

    // Without a time it stays, and the end of an earlier one does not end it.
    await admin(server, 'PUT', { filter: 'error', forSeconds: 1 });
    const lasting = await admin(server, 'PUT', { filter: 'debug' });
    assert.deepEqual(lasting.body.log, { filter: 'debug', configured: 'warn', until: null });
    await ann.ask('leave_group', 'third');
    await server.logged((line) => line.includes('event received'));
  });

  for (const [body, message] of [
    [{}, /^Missing filter$/],
    [{ filter: ' ' }, /^Invalid filter$/],
    [{ filter: 7 }, /^Invalid filter$/],
    [{ filter: 'parlance=loud' }, /^Invalid filter: "parlance=loud": the level is one of off, error, warn, info, debug, trace$/],
    [{ filter: 'info/a/b' }, /^Invalid filter: .*too many '\/'s/],
    [{ filter: 'info', forSeconds: 0 }, /^Invalid forSeconds$/],
    [{ filter: 'info', forSeconds: '5' }, /^Invalid forSeconds$/],
    [{ filter: 'info', forSeconds: 1e9 }, /^Invalid forSeconds$/],
  ]) {
    it(`${JSON.stringify(body)} is refused with what is wrong`, async (test) => {
      const server = await start(test, {});
      const answer = await admin(server, 'PUT', body);
      assert.deepEqual([answer.status, answer.body.code], [400, 'INVALID_PAYLOAD']);
      assert.match(answer.body.message, message);
      assert.equal((await admin(server, 'GET')).body.log.filter, 'warn', 'nothing has changed');
    });
  }
});
