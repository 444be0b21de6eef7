// Other commands of the binary, with a folder or a database of their own.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { newDatabase } from './database.mjs';
import { BINARY } from './server.mjs';
import { SECRET } from './token.mjs';
import { LIMIT, within } from './wait.mjs';

/**
 * Makes a folder that is removed after the test, and a database of this kind: returns the environment for commands and
 * servers.
 */
export function newPlace(test, kind) {
  const folder = mkdtempSync(join(tmpdir(), 'parlance-'));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  const url = newDatabase(kind);
  return { kind, folder, file: join(folder, 'parlance.db'), env: { DATA_DIR: folder, JWT_SECRET: SECRET, ...(url && { DATABASE_URL: url }) } };
}

/** Starts a command. `.done` is `{code, signal, out, errors}`. */
export function begin(place, args) {
  const child = spawn(BINARY, args, { cwd: place.folder, env: { PATH: process.env.PATH, ...place.env } });
  let [out, errors] = ['', ''];
  child.stdout.on('data', (bytes) => (out += bytes));
  child.stderr.on('data', (bytes) => (errors += bytes));
  // A killed process stops reading.
  child.stdin.on('error', () => {});
  const ended = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, out, errors })));
  child.done = within(5 * LIMIT, () => `the end of parlance ${args.join(' ')}\n${errors}`, ended);
  return child;
}

/** Runs a command without input, which must succeed; returns its output. */
export async function succeed(place, ...args) {
  const child = begin(place, args);
  child.stdin.end();
  const { code, out, errors } = await child.done;
  if (code !== 0) throw new Error(`parlance ${args.join(' ')}: ${code}\n${errors}`);
  return out;
}

/** Runs a command without input, which must fail; returns its line on stderr. */
export async function refused(place, ...args) {
  const child = begin(place, args);
  child.stdin.end();
  const { code, errors } = await child.done;
  if (code !== 1) throw new Error(`parlance ${args.join(' ')}: ${code} instead of 1\n${errors}`);
  return errors;
}
