// A database that is unavailable for a while.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { Postgres, createDatabase } from './database.mjs';
import { LIMIT, within } from './wait.mjs';

/** Ways to make each database unavailable, and available again. */
export const OUTAGES = {
  async postgres(test) {
    const instance = await Postgres.start();
    test.after(() => instance.remove());
    return { databaseUrl: createDatabase(instance.url), begin: () => instance.freeze(), end: () => instance.thaw() };
  },
  async sqlite(test) {
    let shell;
    test.after(() => shell?.kill('SIGKILL'));
    return {
      async begin(server) {
        const file = readdirSync(server.folder).find((name) => /\.(db|sqlite3?)$/.test(name));
        assert.ok(file, `no database file in ${readdirSync(server.folder)}`);
        shell = spawn('sqlite3', [join(server.folder, file)], { stdio: ['pipe', 'pipe', 'inherit'] });
        shell.stdin.write('.timeout 10000\nbegin exclusive;\nselect 1;\n');
        await within(LIMIT, 'the lock', once(shell.stdout, 'data'));
      },
      async end() {
        shell.stdin.end('commit;\n');
        await within(LIMIT, 'the end of the lock', once(shell, 'exit'));
      },
    };
  },
};
