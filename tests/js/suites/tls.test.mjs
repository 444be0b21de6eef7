// HTTPS and wss served directly, and clients that do not speak TLS.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import tls from 'node:tls';

import { Authority } from '../lib/certificate.mjs';
import { TRANSPORTS, connect } from '../lib/client.mjs';
import { BINARY, Server } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

describe('TLS', () => {
  let authority;
  let server;
  before(async () => {
    authority = new Authority();
    server = await Server.start({ env: { ...authority.env, RUST_LOG: 'info', API_KEYS: 'the-key-of-a-server' } });
  });
  after(async () => {
    await server?.remove();
    authority?.remove();
  });
  const port = () => Number(new URL(server.url).port);
  const options = () => ({ ca: authority.ca, rejectUnauthorized: true });

  /** Sends one request: returns `{status, headers, body}`. */
  function request(method, path, { body, headers = {} } = {}) {
    return within(LIMIT, `${method} ${path}`, new Promise((resolve, reject) => {
      const sent = https.request(server.url + path, { ...options(), method, agent: false, headers: { 'content-type': 'application/json', ...headers } }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => (text += chunk)).on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: text }));
      });
      sent.on('error', reject).end(body && JSON.stringify(body));
    }));
  }

  /** Returns the serial number of the certificate that a new connection gets. */
  async function serial() {
    const socket = tls.connect({ host: 'localhost', port: port(), servername: 'localhost', ...options() });
    await within(LIMIT, 'the handshake', once(socket, 'secureConnect'));
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  }

  async function serialBecomes(expected) {
    await within(LIMIT, 'the new certificate', (async () => {
      while ((await serial()) !== expected);
    })());
  }

  /** Sends bytes to the port; resolves with the answer once the server has closed. */
  function closed(bytes) {
    return within(LIMIT, 'the end of the connection', new Promise((resolve) => {
      const socket = net.connect(port(), 'localhost');
      const said = [];
      socket.on('data', (data) => said.push(data)).on('error', () => {}).on('close', () => resolve(Buffer.concat(said)));
      if (bytes) socket.write(bytes);
    }));
  }

  it('who says nothing keeps nobody from shaking hands', async (test) => {
    // More than may perform handshakes at once.
    const open = await Server.start({ env: { ...authority.env, MAX_SOCKETS_PER_ADDRESS: '0' } });
    const silent = [];
    test.after(() => {
      for (const socket of silent) socket.destroy();
      return open.remove();
    });
    const own = Number(new URL(open.url).port);
    for (let number = 0; number < 1_100; number += 1) {
      const socket = net.connect(own, 'localhost').on('error', () => {});
      silent.push(socket);
      await once(socket, 'connect');
    }
    const begun = Date.now();
    const socket = tls.connect({ host: 'localhost', port: own, servername: 'localhost', ...options() });
    await within(LIMIT, 'the handshake', once(socket, 'secureConnect'));
    socket.destroy();
    // Silent handshakes end after ten seconds.
    assert.ok(Date.now() - begun < 5_000, `${Date.now() - begun} ms`);
  });

  it('says where it listens', () => {
    assert.match(server.url, /^https:\/\/localhost:\d+$/);
  });

  for (const transport of Object.keys(TRANSPORTS)) {
    it(`stock clients talk over it: ${transport}`, async (test) => {
      const [ann, bob] = await Promise.all(['ann', 'bob'].map((name) => connect(server, newUser(name), { transport, ...options() })));
      test.after(() => [ann, bob].forEach((client) => client.close()));
      if (transport === 'upgrading') await Promise.all([ann, bob].map((client) => client.upgraded()));
      // More than is encrypted, or read, at once.
      const content = 'ä'.repeat(400_000);
      await ann.succeed('send_direct_message', { recipientId: bob.user.id, content });
      assert.equal((await bob.next('new_message')).message.content, content);
      await bob.succeed('send_direct_message', { recipientId: ann.user.id, content: 'short' });
      assert.equal((await ann.next('new_message')).message.content, 'short');
    });
  }

  it('a client that reads late gets all of it', async (test) => {
    const [ann, bob] = await Promise.all(['ann', 'bob'].map((name) => connect(server, newUser(name), options())));
    test.after(() => [ann, bob].forEach((client) => client.close()));
    const socket = bob.socket.io.engine.transport.ws._socket;
    socket.pause();
    const contents = Array.from({ length: 8 }, (_, index) => `${index} ${'x'.repeat(100_000)}`);
    for (const content of contents) await ann.succeed('send_direct_message', { recipientId: bob.user.id, content });
    socket.resume();
    for (const content of contents) assert.equal((await bob.next('new_message')).message.content, content);
  });

  it('cookies are for TLS only, and the WebSocket has its address', async () => {
    const name = `ann${Date.now()}`;
    const { status, headers } = await request('POST', '/api/auth/register', { body: { username: name, email: `${name}@example.org`, password: 'a long password' } });
    assert.equal(status, 201);
    assert.match(String(headers['set-cookie']), /^token=.*; Secure/);
    const cookie = headers['set-cookie'][0].split(';')[0];
    const answer = await request('GET', '/app/get-connection-id', { headers: { cookie } });
    assert.match(answer.body, new RegExp(`"websocketUrl":"wss://localhost:${port()}`), answer.body);
  });

  it('who does not speak it is cut off, and nobody else is harmed', async (test) => {
    const ann = await connect(server, newUser('ann'), options());
    test.after(() => ann.close());
    const said = await closed('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n');
    assert.ok(!said.includes('HTTP/1.1 200'), 'nothing is served without TLS');
    for (const bytes of [Buffer.alloc(100_000, 0xff), Buffer.from([0x16, 3, 1, 0xff, 0xff, ...Array(70_000).fill(1)]), Buffer.from([0x16, 3, 1, 0, 4, 1, 0, 0, 0])]) await closed(bytes);
    assert.equal((await request('GET', '/healthz')).status, 200);
    await ann.succeed('send_direct_message', { recipientId: newUser().id, content: 'still here' }).catch(() => {});
    assert.ok(ann.socket.connected);
  });

  it('parlance healthz finds it', async () => {
    const run = (env) => spawnSync(BINARY, ['healthz'], { cwd: server.folder, env: { ...server.env, PORT: String(port()), ...env }, encoding: 'utf8' });
    assert.equal(run().status, 0);
    const plain = run({ TLS_CERT: '', TLS_KEY: '' });
    assert.equal(plain.status, 1);
    assert.match(plain.stderr, /^parlance: no healthy server at localhost port \d+: /);
  });

  it('commands find it by its settings, whoever signed its certificate; with a name they look at that', () => {
    const run = (...args) => spawnSync(BINARY, args, { cwd: server.folder, env: { ...server.env, PORT: String(port()) }, encoding: 'utf8' });
    assert.match(run('stats', '--once').stdout, /^connections /m);
    const { checks } = JSON.parse(run('check', '--json').stdout);
    const found = (what) => checks.find((check) => check.what === what);
    assert.match(found('port').found, /a Parlance serves here already/);
    assert.equal(found('certificate').status, 'ok');
    assert.match(run('stats', '--once', '--url', server.url, '--key', 'x').stderr, /UnknownIssuer/);
  });

  it('a handshake that does not come to an end is cut', async () => {
    const begun = Date.now();
    await closed(Buffer.from([0x16, 3, 1, 0, 200, 1]));
    assert.ok(Date.now() - begun > 5_000, 'a bad line has time');
  });

  it('a new certificate is read at SIGHUP, a broken one is not taken', async (test) => {
    const ann = await connect(server, newUser('ann'), options());
    test.after(() => ann.close());
    const renewed = authority.issue();
    server.process.kill('SIGHUP');
    await serialBecomes(renewed);
    assert.ok(ann.socket.connected, 'connections stay');
    writeFileSync(authority.env.TLS_CERT, 'no certificate');
    server.process.kill('SIGHUP');
    await server.logs(/the certificate stays as it is cause=".*server\.pem: it holds no certificate/);
    assert.equal(await serial(), renewed);
    server.process.kill('SIGHUP');
    assert.equal(await serial(), renewed);
    const again = authority.issue();
    server.process.kill('SIGHUP');
    await serialBecomes(again);
    assert.equal(server.log.match(/the certificate stays as it is/g).length, 1, 'it is said once');
  });

  it('a new certificate is noticed without a signal', async () => {
    await serialBecomes(authority.issue());
  });

  it('a certificate without its key, or with another, ends the start', async () => {
    const { TLS_CERT, TLS_KEY } = authority.env;
    const other = new Authority();
    for (const [env, words] of [
      [{ TLS_KEY: '' }, /^parlance: TLS_KEY: must be set where TLS_CERT is$/m],
      [{ TLS_CERT: '' }, /^parlance: TLS_CERT: must be set where TLS_KEY is$/m],
      [{ TLS_CERT: '/nowhere' }, /^parlance: TLS_CERT, TLS_KEY: \/nowhere: No such file/m],
      [{ TLS_KEY: TLS_CERT }, /^parlance: TLS_CERT, TLS_KEY: .*it holds no private key in PEM$/m],
      [{ TLS_KEY: other.env.TLS_KEY }, /^parlance: TLS_CERT, TLS_KEY: .*it is not the key of .*$/m],
    ]) {
      const broken = server.successor({ TLS_CERT, TLS_KEY, ...env });
      assert.equal((await within(LIMIT, 'its end', broken.exited)).code, 1);
      assert.match(broken.log, words);
    }
    other.remove();
  });
});
