// nginx and Caddy, configured as in the documentation, on ports of their own.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { LIMIT, within } from './wait.mjs';

const DOCUMENT = new URL('../../../docs/operating/proxies.md', import.meta.url);

/** Returns the example in this language, unchanged. */
function example(language) {
  const found = readFileSync(DOCUMENT, 'utf8').split('```' + language + '\n')[1]?.split('```')[0];
  if (!found) throw new Error(`no example of ${language}`);
  return found;
}

/** Replaces the parts that a test must change. */
function replaced(text, from, to) {
  if (!text.includes(from)) throw new Error(`no ${from}`);
  return text.replaceAll(from, to);
}

async function freePort() {
  const socket = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => socket.on('listening', resolve));
  const { port } = socket.address();
  await new Promise((resolve) => socket.close(resolve));
  return port;
}

const KINDS = {
  nginx(folder, port, upstream) {
    const site = replaced(replaced(example('nginx'), 'listen 80;', `listen 127.0.0.1:${port};`), '127.0.0.1:3000', upstream);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ');
    const configuration = join(folder, 'nginx.conf');
    writeFileSync(configuration, `worker_processes 1; pid ${folder}/pid; error_log stderr; daemon off;
      events { worker_connections 1024; } http { access_log off; ${temporary}\n${site}\n}`);
    return ['nginx', '-c', configuration, '-e', 'stderr'];
  },
  caddy(folder, port, upstream) {
    const site = replaced(replaced(example('caddy'), ':80 {', `:${port} {\n\tbind 127.0.0.1`), '127.0.0.1:3000', upstream);
    const configuration = join(folder, 'Caddyfile');
    writeFileSync(configuration, `{\n\tadmin off\n}\n${site}`);
    return ['caddy', 'run', '--config', configuration, '--adapter', 'caddyfile'];
  },
};

/** A proxy in front of a server. */
export class Proxy {
  static kinds = Object.keys(KINDS);

  static async start(kind, server) {
    const proxy = new Proxy();
    proxy.folder = mkdtempSync(join(tmpdir(), 'parlance-proxy-'));
    mkdirSync(join(proxy.folder, 'home'));
    const port = await freePort();
    proxy.url = `http://127.0.0.1:${port}`;
    const [program, ...args] = KINDS[kind](proxy.folder, port, `127.0.0.1:${new URL(server.url).port}`);
    const home = join(proxy.folder, 'home');
    const env = { PATH: `${process.env.PATH}:/usr/sbin`, HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home };
    proxy.process = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    proxy.log = '';
    proxy.process.stderr.on('data', (bytes) => (proxy.log += bytes));
    proxy.exited = new Promise((resolve) => proxy.process.on('exit', resolve).on('error', resolve));
    const died = proxy.exited.then((how) => Promise.reject(new Error(`${kind} ended: ${how}\n${proxy.log}`)));
    died.catch(() => {});
    await within(LIMIT, () => `${kind} to listen\n${proxy.log}`, Promise.race([died, listens(port)]));
    return proxy;
  }

  async remove() {
    this.process.kill('SIGTERM');
    await this.exited;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function listens(port) {
  for (;;) {
    const isThere = await new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true)).on('error', () => setTimeout(resolve, 20, false));
      socket.on('connect', () => socket.destroy());
    });
    if (isThere) return;
  }
}
