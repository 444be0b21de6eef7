// Every setting has an effect: the proofs that no other suite has, and the list of all others. To see a proof fail, set
// PARLANCE_BINARY to a script that does `exec env -u THE_SETTING parlance "$@"`.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { connect as connectTo } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { Administrator, PASSWORD, WITH_ADMIN_UI } from '../lib/admin-ui.mjs';
import { device } from '../lib/assistant.mjs';
import { assertHttpError, people, settle } from '../lib/chat.mjs';
import { closeAfter, connect, refusal } from '../lib/client.mjs';
import { DATABASES, runSql } from '../lib/database.mjs';
import { PNG, upload } from '../lib/files.mjs';
import { Model } from '../lib/model.mjs';
import { OUTAGES } from '../lib/outage.mjs';
import { stuckReader } from '../lib/raw.mjs';
import { BINARY, Server } from '../lib/server.mjs';
import { SECRET, epoch, newUser, sign } from '../lib/token.mjs';
import { LIMIT, pipelined, within } from '../lib/wait.mjs';

/** The suite in which a test fails if the server ignores the setting. */
const PROVED_IN = {
  FORWARD_URL: 'forward',
  FORWARD_SECRET: 'forward',
  FORWARD_TIMEOUT: 'forward',
  HOOK_URL: 'hooks',
  HOOK_SECRET: 'hooks',
  HOOK_EVENTS: 'hooks',
  HOOK_HEADERS: 'hooks',
  HOOK_TIMEOUT: 'hooks',
  HOOK_FAILURE: 'hooks',
  HOOK_CONCURRENCY: 'hooks',
  REUSE_PORT: 'restart',
  TLS_CERT: 'tls',
  TLS_KEY: 'tls',
  CLIENT_FILES: 'http',
  CLIENT_URL: 'http',
  PUBLIC_URL: 'browsers',
  TRUSTED_PROXIES: 'proxies',
  RUST_LOG: 'logs',
  LOG_FORMAT: 'logs',
  METRICS_TOKEN: 'metrics',
  STORE_RETRY_FOR: 'restart',
  STORE_QUEUE: 'outage',
  RETAIN_MESSAGES: 'retention',
  RETAIN_NOTIFICATIONS: 'retention',
  RETAIN_ORPHANS: 'retention',
  JWT_PUBLIC_KEY: 'tokens',
  JWKS_URL: 'tokens',
  OIDC_ISSUER: 'tokens',
  JWT_AUDIENCE: 'tokens',
  JWT_ISSUER: 'tokens',
  JWT_LEEWAY: 'tokens',
  JWT_USER_CLAIM: 'tokens',
  AUTO_PROVISION_USERS: 'auth',
  ANONYMOUS_USERS: 'guests',
  GUEST_TTL: 'guests',
  ALLOW_QUERY_TOKEN: 'auth',
  API_KEYS: 'administration',
  API_KEY_SCOPES: 'access',
  COOKIE_SAMESITE: 'browsers',
  UPLOAD_TYPES: 'browsers',
  DIALECTS: 'auth',
  DIALECT_FILES: 'dialect-files',
  STRICT_EVENTS: 'rooms',
  NAMESPACES: 'namespaces',
  PRESENCE_SCOPE: 'messenger',
  TYPING_TTL: 'messenger',
  CONNECT_TIMEOUT: 'overload',
  RECOVERY_TTL: 'recovery',
  OFFSETS: 'offsets',
  PERMESSAGE_DEFLATE: 'deflate',
  MAX_SOCKETS_PER_USER: 'bad-input',
  MAX_SOCKETS_PER_ADDRESS: 'overload',
  MAX_ROOMS_PER_SOCKET: 'bad-input',
  MAX_GROUP_MEMBERS: 'bounds',
  MAX_MESSAGE_LENGTH: 'bad-input',
  MAX_UPLOAD_SIZE: 'bad-input',
  AI_TIMEOUT: 'assistant',
  AI_TOTAL_TIMEOUT: 'answers',
  AI_ERROR_TEXT: 'assistant',
  ADMIN_UI_PASSWORD: 'admin-ui',
  ADMIN_UI_MODE: 'admin-ui',
  ADMIN_UI_DIR: 'admin-ui',
  WEB_CHAT: 'web-chat-page',
  WEBHOOK_URL: 'webhooks',
  WEBHOOK_SECRET: 'webhooks',
  WEBHOOK_EVENTS: 'webhooks',
  WEBHOOK_FILE: 'webhooks',
  WEBHOOK_KEEP: 'webhooks',
  WEBHOOK_UNREACHED_AFTER: 'webhooks',
};

