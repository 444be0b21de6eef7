// SQLite's files, and ways of losing them while the server has them open.
import { copyFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** Ways of losing the files. */
export const LOSSES = ['removed', 'replaced', 'log removed'];

const BESIDE = ['', '-wal', '-shm'];

/** Returns the server's database file. */
export function databaseFile(folder) {
  const file = readdirSync(folder).find((name) => /\.(db|sqlite3?)$/.test(name));
  if (!file) throw new Error(`no database file in ${readdirSync(folder)}`);
  return join(folder, file);
}

/** Stops all threads of a process, and waits until they are stopped. */
async function freeze(id) {
  process.kill(id, 'SIGSTOP');
  const isRunning = (thread) => !/^\d+ \(.*\) [TtZX] /.test(readFileSync(`/proc/${id}/task/${thread}/stat`, 'utf8'));
  while (readdirSync(`/proc/${id}/task`).some(isRunning)) await pause(1);
}

/** Copies the files as they are at one moment, and takes them from the server; returns the folder of the copies. */
export async function loseFiles({ process: { pid }, folder }, loss) {
  const file = databaseFile(folder);
  const kept = mkdtempSync(join(tmpdir(), 'parlance-kept-'));
  await freeze(pid);
  try {
    for (const end of ['', '-wal']) if (existsSync(file + end)) copyFileSync(file + end, join(kept, `db${end}`));
    if (loss === 'log removed') rmSync(`${file}-wal`, { force: true });
    else for (const end of BESIDE) rmSync(file + end, { force: true });
    if (loss === 'replaced') {
      // Like a restore from an older copy: changes that are only in the log are missing.
      copyFileSync(join(kept, 'db'), `${file}.part`);
      renameSync(`${file}.part`, file);
    }
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  return kept;
}

/** Puts the copies back while no server is running; returns whether there was a file where there must be none. */
export function restoreFiles({ folder }, loss, kept) {
  const file = join(folder, 'parlance.db');
  const madeAnew = loss === 'removed' && existsSync(file);
  for (const end of BESIDE) rmSync(file + end, { force: true });
  for (const end of ['', '-wal']) if (existsSync(join(kept, `db${end}`))) copyFileSync(join(kept, `db${end}`), file + end);
  rmSync(kept, { recursive: true });
  return madeAnew;
}
