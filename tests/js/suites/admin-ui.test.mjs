// The server side of the Admin UI: the namespace /admin, and the files under /admin/ui/.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { Administrator, FILES, PASSWORD, USER, WITH_ADMIN_UI } from '../lib/admin-ui.mjs';
import { assertTime, people } from '../lib/chat.mjs';
import { connect } from '../lib/client.mjs';
import { BINARY, useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { pipelined } from '../lib/wait.mjs';

const FEATURES = ['EMIT', 'DISCONNECT', 'MDISCONNECT', 'AGGREGATED_EVENTS'];

describe('the namespace of the Admin UI', () => {
  const holder = useServer({ env: { ...WITH_ADMIN_UI, RATE_LIMIT_LOGINS: '0', RATE_LIMIT_EVENTS: '0', WRITE_TIMEOUT: '10m', PING_INTERVAL: '10m' } });

  it('lets in who knows the password, and the page that is loaded again', async (test) => {
    const first = await Administrator.connect(test, holder.server);
    const [sessionId] = await first.find('session');
    assert.match(sessionId, /^[0-9a-f]{32}$/);
    const again = await Administrator.connect(test, holder.server, { sessionId });
    await again.find('all_sockets');
    assert.equal(again.place('session'), -1);
  });

  it('refuses all others in the words that open the form again', async () => {
    for (const auth of [
      undefined, {}, { username: USER }, { password: PASSWORD }, { username: USER, password: 'wrong' }, { username: 'root', password: PASSWORD },
      { username: USER, password: null }, { username: [USER], password: { a: 1 } }, { sessionId: 'x'.repeat(32) }, { sessionId: null },
      { sessionId: ['a'] }, { username: USER, password: 'x'.repeat(50_000) }, { token: newUser().token },
    ]) {
      assert.equal(await new Administrator(holder.server, auth ?? {}).refusal(), 'invalid credentials', JSON.stringify(auth)?.slice(0, 80));
    }
  });

  it('shows the sockets of both namespaces and then what happens, in the order that the page relies on', async (test) => {
    const [ann] = await people(test, holder.server, ['ann'], { dialect: 'messenger' });
    const boss = await Administrator.connect(test, holder.server);
    const [sockets] = await boss.find('all_sockets');
    assert.deepEqual((await boss.find('config'))[0], { supportedFeatures: [...FEATURES, 'ALL_EVENTS'] });
    const shown = sockets.find(({ id }) => id === ann.socket.id);
    const { handshake, clientId, ...rest } = shown;
    assert.deepEqual(rest, {
      id: ann.socket.id, transport: 'websocket', nsp: '/', data: { user: ann.user.id, username: ann.user.username },
      rooms: [ann.socket.id, `user:${ann.user.id}`],
    });
    assert.equal(typeof handshake.issued, 'number');
    assert.deepEqual([handshake.address, handshake.headers, handshake.query], ['127.0.0.1', {}, {}]);
    assert.ok(clientId && clientId !== ann.socket.io.engine.id);
    const own = sockets.find(({ id }) => id === boss.socket.id);
    assert.deepEqual([own.nsp, own.rooms], ['/admin', [boss.socket.id]]);

    const user = newUser('bob');
    await holder.server.api('GET', '/api/auth/me', { token: user.token });
    const bob = await connect(holder.server, user, { dialect: 'listing', transport: 'upgrading' });
    const id = bob.socket.id;
    test.after(() => bob.close());
    const [view, since] = await boss.find('socket_connected', (socket) => socket.id === id);
    assertTime(since);
    assert.equal(view.transport, 'polling');
    assert.deepEqual((await boss.find('socket_updated'))[0], { id, nsp: '/', transport: 'websocket' });
    await bob.succeed('joinRoom', 7);
    await boss.find('room_joined', (nsp, room, socket) => nsp === '/' && room === 'room:7' && socket === id);
    await ann.succeed('send_direct_message', { recipientId: user.id, content: 'Hello, Bob!' });
    const [, , said] = await boss.find('event_received', (nsp, socket, [name]) => socket === ann.socket.id && name === 'send_direct_message');
    assert.deepEqual(said, ['send_direct_message', { recipientId: user.id, content: 'Hello, Bob!' }]);
    const [nsp, , heard, at] = await boss.find('event_sent', (_, socket, [name]) => socket === id && name === 'directMessage');
    assert.equal(nsp, '/');
    assert.equal(heard.length, 2, 'the place in the order is no argument');
    assertTime(at);
    bob.close();
    await boss.find('room_left', (_, room, socket) => room === 'room:7' && socket === id);
    const place = (name, ...expected) => boss.place(name, (...args) => expected.every((arg, index) => arg === undefined || args[index] === arg));
    const ownJoined = place('room_joined', '/', id, id);
    const connected = boss.place('socket_connected', (socket) => socket.id === id);
    const disconnected = place('socket_disconnected', '/', id, 'disconnected');
    assert.ok(0 <= ownJoined && ownJoined < connected && connected < disconnected);
    for (const room of [id, `user:${user.id}`, 'room:7']) assert.ok(place('room_left', '/', room, id) > disconnected, room);
    assert.equal(boss.told.some(([name, namespace]) => name.startsWith('event_') && namespace === '/admin'), false, 'no echo of its own');
  });

  it('shows who else is there', async (test) => {
    const boss = await Administrator.connect(test, holder.server);
    await boss.find('all_sockets');
    // It receives all events from here on.
    const other = await Administrator.connect(test, holder.server);
    const { id } = other.socket;
    await boss.find('socket_connected', (socket) => socket.id === id && socket.nsp === '/admin');
    other.socket.disconnect();
    await boss.find('socket_disconnected', (nsp, socket) => nsp === '/admin' && socket === id);
  });

  it('tells the figures of the server every two seconds, each second once', async (test) => {
    const boss = await Administrator.connect(test, holder.server);
    await people(test, holder.server, ['ann']);
    const opened = (stats) => stats.aggregatedEvents.filter(({ type }) => type === 'rawConnection').reduce((sum, { count }) => sum + count, 0);
    await boss.find('server_stats', (stats) => opened(stats) > 0);
    // The next ones do not contain it again.
    const told = boss.told.filter(([name]) => name === 'server_stats').length;
    await boss.find('server_stats', () => boss.told.filter(([name]) => name === 'server_stats').length >= told + 2);
    const all = boss.told.filter(([name]) => name === 'server_stats').map(([, stats]) => stats);
    assert.equal(all.reduce((sum, stats) => sum + opened(stats), 0), 1);
    const { serverId, uptime, pid, clientsCount, pollingClientsCount, namespaces } = all.at(-1);
    assert.equal(serverId, `${hostname()}#${pid}`);
    assert.ok(uptime > 0 && clientsCount === 2 && pollingClientsCount === 0, JSON.stringify(all.at(-1)));
    assert.deepEqual(namespaces, [{ name: '/', socketsCount: 1 }, { name: '/admin', socketsCount: 1 }]);
    for (const { timestamp } of all.flatMap((stats) => stats.aggregatedEvents)) assert.equal(timestamp % 1000, 0);
  });

  it('puts sockets out: one, a room, its own', async (test) => {
    const boss = await Administrator.connect(test, holder.server);
    const [ann, bob, cid] = await people(test, holder.server, ['ann', 'bob', 'cid'], { dialect: 'listing' });
    await bob.succeed('joinRoom', 8);
    boss.socket.emit('_disconnect', '/', false, ann.socket.id);
    assert.equal((await ann.next('error')).code, 'KICKED');
    assert.equal(await ann.disconnected(), 'io server disconnect');
    boss.socket.emit('_disconnect', '/', true, 'room:8');
    assert.equal(await bob.disconnected(), 'io server disconnect');
    assert.ok(cid.socket.connected, 'who is not meant stays');
    const other = await Administrator.connect(test, holder.server);
    boss.socket.emit('_disconnect', '/admin', false, other.socket.id);
    assert.equal(await other.gone, 'io server disconnect');
    boss.socket.emit('_disconnect', '/', false);
    assert.equal(await cid.disconnected(), 'io server disconnect');
    assert.ok(boss.socket.connected);
  });

  it('emits to a room, a socket or all', async (test) => {
    const boss = await Administrator.connect(test, holder.server);
    const [ann, bob] = await people(test, holder.server, ['ann', 'bob'], { dialect: 'listing' });
    await bob.succeed('joinRoom', 9);
    boss.socket.emit('emit', '/', 'room:9', 'news', 1, { b: 'two' });
    assert.deepEqual(await bob.nextArgs('news'), [1, { b: 'two' }]);
    boss.socket.emit('emit', '/', ann.socket.id, 'news', 'a text');
    assert.deepEqual(await ann.nextArgs('news'), ['a text']);
    boss.socket.emit('emit', '/', null, 'all of you');
    await Promise.all([ann.next('all of you'), bob.next('all of you')]);
    assert.deepEqual(ann.told('news'), []);
  });

  it('is no user of the chat, and may stand on one connection with one', async (test) => {
    const boss = await Administrator.connect(test, holder.server);
    const administrator = newUser('root', { role: 'admin' });
    const { body } = await holder.server.api('GET', '/api/users/online', { token: administrator.token });
    assert.deepEqual(body.users, []);
    const user = newUser('ann');
    const chat = boss.socket.io.socket('/', { auth: { token: user.token, dialect: 'messenger' } });
    await boss.find('socket_connected', (socket) => socket.data.user === user.id);
    chat.disconnect();
    await boss.find('socket_disconnected', (nsp) => nsp === '/');
    assert.ok(boss.socket.connected);
  });

  it('harms nobody who asks for nonsense', async (test) => {
    const [ann] = await people(test, holder.server, ['ann'], { dialect: 'messenger' });
    const boss = await Administrator.connect(test, holder.server);
    for (const args of [[], ['/'], [7], [null], ['/', 'yes'], ['/', false, 7], ['/', false, { a: 1 }], ['/', false, 'x'.repeat(500_000)],
      ['/nope', false], ['/', false, Buffer.from('x')], ['/', false, 'conversation:none']]) {
      for (const name of ['_disconnect', 'emit', 'join', 'leave', 'whatever']) boss.socket.emit(name, ...args);
    }
    for (let flood = 0; flood < 2_000; flood++) boss.socket.emit('emit', '/', 'nobody is here', 'x');
    await ann.succeed('typing_start', { conversationId: 'none' }).catch(() => {});
    assert.ok(ann.socket.connected && boss.socket.connected);
    const outside = new Administrator(holder.server, {});
    outside.socket.on('connect_error', () => {});
    outside.socket.emit('_disconnect', '/', false);
    assert.equal(await outside.refusal(), 'invalid credentials');
    assert.deepEqual(outside.told, [], 'and is told nothing');
    assert.ok(ann.socket.connected);
  });

  it('is told all anew when it was too slow', async (test) => {
    const boss = await Administrator.connect(test, holder.server);
    await boss.find('all_sockets');
    const engine = boss.socket.io.engine.transport.ws;
    engine.pause();
    const [ann, bob] = await people(test, holder.server, ['ann', 'bob'], { dialect: 'messenger' });
    const body = 'z'.repeat(7_000);
    for (let sent = 0; sent < 8_000; sent += 200) {
      for (let more = 0; more < 200; more++) ann.tell('x', body);
      await ann.ask('send_direct_message', { recipientId: bob.user.id, content: 'still there?' });
    }
    engine.resume();
    await boss.find('all_sockets', (sockets) => sockets.some(({ id }) => id === bob.socket.id));
    assert.ok(boss.told.filter(([name]) => name === 'event_received').length < 8_000, 'what it lost is lost');
  });
});

describe('the settings of the Admin UI', () => {
  describe('CONNECT_TIMEOUT=3s', () => {
    const holder = useServer({ env: { ...WITH_ADMIN_UI, CONNECT_TIMEOUT: '3s' } });

    it('is kept by who is in /admin only', async (test) => {
      const boss = await Administrator.connect(test, holder.server);
      await boss.find('server_stats', ({ uptime }) => uptime > boss.told.find(([name]) => name === 'server_stats')[1].uptime + 4);
      assert.ok(boss.socket.connected);
    });
  });

  describe('more sockets than a page bears', () => {
    const MOST = 2_000;
    const holder = useServer({ env: { ...WITH_ADMIN_UI, MAX_SOCKETS_PER_USER: '0', MAX_SOCKETS_PER_ADDRESS: '0' } });

    it('are shown as figures, to who watches already and to who comes, until there are fewer', async (test) => {
      const { server } = holder;
      const user = newUser('many');
      const come = () => connect(server, user, { dialect: 'messenger', transport: 'websocket' });
      const clients = await pipelined(MOST, 50, come);
      test.after(() => clients.forEach((client) => client.close()));
      const all = async (boss) => (await boss.find('all_sockets', (sockets) => sockets.length > 0))[0].filter(({ nsp }) => nsp === '/');
      const onlyFigures = (boss) => boss.find('config', ({ supportedFeatures }) => !supportedFeatures.includes('ALL_EVENTS'));
      const before = await Administrator.connect(test, server);
      assert.equal((await all(before)).length, MOST);
      const last = await come();
      await onlyFigures(before);
      assert.deepEqual((await before.find('all_sockets', (sockets) => sockets.length === 0)), [[]], 'the page forgets what it knew');
      const meanwhile = await Administrator.connect(test, server);
      await onlyFigures(meanwhile);
      await meanwhile.find('server_stats', ({ clientsCount }) => clientsCount > MOST);
      last.close();
      await meanwhile.find('server_stats', ({ namespaces }) => namespaces.find(({ name }) => name === '/').socketsCount === MOST);
      assert.equal((await all(await Administrator.connect(test, server))).length, MOST);
    });
  });

  describe('ADMIN_UI_PASSWORD as `parlance admin-password` makes it', () => {
    const made = () => {
      const printed = execFileSync(BINARY, ['admin-password'], { input: 'another password\n', encoding: 'utf8' });
      return /^ADMIN_UI_PASSWORD='(\$2b\$12\$.{53})'\n$/.exec(printed)[1];
    };
    const holder = useServer({ env: { ADMIN_UI_PASSWORD: made() } });

    it('lets in who knows it', async (test) => {
      await Administrator.connect(test, holder.server, { username: 'admin', password: 'another password' });
      assert.equal(await new Administrator(holder.server, { username: 'admin', password: PASSWORD }).refusal(), 'invalid credentials');
    });
  });

  describe('none', () => {
    const holder = useServer();

    it('is an unknown namespace, and no files', async () => {
      assert.equal(await new Administrator(holder.server).refusal(), 'Invalid namespace');
      const { status, body } = await holder.server.api('GET', '/admin/ui/');
      assert.deepEqual([status, body.code], [404, 'NOT_FOUND']);
      assert.match(body.message, /ADMIN_UI_DIR.*ui\/dist.*@socket\.io\/admin-ui/);
    });
  });

  describe('ADMIN_UI_MODE=production, RATE_LIMIT_LOGINS=2', () => {
    const holder = useServer({ env: { ...WITH_ADMIN_UI, ADMIN_UI_MODE: 'production', RATE_LIMIT_LOGINS: '2' } });

    it('shows figures only', async (test) => {
      const boss = await Administrator.connect(test, holder.server);
      assert.deepEqual((await boss.find('config'))[0], { supportedFeatures: FEATURES });
      await people(test, holder.server, ['ann']);
      await boss.find('server_stats', ({ namespaces }) => namespaces[0].socketsCount === 1);
      assert.deepEqual([...new Set(boss.told.map(([name]) => name))].sort(), ['config', 'server_stats', 'session']);
    });

    it('is tried no more often than a login', async () => {
      const wrong = { username: USER, password: 'wrong' };
      for (const expected of [/^invalid credentials$/, /^invalid credentials$/, /^too many attempts, try again in \d+ s$/]) {
        assert.match(await new Administrator(holder.server, wrong).refusal(), expected);
      }
      assert.match(await new Administrator(holder.server).refusal(), /^too many/, 'the right one has to wait, too');
    });
  });

  describe('ADMIN_UI_DIR', () => {
    const holder = useServer({ env: WITH_ADMIN_UI });

    it('is served with its links intact', async () => {
      const bare = await fetch(`${holder.server.url}/admin/ui`, { redirect: 'manual' });
      assert.deepEqual([bare.status, bare.headers.get('location')], [308, 'ui/']);
      const { status, body, headers } = await holder.server.api('GET', '/admin/ui/');
      assert.deepEqual([status, headers.get('content-type'), headers.get('cache-control')], [200, 'text/html; charset=utf-8', 'public, max-age=0']);
      assert.equal(headers.get('x-frame-options'), 'DENY');
      for (const [, link] of body.matchAll(/(?:src|href)="([^":]+)"/g)) {
        const file = await holder.server.api('GET', `/admin/ui/${link}`);
        assert.equal(file.status, 200, link);
        assert.equal(file.headers.get('x-content-type-options'), 'nosniff');
        if (link.startsWith('js/')) assert.equal(file.headers.get('cache-control'), 'public, max-age=31536000, immutable');
      }
      for (const path of ['js', 'js/', 'none.js', '%2e%2e/package.json', '..%2fpackage.json', 'js/..%2f..%2fpackage.json', '.env']) {
        assert.equal((await holder.server.api('GET', `/admin/ui/${path}`)).status, 404, path);
      }
    });
  });

  it('end the start where they are wrong, with their names', () => {
    const folder = mkdtempSync(join(tmpdir(), 'parlance-'));
    const start = (env) => spawnSync(BINARY, [], { cwd: folder, env: { PATH: process.env.PATH, DATA_DIR: folder, PORT: '0', ...env }, encoding: 'utf8', timeout: 20_000 });
    for (const [env, expected] of [
      [{ ADMIN_UI_PASSWORD: 'plain text' }, /^parlance: ADMIN_UI_PASSWORD: .*parlance admin-password/m],
      [{ ADMIN_UI_PASSWORD: WITH_ADMIN_UI.ADMIN_UI_PASSWORD.slice(0, -1) }, /^parlance: ADMIN_UI_PASSWORD: .*parlance admin-password/m],
      [{ ADMIN_UI_DIR: join(FILES, 'js') }, /^parlance: ADMIN_UI_DIR: no index\.html in .*ui\/dist/m],
      [{ ADMIN_UI_MODE: 'staging' }, /^parlance: ADMIN_UI_MODE: "staging" is unknown; known are development, production/m],
    ]) {
      const { status, stderr } = start(env);
      assert.equal(status, 1, stderr);
      assert.match(stderr, expected);
      assert.doesNotMatch(stderr, /plain text/);
    }
    const { status, stderr } = spawnSync(BINARY, ['admin-password'], { input: 'short\n', encoding: 'utf8' });
    assert.equal(status, 1);
    assert.match(stderr, /at least 8 characters/);
  });
});
