// A stand-in for the operator's own server: verifies each request's signature, and answers as the test says.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { fileURLToPath } from 'node:url';

import { hooked, unlikeCall } from './documents.mjs';
import { LIMIT, within } from './wait.mjs';

hooked.codes = true;

/** Secret of every stand-in: `whsec_` and base64, as Standard Webhooks has it. */
export const SECRET = `whsec_${Buffer.from('a-secret-of-the-backend-tests').toString('base64')}`;

/** Returns the signature of a request (source: standardwebhooks.com, "Verifying webhook authenticity"). */
export function signatureOf(id, timestamp, body, secret = SECRET) {
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

/** The stand-in. `asked` has the requests in order; `answer(request, response)` returns JSON, or answers by itself. */
export class Backend {
  static async start({ answer = () => ({}), certificate } = {}) {
    const backend = new Backend();
    Object.assign(backend, { answer, asked: [], looks: [], sockets: new Set() });
    const serve = async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      await backend.take(request, Buffer.concat(chunks).toString(), response);
    };
    backend.server = certificate ? createSecureServer(certificate, serve) : createServer(serve);
    backend.server.on('connection', (socket) => {
      backend.sockets.add(socket);
      socket.on('close', () => backend.sockets.delete(socket)).on('error', () => {});
    });
    backend.server.listen(0, '127.0.0.1');
    await within(LIMIT, 'the stand-in', once(backend.server, 'listening'));
    const scheme = certificate ? 'https' : 'http';
    backend.url = `${scheme}://127.0.0.1:${backend.server.address().port}`;
    return backend;
  }

  async take({ headers, method, url }, text, response) {
    const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature } = headers;
    const body = JSON.parse(text);
    const faults = [
      method === 'POST' || method,
      headers['content-type'] === 'application/json' || headers['content-type'],
      signature === signatureOf(id, timestamp, text) || 'signature',
      Math.abs(Date.now() / 1000 - timestamp) < 60 || timestamp,
      body.id === id || 'id',
      unlikeCall(url.slice(1), body) ?? true,
    ].filter((fault) => fault !== true);
    if (faults.length > 0) process.nextTick(() => assert.fail(`a request to the back end: ${faults.join('; ')}\n${text}`));
    const asked = { id, type: body.type, data: body.data, path: url };
    this.asked.push(asked);
    this.looks = this.looks.filter((look) => !look());
    const answer = await this.answer(asked, response);
    if (answer === undefined || response.writableEnded) return;
    response.writeHead(200, { 'content-type': 'application/json' }).end(typeof answer === 'string' ? answer : JSON.stringify(answer));
  }

  /** Waits until this many requests have come; returns them. */
  async holds(count) {
    const found = new Promise((resolve) => {
      const look = () => this.asked.length >= count && (resolve(), true);
      if (!look()) this.looks.push(look);
    });
    await within(LIMIT, () => `${count} requests; so far ${JSON.stringify(this.asked).slice(0, 1_000)}`, found);
    return this.asked;
  }

  /** Settings by which a server asks it as its hook. */
  hook(events = 'send') {
    return { HOOK_URL: `${this.url}/hook`, HOOK_SECRET: SECRET, HOOK_EVENTS: events };
  }

  /** Settings by which a server forwards events to it. */
  forward() {
    return { FORWARD_URL: `${this.url}/forward`, FORWARD_SECRET: SECRET };
  }

  async stop() {
    this.server.close();
    this.sockets.forEach((socket) => socket.destroy());
  }
}

/** Returns a promise and the function that fulfils it. */
export function latch() {
  let open;
  const opened = new Promise((resolve) => { open = resolve; });
  return { open, opened };
}

/** Random text, for contents that must not be mixed up. */
export const nonce = () => randomBytes(6).toString('hex');

/** Runs a program of `examples/backend` on a free port until the test is over; returns its address. */
export async function example(test, name, env) {
  const port = await freePort();
  const [program, path] = [name.endsWith('.py') ? 'python3' : process.execPath, fileURLToPath(new URL(`../../../examples/backend/${name}`, import.meta.url))];
  const running = spawn(program, [path], { env: { PATH: process.env.PATH, PORT: String(port), ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  test.after(() => running.kill());
  await within(LIMIT, `${name} to listen`, once(running.stdout, 'data'));
  return `http://127.0.0.1:${port}`;
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