/** The settings that are proved in this suite. */
const provedHere = [];

/** Defines a test that fails if the server ignores these settings. */
function proves(names, what, ...test) {
  provedHere.push(...names);
  it(`${names.join(', ')}: ${what}`, ...test);
}

/** Starts a server of this test alone. */
async function start(test, env, options = {}) {
  const server = await Server.start({ env, ...options });
  test.after(() => server.remove());
  return server;
}

const say = (sender, recipient, content) => sender.succeed('send_direct_message', { recipientId: recipient.id, content });
const texts = (client) => client.told('new_message').map(({ message }) => message.content);

describe('settings', { concurrency: 4 }, () => {
  it('each has a proof', () => {
    const env = { PATH: process.env.PATH };
    const settings = JSON.parse(execFileSync(BINARY, ['config', '--json'], { cwd: '/', env })).map(({ name }) => name);
    assert.deepEqual([...provedHere, ...Object.keys(PROVED_IN)].sort(), settings.sort());
    for (const [name, suite] of Object.entries(PROVED_IN)) {
      const file = new URL(`${suite}.test.mjs`, import.meta.url);
      assert.match(readFileSync(file, 'utf8'), new RegExp(`\\b${name}\\b`), `${name} in ${suite}`);
    }
  });

  // ---- server ----

  proves(['HOST'], 'it listens there, and nowhere else', async (test) => {
    const server = await start(test, { HOST: '127.0.0.2' });
    const { hostname, port } = new URL(server.url);
    assert.equal(hostname, '127.0.0.2', 'as it says');
    assert.equal((await fetch(`http://127.0.0.2:${port}/healthz`)).status, 200);
    await assert.rejects(fetch(`http://127.0.0.1:${port}/healthz`), ({ cause }) => cause.code === 'ECONNREFUSED');
  });

  proves(['PORT'], 'any free one, or this', async (test) => {
    const server = await start(test, { PORT: '0' });
    const { port } = new URL(server.url);
    assert.notEqual(port, '3000');
    await server.end();
    server.env.PORT = port;
    await server.launch();
    assert.equal(new URL(server.url).port, port);
  });

  proves(['SOCKET_PATH'], 'clients connect there, and nowhere else', async (test) => {
    const server = await start(test, { SOCKET_PATH: '/chat/socket' });
    for (const transport of ['polling', 'websocket']) closeAfter(test, await connect(server, newUser(), { transport, path: '/chat/socket' }));
    assert.equal((await fetch(server.url + POLLING)).status, 404);
  });

  proves(['DATA_DIR', 'DATABASE_URL'], 'everything is kept there', async (test) => {
    const server = await start(test, { DATA_DIR: 'a/new/folder', DATABASE_URL: 'sqlite://of-another-name.db', JWT_SECRET: undefined });
    for (const name of ['of-another-name.db', 'jwt-secret', 'uploads']) assert.ok(existsSync(join(server.folder, 'a/new/folder', name)), name);
  });

  proves(['SHUTDOWN_TIMEOUT'], 'a stop that waits for the database takes no longer', async (test) => {
    const outage = await OUTAGES.sqlite(test);
    const server = await start(test, { SHUTDOWN_TIMEOUT: '300ms' });
    const [ann, bob] = await people(test, server, ['ann', 'bob']);
    // Their first message is looked up in the database, behind all pending writes, the server's own included.
    await say(ann, bob.user, 'before');
    await bob.next('new_message');
    await outage.begin(server);
    ann.tell('send_direct_message', { recipientId: bob.user.id, content: 'under way' });
    await bob.next('new_message');
    server.process.kill('SIGTERM');
    assert.equal((await within(8_000, 'the end, in less than ten seconds', server.exited)).code, 0);
  });

  // ---- store ----

  proves(['DB_POOL_SIZE'], 'so many read at once', { skip: !DATABASES.includes('postgres') }, async (test) => {
    const size = 12;
    const server = await start(test, { DB_POOL_SIZE: String(size) }, { database: 'postgres' });
    const readers = Array.from({ length: size }, () => newUser());
    const list = ({ token }) => server.api('GET', '/api/notifications', { token });
    for (const reader of readers) assert.equal((await list(reader)).status, 200);
    const shell = spawn('psql', ['-X', '-q', '-d', server.env.DATABASE_URL], { stdio: ['pipe', 'pipe', 'inherit'] });
    test.after(() => shell.kill('SIGKILL'));
    shell.stdin.write('begin; lock table notifications; select 1;\n');
    await within(LIMIT, 'the lock', once(shell.stdout, 'data'));
    const lists = readers.map(list);
    const waiting = "SELECT 'count ' || count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    await within(LIMIT, `${size} to wait for the table`, (async () => {
      while (!runSql(server, waiting).includes(`count ${size}\n`)) await server.api('GET', '/healthz');
    })());
    shell.stdin.end('commit;\n');
    await Promise.all(lists);
  });

  proves(['DELIVERY'], '`stored` shows nothing before it is stored', async (test) => {
    const outage = await OUTAGES.sqlite(test);
    const server = await start(test, { DELIVERY: 'stored' });
    const [ann, bob] = await people(test, server, ['ann', 'bob']);
    const { message: { conversationId } } = await say(ann, bob.user, 'before');
    await bob.next('new_message');
    await outage.begin(server);
    ann.tell('send_direct_message', { recipientId: bob.user.id, content: 'under way' });
    await ann.succeed('typing_start', { conversationId });
    await bob.next('user_typing');
    assert.deepEqual(texts(bob), []);
    await outage.end();
    assert.equal((await bob.next('new_message')).message.content, 'under way');
  });

  // ---- accounts ----

  proves(['JWT_SECRET', 'JWT_ACCESS_SECRET_KEY', 'JWT_SECRETE'], 'all verify, the first signs', async (test) => {
    const server = await start(test, { JWT_SECRET: SECRET, JWT_ACCESS_SECRET_KEY: 'the second secret', JWT_SECRETE: 'the third secret' });
    for (const secret of [SECRET, 'the second secret', 'the third secret']) {
      const { id } = newUser();
      const { status } = await server.api('GET', '/api/auth/me', { token: sign({ id, exp: epoch(60) }, { secret }) });
      assert.equal(status, 200, secret);
    }
    const { token } = await register(server);
    const [header, claims] = token.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')));
    assert.equal(token, sign(claims, { header }));
  });

  proves(['TOKEN_TTL'], 'a token is valid for so long', async (test) => {
    const server = await start(test, { TOKEN_TTL: '90s' });
    const { token, expiresAt } = await register(server);
    const { iat, exp } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
    // Whole seconds: the one that has begun counts.
    assert.ok([90, 91].includes(exp - iat), `${exp - iat}`);
    assert.equal(Date.parse(expiresAt), exp * 1_000);
  });

  proves(['TOKEN_MAX_AGE'], 'a login ends, however often its token is refreshed; a token made elsewhere is not refreshed', async (test) => {
    const server = await start(test, { TOKEN_MAX_AGE: '4s', RATE_LIMIT_EVENTS: '0' });
    const { token, user } = await register(server);
    const expiry = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).exp;
    const refresh = (token) => server.api('POST', '/api/auth/refresh', { token });
    const second = await refresh(token);
    assert.equal(second.status, 200);
    assert.equal(expiry(second.body.token), expiry(token), 'the end is the login\'s');
    assertHttpError(await refresh(sign({ id: user.id, exp: epoch(3) })), 403, 'FORBIDDEN');
    await within(LIMIT, 'the end', (async () => {
      while ((await refresh(second.body.token)).status === 200);
    })());
    assertHttpError(await refresh(second.body.token), 401, 'TOKEN_EXPIRED');
  });

  proves(['REQUIRE_EXP'], 'a token without an end is refused', async (test) => {
    const server = await start(test, { REQUIRE_EXP: 'true' });
    const token = sign({ id: 'eternal' });
    assert.equal((await refusal(server, { auth: { token } })).data.code, 'INVALID_TOKEN');
    assertHttpError(await server.api('GET', '/api/auth/me', { token }), 401, 'INVALID_TOKEN');
  });

  proves(['ALLOW_REGISTRATION'], 'nobody registers', async (test) => {
    const server = await start(test, { ALLOW_REGISTRATION: 'false' });
    const body = { username: 'ann', email: 'ann@example.org', password: 'a long password' };
    assertHttpError(await server.api('POST', '/api/auth/register', { body }), 403, 'FORBIDDEN');
  });

  proves(['UPLOADS_REQUIRE_AUTH'], 'only users see them', async (test) => {
    const server = await start(test, { UPLOADS_REQUIRE_AUTH: 'true' });
    const { token } = newUser();
    const { file: { url } } = await upload(server, token, 'picture.png', PNG);
    assertHttpError(await server.api('GET', url), 401, 'NO_TOKEN');
    assert.equal((await server.api('GET', url, { token })).status, 200);
  });

  // ---- dialects ----

  proves(['PRESENCE_EVERYONE_MAX'], 'with more online, strangers are told nothing', async (test) => {
    const server = await start(test, { PRESENCE_EVERYONE_MAX: '2' });
    const ann = await connect(server, newUser('ann'));
    const [bob, cid] = [newUser('bob'), newUser('cid')];
    closeAfter(test, ann);
    for (const user of [bob, cid]) {
      const client = await connect(server, user);
      closeAfter(test, client);
      // Each sees itself when others would see it.
      await client.next('user_online', ({ userId }) => userId === user.id);
    }
    await ann.next('user_online', ({ userId }) => userId === bob.id);
    await ann.succeed('leave_group', 'nothing');
    assert.deepEqual(ann.told('user_online').filter(({ userId }) => userId === cid.id), []);
  });

  proves(['PRESENCE_GRACE'], 'who has dropped is offline so soon', async (test) => {
    const server = await start(test, { PRESENCE_GRACE: '50ms' });
    const [ann, bob] = await people(test, server, ['ann', 'bob']);
    await ann.next('user_online', ({ userId }) => userId === bob.user.id);
    bob.socket.io.engine.close();
    await ann.next('user_offline', ({ userId }) => userId === bob.user.id, 4_000);
  });

  for (const [name, value, missed] of [['CATCH_UP', 'off', []], ['CATCH_UP_MAX', '2', ['two', 'three']]]) {
    proves([name], `of three missed messages ${missed.length} come`, async (test) => {
      const server = await start(test, { [name]: value });
      const [ann] = await people(test, server, ['ann']);
      const user = newUser('bob');
      for (const content of ['one', 'two', 'three']) await say(ann, user, content);
      const bob = await connect(server, user);
      closeAfter(test, bob);
      await settle(ann, bob);
      assert.deepEqual(texts(bob), missed);
    });
  }

  // ---- connections ----

  proves(['WORKERS'], 'so many threads serve connections, whose clients hear each other', async (test) => {
    const server = await start(test, { WORKERS: '3' });
    const tasks = `/proc/${server.process.pid}/task`;
    const names = readdirSync(tasks).map((task) => readFileSync(`${tasks}/${task}/comm`, 'utf8').trim());
    assert.equal(names.filter((name) => name.startsWith('actix-rt')).length, 3, names.join(', '));
    const clients = await people(test, server, ['ann', 'bob', 'cid', 'dan', 'eve', 'fay']);
    for (const client of clients.slice(1)) await say(clients[0], client.user, `to ${client.user.username}`);
    await settle(...clients);
    clients.slice(1).forEach((client) => assert.deepEqual(texts(client), [`to ${client.user.username}`]));
  });

  proves(['KEEP_ALIVE'], 'an idle HTTP connection ends after that, and not before', async (test) => {
    const server = await start(test, { KEEP_ALIVE: '2s' });
    const { hostname, port } = new URL(server.url);
    const socket = connectTo(Number(port), hostname);
    test.after(() => socket.destroy());
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    await within(LIMIT, 'the answer', once(socket, 'data'));
    const answered = Date.now();
    await within(LIMIT, 'the end', once(socket.resume(), 'end'));
    assert.ok(Date.now() - answered > 1_000, `after ${Date.now() - answered} ms`);
  });

  proves(['PING_INTERVAL', 'PING_TIMEOUT'], 'who does not answer a heartbeat is cut', async (test) => {
    // Leaves a busy machine enough time to admit the client first.
    const server = await start(test, { PING_INTERVAL: '3s', PING_TIMEOUT: '2s', RUST_LOG: 'info' });
    const deaf = await stuckReader(server, newUser().token);
    test.after(() => deaf.destroy());
    deaf.resume();
    // The defaults are 25 and 20 seconds.
    await within(30_000, 'the end', once(deaf, 'end'));
    await server.logged((line) => line.includes('reason="ping timeout"'));
  });

  proves(['WRITE_TIMEOUT'], 'who does not read is cut so soon', async (test) => {
    // Neither the outbox nor the heartbeat causes it.
    const env = { OUTBOX_PACKETS: '1000000', OUTBOX_BYTES: '1000MB', PING_INTERVAL: '1h', RUST_LOG: 'info' };
    const server = await start(test, { ...env, WRITE_TIMEOUT: '200ms' });
    const [ann] = await people(test, server, ['ann']);
    const stuck = newUser('stuck');
    const reader = await stuckReader(server, stuck.token);
    test.after(() => reader.destroy());
    // More than the machine's socket buffers hold: it gets each in four dialects.
    for (let count = 0; count < 8; count++) await say(ann, stuck, 'x'.repeat(900_000));
    // The default is 20 seconds.
    await server.logged((line) => line.includes('reason="slow consumer"'), 'the end of who does not read', 15_000);
  });

  proves(['PROOF_INTERVAL'], 'so soon after a message its client is asked whether it has arrived', async (test) => {
    const server = await start(test, { PROOF_INTERVAL: '50ms' });
    const [ann, bob] = await people(test, server, ['ann', 'bob'], { dialect: 'messenger' });
    const asked = once(bob.socket.io, 'ping');
    await say(ann, bob.user, 'hello');
    await within(4_000, 'a ping, in less than five seconds', asked);
  });

  for (const [name, value] of [['RECOVERY_BYTES', '0'], ['PARKED_MAX', '0']]) {
    proves([name], 'where nothing is kept, who comes back comes anew', async (test) => {
      const server = await start(test, { [name]: value });
      const [ann, bob] = await people(test, server, ['ann', 'bob'], { dialect: 'messenger' });
      await say(ann, bob.user, 'before');
      await bob.next('new_message');
      const gone = once(bob.socket, 'disconnect');
      bob.socket.io.engine.close();
      await within(LIMIT, 'the disconnect', gone);
      await say(ann, bob.user, 'meanwhile');
      bob.socket.connect();
      await bob.connected();
      assert.equal(bob.socket.recovered, false);
      assert.equal((await bob.next('new_message', ({ message }) => message.content === 'meanwhile')).message.content, 'meanwhile');
    });
  }

  for (const [name, value, content] of [['OUTBOX_PACKETS', '16', 'short'], ['OUTBOX_BYTES', '64KB', 'x'.repeat(10_000)]]) {
    proves([name], 'for whom more waits is cut', async (test) => {
      const server = await start(test, { [name]: value, RUST_LOG: 'info' });
      const [ann] = await people(test, server, ['ann']);
      const user = newUser('idle');
      await idlePoller(server, user.token);
      const cut = server.logged((line) => line.includes('reason="slow consumer"') && line.includes(`user=${user.id}`));
      for (let count = 0; count < 15; count++) await say(ann, user, content);
      await cut;
    });
  }

  proves(['MAX_PACKET_SIZE'], 'a larger packet ends its connection', async (test) => {
    const server = await start(test, { MAX_PACKET_SIZE: '10KB' });
    const [ann, bob] = await people(test, server, ['ann', 'bob']);
    assert.equal((await handshake(server)).maxPayload, 10_240);
    await say(ann, bob.user, 'x'.repeat(9_000));
    ann.tell('send_direct_message', { recipientId: bob.user.id, content: 'x'.repeat(11_000) });
    assert.match(await ann.disconnected(), /^transport (close|error)$/);
    const body = { to: { userId: bob.user.id }, content: 'x'.repeat(11_000) };
    assertHttpError(await server.api('POST', '/api/messages', { token: ann.user.token, body }), 413, 'TOO_LARGE');
  });

  // ---- limits ----

  for (const [name, value] of [['RATE_LIMIT_EVENTS', '0'], ['RATE_LIMIT_BURST', '100']]) {
    proves([name], 'a hundred at once are not too many', async (test) => {
      const server = await start(test, { [name]: value });
      const [ann, bob] = await people(test, server, ['ann', 'bob']);
      await Promise.all(Array.from({ length: 100 }, (_, index) => say(ann, bob.user, `${index}`)));
    });
  }

  proves(['RATE_LIMIT_RECEIPTS'], 'without it, thousands are not too many', async (test) => {
    const server = await start(test, { RATE_LIMIT_RECEIPTS: '0' });
    const [ann, bob] = await people(test, server, ['ann', 'bob']);
    const { message: { conversationId } } = await say(ann, bob.user, 'hello');
    // A thousand at once always pass; with the default, the others would take longer than the limit.
    const count = 1_000 + LIMIT / 1_000 * 110;
    await within(LIMIT, 'all of them', pipelined(count, 100, () => ann.succeed('typing_stop', { conversationId })));
  });

  it('RATE_LIMIT_RECEIPTS: ten times as many at once, and the others take their time', async (test) => {
    const server = await start(test, { RATE_LIMIT_RECEIPTS: '5' });
    const [ann, bob] = await people(test, server, ['ann', 'bob']);
    const { message: { conversationId } } = await say(ann, bob.user, 'hello');
    const begun = Date.now();
    await pipelined(60, 60, () => ann.succeed('typing_stop', { conversationId }));
    assert.ok(Date.now() - begun > 1_500, 'ten more than fifty at once are two seconds of five a second');
  });

  proves(['RATE_LIMIT_LOGINS'], 'a third login in a minute is refused', async (test) => {
    const server = await start(test, { RATE_LIMIT_LOGINS: '2' });
    const login = () => server.api('POST', '/api/auth/login', { body: { login: 'nobody', password: 'a long password' } });
    for (let count = 0; count < 2; count++) assertHttpError(await login(), 401, 'INVALID_CREDENTIALS');
    assert.deepEqual([(await login()).status, (await login()).body.code], [429, 'RATE_LIMITED']);
  });

  // ---- model ----

  proves(['AI_PROVIDER', 'AI_URL', 'AI_API_KEY', 'AI_MODEL', 'AI_SYSTEM_PROMPT'], 'is who is asked, and how', async (test) => {
    const model = await Model.start('openai');
    test.after(() => model.kill());
    const server = await start(test, {
      AI_PROVIDER: 'openai', AI_URL: `http://127.0.0.1:${model.port}`, AI_API_KEY: 'a key', AI_MODEL: 'a model', AI_SYSTEM_PROMPT: 'Be brief.',
    });
    const client = await device(test, server);
    client.tell('ai-message', { chatId: 'c', content: 'Why?' });
    const asked = await model.next();
    assert.deepEqual([asked.headers.authorization, asked.body.model], ['Bearer a key', 'a model']);
    assert.deepEqual(asked.body.messages, [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'Why?' }]);
    asked.answer('Because.');
    assert.deepEqual(await client.next('ai-response'), { chat: 'c', content: 'Because.' });
  });

  proves(['AI_CONCURRENCY'], 'so many questions are asked at once', async (test) => {
    const model = await Model.start('openai');
    test.after(() => model.kill());
    const count = 10;
    const server = await start(test, { ...model.env, AI_CONCURRENCY: String(count), AI_PER_USER: '0' });
    const client = await device(test, server);
    for (let chat = 0; chat < count; chat++) await client.succeed('ai-message', { chatId: `${chat}`, content: 'Why?' });
    for (let asked = 0; asked < count; asked++) await model.next();
  });

  proves(['AI_PER_USER'], 'so many of one user, and others come before the next', async (test) => {
    const model = await Model.start('openai');
    test.after(() => model.kill());
    const server = await start(test, { ...model.env, AI_PER_USER: '1', AI_CONCURRENCY: '2' });
    const [ann, bob] = [await device(test, server), await device(test, server)];
    await ann.succeed('ai-message', { chatId: '1', content: 'first' });
    await ann.succeed('ai-message', { chatId: '2', content: 'second' });
    await bob.succeed('ai-message', { chatId: '3', content: 'third' });
    const asked = [await model.next(), await model.next()].map(({ body }) => JSON.stringify(body));
    assert.ok(asked.some((body) => body.includes('first')) && asked.some((body) => body.includes('third')), asked.join('\n'));
  });

  // ---- operations ----

  proves(['ADMIN_UI_USER'], 'lets in this name only', async (test) => {
    const server = await start(test, { ...WITH_ADMIN_UI, ADMIN_UI_USER: 'somebody else' });
    await Administrator.connect(test, server, { username: 'somebody else', password: PASSWORD });
    assert.equal(await new Administrator(server, { username: 'admin', password: PASSWORD }).refusal(), 'invalid credentials');
  });
});

/** Returns the server's answer to a registration. */
async function register(server) {
  const { username } = newUser();
  const { status, body } = await server.api('POST', '/api/auth/register', { body: { username, email: `${username}@example.org`, password: 'a long password' } });
  assert.equal(status, 201, JSON.stringify(body));
  return body;
}

const POLLING = '/socket.io/?EIO=4&transport=polling';
const poll = async (server, sid, options) => (await within(LIMIT, 'a poll', fetch(`${server.url}${POLLING}${sid}`, options))).text();

/** Returns the server's answer to a new connection. */
const handshake = async (server) => JSON.parse((await poll(server, '')).slice(1));

/** Returns an admitted polling client that sends no further request. */
async function idlePoller(server, token) {
  const sid = `&sid=${(await handshake(server)).sid}`;
  await poll(server, sid, { method: 'POST', body: `40${JSON.stringify({ token })}` });
  assert.match(await poll(server, sid), /^40/);
}
