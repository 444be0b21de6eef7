// What the documents say is so: commands are run as they stand there, lists are compared.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { BINARY, useServer } from '../lib/server.mjs';
import { LIMIT } from '../lib/wait.mjs';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const MODULES = fileURLToPath(new URL('../node_modules', import.meta.url));
const read = (path) => readFileSync(join(ROOT, path), 'utf8');
const run = (program, args, options) => promisify(execFile)(program, args, { timeout: 3 * LIMIT, ...options });

/** All documents, by their paths in the project. */
const DOCUMENTS = ['README.md', 'CHANGELOG.md', 'SECURITY.md', ...readdirSync(join(ROOT, 'docs'), { recursive: true }).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];

/** A folder that is removed after the test. */
function folder(test) {
  const path = mkdtempSync(join(tmpdir(), 'parlance-documents-'));
  test.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

describe('documents', () => {
  const holder = useServer({ env: { API_KEYS: 'try-it', AUTO_PROVISION_USERS: 'false' } });

  it('the README\'s two front ends say what it prints', async (test) => {
    const cwd = folder(test);
    mkdirSync(join(cwd, 'node_modules'));
    for (const name of readdirSync(MODULES)) symlinkSync(join(MODULES, name), join(cwd, 'node_modules', name));
    symlinkSync(join(MODULES, 'sio48'), join(cwd, 'node_modules/socket.io-client'));
    const script = /cat > talk\.mjs <<'END'\n(.*?)\n {4}END/s.exec(read('README.md'))[1].replace(/^ {4}/gm, '');
    writeFileSync(join(cwd, 'talk.mjs'), script.replace('http://localhost:3000', holder.server.url));
    const { stdout } = await run('node', ['talk.mjs'], { cwd });
    const printed = stdout.trim().split('\n');
    assert.deepEqual(printed, ['Carl reads: Hello, Carl!', 'stored and delivered', 'Mia reads: Hello, Mia!']);
    printed.forEach((line) => assert.ok(read('README.md').includes(`\`${line}\``), line));
  });

  it('the README\'s third gets nothing, and is told why', async (test) => {
    const commands = /(curl -s http:\/\/localhost:3000\/api\/auth\/register.*?)\n\n/s.exec(read('README.md'))[1].replace(/^ {4}/gm, '')
      .replaceAll('http://localhost:3000', holder.server.url).replaceAll('target/release/parlance', BINARY);
    const { stdout } = await run('bash', ['-ec', commands], { cwd: folder(test), env: { ...holder.server.env, PARLANCE_URL: holder.server.url } });
    assert.match(stdout, /stored as \S+; the recipient has no socket now and gets it at the next connect$/m);
    assert.match(stdout, /Gets nothing now: no socket is connected\. What is written is kept and comes at the next connect\./);
  });

  it('the compiler is the oldest that is promised', () => {
    const promised = /^rust-version = "(.*)"$/m.exec(read('Cargo.toml'))[1];
    const used = /^channel = "(.*)"$/m.exec(read('rust-toolchain.toml'))[1];
    assert.ok(used === promised || used.startsWith(`${promised}.`), `${used} is not ${promised}`);
    for (const path of ['README.md', 'Dockerfile']) assert.match(read(path), new RegExp(`[Rr]ust[ :]${promised.replace('.', '\\.')}`), path);
  });

  it('every setting stands in docs/settings.md with its default and its meaning, and no other', (test) => {
    const settings = JSON.parse(execFileSync(BINARY, ['config', '--json'], { cwd: folder(test), env: { PATH: process.env.PATH } }));
    const rows = settings.map(({ name, value, help }) => `| \`${name}\` | ${value ? `\`${value}\`` : 'none'} | ${help.replaceAll('|', '\\|')} |`);
    assert.ok(rows.length > 50, String(rows.length));
    assert.deepEqual(read('docs/settings.md').split('\n').filter((line) => line.startsWith('| `')), rows);
  });

  it('every file of the sources that a document names is there', () => {
    const named = DOCUMENTS.flatMap((document) => [...read(document).matchAll(/`(src\/[a-z_/]+(?:\.rs|\/))`/g)].map(([, path]) => [document, path]));
    assert.ok(named.length > 100, String(named.length));
    assert.deepEqual(named.filter(([, path]) => !existsSync(join(ROOT, path))), []);
  });

  it('every code of a refusal stands in docs/errors.md, and no other', () => {
    const sources = ['auth/refusal.rs', 'chat/ports/error.rs', 'dialect/fault.rs', 'dialect/refusal.rs', 'dialect/connect_error.rs', 'web/failure.rs', 'web/openapi.rs', 'api/operations.rs', 'admin/operations.rs'];
    const named = sources.flatMap((file) => [...read(`src/${file}`).split('#[cfg(test)]')[0].matchAll(/"([A-Z]+_[A-Z_]+|[A-Z]{4,})"/g)].map(([, code]) => code));
    const OTHERS = ['POST', 'PATCH', 'DELETE', 'CARGO_PKG_VERSION'];
    const codes = new Set(named.filter((code) => !OTHERS.includes(code)));
    assert.ok(codes.size > 20, String(codes.size));
    const rows = read('docs/errors.md').split('\n## ')[0].split('\n').filter((line) => line.startsWith('| `'));
    const documented = rows.flatMap((row) => [...row.split('|')[1].matchAll(/`(\w+)`/g)].map(([, code]) => code));
    assert.deepEqual(documented.sort(), [...codes].sort());
    for (const row of rows) assert.deepEqual(row.split('|').slice(1, 5).filter((cell) => cell.trim() === ''), [], row);
  });

  it('every link in the documents leads somewhere', () => {
    for (const document of DOCUMENTS) {
      for (const [, target] of read(document).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
        if (/^https?:/.test(target)) continue;
        assert.ok(existsSync(join(ROOT, dirname(document), target)), `${document}: ${target}`);
      }
    }
  });
});
