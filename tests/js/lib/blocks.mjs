// Code in the documents: found, and run as a reader would run it.
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { BINARY, Server } from './server.mjs';
import { LIMIT } from './wait.mjs';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const MODULES = fileURLToPath(new URL('../node_modules', import.meta.url));

/** Where the documents say that the server is. */
const ADDRESS = 'http://localhost:3000';
/** The key of a server in the documents' commands. */
export const KEY = 'try-it';

export const read = (path) => readFileSync(join(ROOT, path), 'utf8');

/** All documents for readers, by their paths in the project. */
export const DOCUMENTS = [
  'README.md', 'CHANGELOG.md', 'SECURITY.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true }).filter((name) => name.endsWith('.md')).sort().map((name) => `docs/${name}`),
];

/** The text without its code: what stands in fences is blanked, so that line numbers stay. */
export function prose(text) {
  let fence;
  return text.split('\n').map((line) => {
    const mark = /^ *(```+)/.exec(line)?.[1];
    if (fence === undefined && mark) fence = mark;
    else if (fence !== undefined && line.trim() === fence) fence = undefined;
    else if (fence === undefined) return line;
    return '';
  }).join('\n');
}

/** Fenced blocks in their order: `{language, text, first, line}`, `text` without the indentation of a list around it. */
export function blocksOf(text) {
  const found = [];
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at += 1) {
    const [, indent, mark, language] = /^( *)(```+)(.*)$/.exec(lines[at]) ?? [];
    if (!mark) continue;
    const end = lines.findIndex((line, index) => index > at && line.trim() === mark);
    if (end < 0) throw new Error(`line ${at + 1}: a block without an end`);
    const code = lines.slice(at + 1, end).map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line));
    found.push({ language, text: code.join('\n'), first: code[0] ?? '', line: at + 1 });
    at = end;
  }
  return found;
}

/** Languages whose blocks somebody runs. */
const RUNNING = new Set(['sh', 'console', 'js', 'python']);
export const isRun = ({ language }) => RUNNING.has(language);

/** What every block of commands begins with: it ends at the first failure, and knows the variables of the blocks before it. */
const PRELUDE = `
set -euo pipefail
set -a
[ ! -e "$STATE" ] || . "$STATE"
trap 'export -p > "$STATE"' EXIT
curl() { command curl -sS --fail-with-body "$@"; }
`;

/** A server, two users (Ann with an account here, Bob from elsewhere), and a folder, as readers of a page have them. */
export class Stage {
  static async open(test, env = {}) {
    const stage = new Stage();
    // The secret is the server's own, as it is without settings.
    stage.server = await Server.start({ env: { API_KEYS: KEY, JWT_SECRET: '', ...env } });
    test.after(() => stage.server.remove());
    stage.folder = stage.server.folder;
    for (const name of ['bin', 'backups', 'node_modules']) mkdirSync(join(stage.folder, name));
    symlinkSync(BINARY, join(stage.folder, 'bin/parlance'));
    symlinkSync(join(MODULES, 'sio48'), join(stage.folder, 'node_modules/socket.io-client'));
    symlinkSync('.', join(stage.folder, 'data'));
    await stage.parlance('user', 'add', 'ann', '--email', 'ann@example.org', '--password', 'a long password');
    stage.token = await stage.parlance('token', 'new', 'ann');
    const bob = await stage.parlance('token', 'new', 'bob');
    for (const token of [stage.token, bob]) await stage.server.api('GET', '/api/auth/me', { token });
    return stage;
  }

  /** What a program may see. */
  get env() {
    const { server, folder, token } = this;
    const path = `${join(folder, 'bin')}:${process.env.PATH}`;
    const known = { PATH: path, HOME: folder, DATA_DIR: './data', STATE: join(folder, 'state'), TOKEN: token, KEY };
    return { ...server.env, ...known, PARLANCE_URL: server.url, PARLANCE_KEY: KEY };
  }

  async parlance(...args) {
    return (await this.run(BINARY, args)).stdout.trim();
  }

  async run(program, args) {
    return promisify(execFile)(program, args, { cwd: this.folder, env: this.env, timeout: 3 * LIMIT });
  }

  /** The text with this stage's places. */
  here(text) {
    return text.replaceAll(ADDRESS, this.server.url).replaceAll('/backups', join(this.folder, 'backups'))
      .replaceAll('target/release/parlance', 'parlance');
  }

  /** What was printed, with the documents' address. */
  there({ stdout, stderr = '' }) {
    return (stdout + stderr).replaceAll(this.server.url, ADDRESS);
  }

  /** Runs commands; `before` is said first, functions for example. */
  async commands(text, before = '') {
    return this.there(await this.run('bash', ['-c', `${PRELUDE}${before}\n${this.here(text)}`]));
  }

  /** Writes a program to the file that its first line names. */
  write(text) {
    const [, name] = /^(?:\/\/|#) (\S+\.(?:mjs|py))/.exec(text) ?? [];
    if (!name) throw new Error(`the first line names no file: ${text.split('\n')[0]}`);
    writeFileSync(join(this.folder, name), this.here(text));
    return name;
  }

  async program(text) {
    return this.there(await this.run(process.execPath, [this.write(text)]));
  }
}

/** The commands of a `console` block, each with the lines that it prints. */
export function dialogue(text) {
  const said = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('$ ')) said.push({ command: line.slice(2), printed: [] });
    else said.at(-1).printed.push(line);
  }
  return said;
}

/** A pattern of a printed line: `…` is anything, numbers are any numbers, and so is the room between columns. */
export function pattern(line) {
  const parts = line.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/\d+/g, '\\d+').replace(/ +/g, ' +'));
  return new RegExp(`^${parts.join('.*')}`, 'm');
}
