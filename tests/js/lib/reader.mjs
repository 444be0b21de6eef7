// A stock client in a process of its own, so that it can be frozen as a whole: no reading, no timers.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { LIMIT, within } from './wait.mjs';

/** A reader of group messages. */
export class Reader {
  /** Connects it; the stock client reconnects by itself. */
  static async start(server, user, auth = {}) {
    const reader = new Reader();
    reader.user = user;
    const plan = { url: server.url, auth: { token: user.token, ...auth } };
    reader.process = fork(fileURLToPath(new URL('reader-process.mjs', import.meta.url)), [JSON.stringify(plan)]);
    await reader.answer();
    return reader;
  }

  async answer() {
    return (await within(LIMIT, 'the reader', once(this.process, 'message')))[0];
  }

  freeze() {
    this.process.kill('SIGSTOP');
  }

  thaw() {
    this.process.kill('SIGCONT');
  }

  /**
   * Returns what it has seen: `{words, returns}`, the first word of each message, in order, and for each reconnect
   * whether it was recovered.
   */
  async told() {
    this.process.send('tell');
    return this.answer();
  }

  /** Same as `told`, once `word` was seen. */
  async toldUpTo(word, limit = 3 * LIMIT) {
    const until = performance.now() + limit;
    for (;;) {
      const told = await this.told();
      if (told.words.includes(word)) return told;
      if (performance.now() > until) throw new Error(`the reader has not seen ${word}, but ${told.words.length} others; it returned ${told.returns.length} times`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  close() {
    this.process.kill('SIGKILL');
  }
}
