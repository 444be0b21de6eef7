// The built server in a process of its own, on a free port, with a folder of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';

import { BINARY } from './binary.mjs';
import { newDatabase } from './database.mjs';
import { settingOf } from './dialects.mjs';
import { checkAnswer } from './documents.mjs';
import { SECRET } from './token.mjs';
import { LIMIT, within } from './wait.mjs';

export { BINARY };

/** Settings of a whole run, `NAME=VALUE` each: `PARLANCE_TEST_SETTINGS='PERMESSAGE_DEFLATE=true' npm test`. */
const OF_THE_RUN = Object.fromEntries((process.env.PARLANCE_TEST_SETTINGS ?? '').split(' ').filter(Boolean).map((setting) => setting.split('=')));
/** Settings of every test server; a test overrides those that it is about. */
const SETTINGS = {
  PORT: '0', JWT_SECRET: SECRET, JWT_LEEWAY: '0s', AUTO_PROVISION_USERS: 'true', RUST_LOG: 'warn', ...OF_THE_RUN,
};

/** Longest time, ms, after which a request comes again; limits of logins and of new users take longer. */
const PATIENCE = 1_000;

/** A running server. */
export class Server {
  binary = BINARY;

  /**
   * Starts a server and waits until it listens. `wrap` is a command to run it under, e.g. strace; `logFile` gets its
   * log.
   */
  static async start({ binary = BINARY, database = 'sqlite', databaseUrl, env = {}, wrap = [], logFile } = {}) {
    const server = new Server();
    server.binary = binary;
    server.logFile = logFile;
    server.folder = mkdtempSync(join(tmpdir(), 'parlance-'));
    const url = databaseUrl ?? newDatabase(database);
    server.env = { PATH: process.env.PATH, ...SETTINGS, DATA_DIR: server.folder, ...(url && { DATABASE_URL: url }), ...env };
    if (server.env.DIALECTS) server.env.DIALECTS = settingOf(server.env.DIALECTS);
    server.wrap = wrap;
    await server.launch();
    return server;
  }

  /** Restarts it on the same data. */
  async launch() {
    this.spawn();
    this.url = await this.listening();
  }

  spawn() {
    const [program, ...args] = [...this.wrap, this.binary];
    // The working directory is its own folder, so no `.env` of the checkout is read.
    this.process = spawn(program, args, { cwd: this.folder, env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.log = '';
    this.process.stderr.on('data', (bytes) => {
      this.log = (this.log + bytes).slice(-20_000);
      if (this.logFile) appendFileSync(this.logFile, bytes);
    });
    this.exited = new Promise((resolve) => {
      this.process.on('exit', (code, signal) => resolve({ code, signal }));
      this.process.on('error', (error) => resolve({ error }));
    });
  }

  /** Waits until it reports that it listens; returns the address. */
  listening() {
    const said = new Promise((resolve) => {
      let out = '';
      const read = (bytes) => {
        out += bytes;
        const found = /listening on (https?:\S+)/.exec(out);
        if (!found) return;
        this.process.stdout.off('data', read).resume();
        resolve(found[1].replace(/\/$/, ''));
      };
      this.process.stdout.on('data', read);
    });
    const died = this.exited.then((how) => {
      throw new Error(`the server ended before it listened: ${JSON.stringify(how)}\n${this.log}`);
    });
    died.catch(() => {});
    return within(3 * LIMIT, () => `the server to listen\n${this.log}`, Promise.race([said, died]));
  }

  /** Starts another server on this one's data, without waiting for it. */
  successor(env = {}) {
    const server = Object.assign(new Server(), { folder: this.folder, wrap: this.wrap, logFile: this.logFile, env: { ...this.env, ...env } });
    server.spawn();
    return server;
  }

  /** Waits until the log has a match. */
  logs(pattern) {
    return within(LIMIT, () => `${pattern} in the log\n${this.log}`, (async () => {
      while (!pattern.test(this.log)) await once(this.process.stderr, 'data');
    })());
  }

  /** Returns the first line of the log that `fits`, waiting for it if necessary. */
  async logged(fits, what = 'a line of the log', limit = LIMIT) {
    const find = () => this.log.split('\n').slice(0, -1).find(fits);
    return within(limit, () => `${what}\n${this.log}`, (async () => {
      for (;;) {
        const line = find();
        if (line !== undefined) return line;
        await once(this.process.stderr, 'data');
      }
    })());
  }

  /** Sends a signal and waits for the end: `{code, signal}`. */
  async end(signal = 'SIGTERM') {
    this.process.kill(signal);
    return within(LIMIT, () => `the end of the server after ${signal}\n${this.log}`, this.exited);
  }

  /** Kills it in any case, and removes its folder. */
  async remove() {
    this.process.kill('SIGKILL');
    await this.exited;
    rmSync(this.folder, { recursive: true, force: true });
  }

  /**
   * Sends one HTTP request: returns `{status, body, headers}`, with the body parsed if it is JSON. The answer is
   * checked against the OpenAPI document. Who exceeds the rate of requests comes again when the answer says so, unless
   * `once`: a test that asks until something holds is as fast as the machine.
   */
  async api(method, path, options = {}) {
    for (;;) {
      const answer = await this.ask(method, path, options);
      const { code, retryAfterMs } = answer.body ?? {};
      if (options.once || code !== 'RATE_LIMITED' || retryAfterMs > PATIENCE) return answer;
      await new Promise((resolve) => setTimeout(resolve, retryAfterMs));
    }
  }

  /** Same as `api`, once. */
  async ask(method, path, { token, body, headers = {} }) {
    const form = body instanceof FormData;
    const response = await within(LIMIT, `${method} ${path}`, fetch(this.url + path, {
      method,
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && !form && { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined || form ? body : typeof body === 'string' ? body : JSON.stringify(body),
    }));
    const text = await response.text();
    const json = response.headers.get('content-type')?.includes('json');
    const answer = { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : text };
    checkAnswer(method, path, answer);
    return answer;
  }
}

/** Gives the enclosing `describe` one server; it is in `.server` while its tests run. */
export function useServer(options = {}) {
  const holder = {};
  before(async () => {
    holder.server = await Server.start(options);
  });
  after(() => holder.server?.remove());
  return holder;
}
