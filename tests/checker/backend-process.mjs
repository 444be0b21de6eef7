// An operator's own server, in a process of its own: killed now and then, and always on the same port. It writes to a
// log before it answers.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** A process of one of the scripts in this folder, which is given its port and its log. */
export class BackEndProcess {
  constructor(script, folder) {
    this.script = fileURLToPath(new URL(script, import.meta.url));
    this.log = join(folder, `${script.replace(/\.mjs$/, '')}.log`);
    this.port = 0;
  }

  async launch() {
    this.child = fork(this.script, [String(this.port), this.log]);
    [this.port] = await once(this.child, 'message');
    return this;
  }

  async kill(downMs) {
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
    await pause(downMs);
    await this.launch();
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Returns the lines of its log, parsed; the last one may have been cut off by a kill. */
  lines() {
    const lines = existsSync(this.log) ? readFileSync(this.log, 'utf8').split('\n').slice(0, -1) : [];
    return lines.map((line) => JSON.parse(line));
  }

  remove() {
    this.child.kill('SIGKILL');
  }
}

/** Serves requests in such a process: `answer(body, response)` gets the parsed body of each. */
export function serve(port, answer) {
  const server = createServer(async (request, response) => {
    const chunks = [];
    request.on('error', () => {});
    for await (const chunk of request) chunks.push(chunk);
    answer(JSON.parse(Buffer.concat(chunks).toString()), response);
  });
  // The port of one that was killed may not be free yet.
  server.on('error', () => setTimeout(() => server.listen(Number(port), '127.0.0.1'), 50));
  server.on('listening', () => process.send?.(server.address().port));
  server.listen(Number(port), '127.0.0.1');
  process.on('disconnect', () => process.exit());
}
