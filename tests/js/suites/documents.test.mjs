// The documents are true: their commands are run as they stand, their lists are compared.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';

import { DOCUMENTS, ROOT, Stage, blocksOf, dialogue, isRun, pattern, prose, read } from '../lib/blocks.mjs';
import { conversationHistory } from '../lib/chat.mjs';
import { connect } from '../lib/client.mjs';
import { BINARY } from '../lib/server.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

/** Blocks that the walk through their page leaves out: document, how the first line begins, why. */
const LEFT_OUT = [
  ['README.md', 'cargo run', 'builds; every suite runs what it makes'],
  ['README.md', 'tests/run', 'is what runs this'],
  ['README.md', 'npm install', 'takes the registry; its program has a test below'],
  ['README.md', 'curl -s http://localhost:3000/api/auth/register', 'has a test below, which looks at what it prints'],
  ['docs/admin-ui.md', 'npm install', 'takes the registry; admin-ui-page.test.mjs uses the package'],
  ['docs/bots.md', '// bot.mjs', 'runs until it is stopped; has a test below'],
  ['docs/bots.md', '# bot.py', 'takes Python packages; tests/python/test_client.py runs it'],
  ['docs/command-line.md', '$ parlance check', 'has a test below: there is no server yet'],
  ['docs/command-line.md', '$ parlance tail', 'runs until it is stopped; cli.test.mjs reads it'],
  ['docs/command-line.md', 'parlance completions bash', 'writes where shells look for completions; tests/integration/cli/check.rs makes all of them'],
  ['docs/dialects/README.md', 'npm install', 'takes the registry'],
  ['docs/dialects/your-own.md', 'parlance dialect check', 'serves until it is stopped; dialect-files.test.mjs checks the files of the page'],
  ['docs/interfaces.md', 'npx openapi-typescript', 'takes the registry; interfaces.test.mjs validates the document'],
  ['docs/operating/backup.md', 'parlance backup', 'has a test below, with the restore'],
  ['docs/operating/backup.md', 'rm -f data', 'has a test below'],
  ['docs/operating/backup.md', 'systemctl enable', 'takes systemd; a test below runs the unit\'s commands'],
  ['docs/operating/backup.md', 'systemctl stop', 'has a test below, without systemd'],
  ['docs/operating/backup.md', 'pg_dump', 'Postgres\'s own tools'],
  ['docs/operating/database.md', 'cargo build', 'builds for minutes; tests/run builds it, postgres-tls.test.mjs connects'],
  ['docs/operating/docker.md', 'docker build', 'takes Docker'],
  ['docs/operating/docker.md', 'grep -qs', 'takes Docker'],
  ['docs/operating/monitoring.md', 'journalctl', 'takes systemd; refusals.test.mjs finds the line'],
  ['docs/operating/moving.md', 'parlance export all.jsonl', 'takes Postgres; transfer.test.mjs moves both ways'],
  ['docs/operating/moving.md', 'parlance export -', 'takes Postgres; transfer.test.mjs uses pipes'],
  ['docs/operating/restart.md', 'REUSE_PORT', 'servers in the background; restart.test.mjs hands over'],
  ['docs/operating/retention.md', 'RETAIN_MESSAGES', 'runs until it is stopped; retention.test.mjs waits for what goes'],
  ['docs/operating/systemd.md', 'install -m', 'takes root and systemd'],
  ['docs/operating/systemd.md', 'systemd-run', 'takes systemd'],
  ['docs/performance.md', 'python3 run.py', 'the bench is no part of the repository'],
  ['docs/simulation.md', 'tests/run simulate', 'takes minutes; tests/run runs some seeds'],
  ['docs/watching.md', 'curl -N', 'runs until it is stopped; events.test.mjs reads it'],
  ['docs/your-code.md', 'HOOK_URL=', 'runs until it is stopped; hooks.test.mjs asks such a hook'],
  ['docs/your-code.md', 'FORWARD_URL=', 'runs until it is stopped; forward.test.mjs hands events on'],
  ['docs/your-code.md', 'HOOK_EVENTS=connect', 'runs until it is stopped; hooks.test.mjs comes in by a cookie'],
  ['docs/your-code.md', 'WEBHOOK_URL', 'runs until it is stopped; webhooks.test.mjs receives the events'],
  ['docs/writing-a-front-end.md', 'import { io }', 'is the line to change in a copy; web-chat.test.mjs changes it'],
  ['docs/writing-a-front-end.md', 'import { Connection }', 'needs a page around it; web-chat.test.mjs runs a copy'],
];

/** Why the block is left out, if it is. */
const leftOut = (document, { first }) => LEFT_OUT.find(([page, begins]) => page === document && first.startsWith(begins))?.[2];

/** The block of a page that begins so. */
function blockOf(document, begins) {
  const found = blocksOf(read(document)).find(({ first }) => first.startsWith(begins));
  assert.ok(found, `${document} has no block that begins with ${begins}`);
  return found.text;
}

describe('programs and commands of the documents', () => {
  for (const document of DOCUMENTS) {
    const blocks = blocksOf(read(document));
    const isShown = (block) => isRun(block) && leftOut(document, block) === undefined;
    if (!blocks.some(isShown)) continue;
    it(`${document}: run from its top to its end`, async (test) => {
      const stage = await Stage.open(test);
      for (const [index, block] of blocks.entries()) {
        if (!isShown(block)) continue;
        const { language, text, line } = block;
        try {
          if (language === 'sh') await stage.commands(text);
          else if (language === 'js') {
            const printed = await stage.program(text);
            const expected = blocks[index + 1];
            if (expected?.language === 'text') assert.deepEqual(printed.trimEnd().split('\n'), expected.text.trimEnd().split('\n'));
          } else {
            for (const { command, printed } of dialogue(text)) {
              const out = await stage.commands(`${command} 2>&1`);
              for (const said of printed) assert.match(out, pattern(said), command);
            }
          }
        } catch (error) {
          error.message = `${document}:${line}: ${error.message}\n${error.stdout ?? ''}${error.stderr ?? ''}`;
          throw error;
        }
      }
    });
  }

  it('each block says its language, and what is left out is there', () => {
    for (const document of DOCUMENTS) {
      for (const { language, line } of blocksOf(read(document))) assert.match(language, /^[a-z]+$/, `${document}:${line}`);
      const lines = prose(read(document)).split('\n');
      // A drawing needs none.
      const indented = lines.findIndex((line, index) => /^ {4}/.test(line) && lines[index - 1] === '' && !/[←→▶]/.test(line));
      assert.equal(indented, -1, `${document}:${indented + 1} is a block without a language`);
    }
    for (const [document, begins, why] of LEFT_OUT) assert.ok(why && blockOf(document, begins), document);
  });

  it('the README\'s two front ends say what it prints', async (test) => {
    const stage = await Stage.open(test);
    const script = /cat > talk\.mjs <<'END'\n(.*?)\nEND/s.exec(blockOf('README.md', 'npm install'))[1];
    const printed = (await stage.program(`// talk.mjs\n${script}`)).trim().split('\n');
    // The message and its ack go to two sockets: a busy reader may see either first.
    assert.deepEqual(printed.slice(0, 2).toSorted(), ['Carl reads: Hello, Carl!', 'stored and delivered']);
    assert.deepEqual(printed.slice(2), ['Mia reads: Hello, Mia!']);
    printed.forEach((line) => assert.ok(read('README.md').includes(`\`${line}\``), line));
  });

  it('the README\'s third gets nothing, and is told why', async (test) => {
    const stage = await Stage.open(test);
    const printed = await stage.commands(blockOf('README.md', 'curl -s http://localhost:3000/api/auth/register'));
    assert.match(printed, /stored as \S+; the recipient has no socket now and gets it at the next connect$/m);
    assert.match(printed, /Gets nothing now: no socket is connected\. What is written is kept and comes at the next connect\./);
  });
});

describe('parlance check', () => {
  it('says what docs/command-line.md shows, where nothing is yet', async (test) => {
    const cwd = mkdtempSync(join(tmpdir(), 'parlance-documents-'));
    test.after(() => rmSync(cwd, { recursive: true, force: true }));
    const probe = net.createServer().listen(0, 'localhost');
    await once(probe, 'listening');
    const PORT = String(probe.address().port);
    await new Promise((resolve) => probe.close(resolve));
    const { stdout } = await promisify(execFile)(BINARY, ['check'], { cwd, env: { PATH: process.env.PATH, PORT } });
    for (const line of dialogue(blockOf('docs/command-line.md', '$ parlance check'))[0].printed) assert.match(stdout, pattern(line));
  });
});

describe('the bot of docs/bots.md', () => {
  /** The bot, once it says that it is there; it is gone when `end` has settled. */
  async function start(test, stage, name) {
    const bot = spawn(process.execPath, [name], { cwd: stage.folder, env: stage.env, stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise((resolve) => bot.on('exit', resolve));
    test.after(() => bot.kill('SIGKILL'));
    const here = new Promise((resolve) => bot.stdout.on('data', (bytes) => String(bytes).includes('here') && resolve()));
    await within(LIMIT, 'the bot to be there', Promise.race([here, ended.then((code) => Promise.reject(new Error(`ended with ${code}`)))]));
    return { end: () => bot.kill('SIGTERM') && within(LIMIT, 'the end of the bot', ended) };
  }

  it('answers, also what it missed, and nothing twice', async (test) => {
    const stage = await Stage.open(test);
    await stage.commands(blockOf('docs/bots.md', 'echo'));
    const name = stage.write(blockOf('docs/bots.md', '// bot.mjs'));
    const { body: { users: [{ id }] } } = await stage.server.api('GET', '/api/users?query=echo-bot', { token: stage.token });
    const ann = await connect(stage.server, { token: stage.token }, { dialect: 'messenger' });
    test.after(() => ann.close());
    const say = (content) => ann.succeed('send_direct_message', { recipientId: id, content });
    const answer = (content) => ann.next('new_message', ({ message }) => message.content === `You said: ${content}`);
    const bot = await start(test, stage, name);
    const { message: { conversationId } } = await say('one');
    await answer('one');
    await bot.end();
    await say('two');
    const next = await start(test, stage, name);
    await answer('two');
    await say('three');
    await answer('three');
    await next.end();
    const said = await conversationHistory(stage.server, stage.token, conversationId);
    const expected = ['one', 'two', 'three'].flatMap((content) => [content, `You said: ${content}`]);
    assert.deepEqual(said.map(({ content }) => content), expected);
  });
});

describe('backup and restore of docs/operating/backup.md', () => {
  const PAGE = 'docs/operating/backup.md';

  /** A stage on which something is said and uploaded; `say` says more, `isAsBefore` looks whether only that is there. */
  async function setUp(test) {
    const stage = await Stage.open(test);
    const { server, token } = stage;
    const send = (body) => server.api('POST', '/api/messages', { token, body: { to: { user: 'bob' }, ...body } });
    const form = new FormData();
    form.append('file', new Blob([Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10)]), 'cat.png');
    const { body: { file } } = await server.api('POST', '/api/upload', { token, body: form });
    const { body: { message: { conversationId } } } = await send({ content: 'before', file });
    const isAsBefore = async () => {
      const said = await conversationHistory(server, token, conversationId);
      assert.deepEqual(said.map(({ content }) => content), ['before']);
      assert.equal((await fetch(server.url + file.url)).status, 200);
    };
    return { stage, isAsBefore, say: () => send({ content: 'after' }) };
  }

  it('brings back what was there', async (test) => {
    const { stage, isAsBefore, say } = await setUp(test);
    await stage.commands(blockOf(PAGE, 'parlance backup'));
    await say();
    assert.equal((await stage.server.end()).code, 0);
    for (const name of ['uploads', 'jwt-secret']) rmSync(join(stage.folder, name), { recursive: true });
    await stage.commands(blockOf(PAGE, 'rm -f data'));
    await stage.server.launch();
    await isAsBefore();
  });

  it('under systemd, too', async (test) => {
    const { stage, isAsBefore, say } = await setUp(test);
    // As /var/lib/private; the server's own folder is where the unit has `parlance`.
    const lib = mkdtempSync(join(tmpdir(), 'parlance-lib-'));
    test.after(() => rmSync(lib, { recursive: true, force: true }));
    mkdirSync(join(lib, 'parlance-backup'));
    const unit = read('docs/operating/parlance-backup.service');
    const commands = [...unit.matchAll(/^ExecStart=\/bin\/sh -c '(.*)'$/gm)].map(([, command]) => command);
    assert.equal(commands.length, 2);
    for (const command of commands) {
      const here = command.replaceAll('$$', '$').replaceAll('%%', '%').replaceAll('/var/lib', lib).replaceAll('/usr/local/bin/parlance', BINARY);
      await stage.run('/bin/sh', ['-ec', here]);
    }
    await say();
    assert.equal((await stage.server.end()).code, 0);
    const keptThere = ['parlance.db', 'parlance.db-wal', 'parlance.db-shm', 'uploads', 'jwt-secret'];
    const move = (from, to) => {
      for (const name of keptThere.filter((one) => existsSync(join(from, one)))) cpSync(join(from, name), join(to, name), { recursive: true });
      for (const name of keptThere) rmSync(join(from, name), { recursive: true, force: true });
    };
    mkdirSync(join(lib, 'parlance'));
    move(stage.folder, join(lib, 'parlance'));
    for (const name of ['uploads', 'jwt-secret']) rmSync(join(lib, 'parlance', name), { recursive: true });
    await stage.commands(blockOf(PAGE, 'systemctl stop').replaceAll('/var/lib/private', lib), 'systemctl() { :; }');
    move(join(lib, 'parlance'), stage.folder);
    await stage.server.launch();
    await isAsBefore();
  });
});

describe('lists of the documents', () => {
  it('the compiler is the oldest that is promised', () => {
    const promised = /^rust-version = "(.*)"$/m.exec(read('Cargo.toml'))[1];
    const used = /^channel = "(.*)"$/m.exec(read('rust-toolchain.toml'))[1];
    assert.ok(used === promised || used.startsWith(`${promised}.`), `${used} is not ${promised}`);
    for (const path of ['README.md', 'Dockerfile']) assert.match(read(path), new RegExp(`[Rr]ust[ :]${promised.replace('.', '\\.')}`), path);
  });

  it('every setting stands in docs/settings.md with its default and its meaning, and no other', (test) => {
    const cwd = mkdtempSync(join(tmpdir(), 'parlance-documents-'));
    test.after(() => rmSync(cwd, { recursive: true, force: true }));
    const settings = JSON.parse(execFileSync(BINARY, ['config', '--json'], { cwd, env: { PATH: process.env.PATH } }));
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
    const sources = ['auth/error.rs', 'chat/ports/error.rs', 'dialect/request_error.rs', 'dialect/refusal.rs', 'dialect/connect_error.rs', 'web/http_error.rs', 'web/openapi.rs', 'api/operations.rs', 'admin/operations.rs'];
    const named = sources.flatMap((file) => [...read(`src/${file}`).split('#[cfg(test)]')[0].matchAll(/"([A-Z]+_[A-Z_]+|[A-Z]{4,})"/g)].map(([, code]) => code));
    const OTHERS = ['POST', 'PATCH', 'DELETE', 'CARGO_PKG_VERSION'];
    const codes = new Set(named.filter((code) => !OTHERS.includes(code)));
    assert.ok(codes.size > 20, String(codes.size));
    const rows = read('docs/errors.md').split('\n## ')[0].split('\n').filter((line) => line.startsWith('| `'));
    const documented = rows.flatMap((row) => [...row.split('|')[1].matchAll(/`(\w+)`/g)].map(([, code]) => code));
    assert.deepEqual(documented.sort(), [...codes].sort());
    for (const row of rows) assert.deepEqual(row.split('|').slice(1, 5).filter((cell) => cell.trim() === ''), [], row);
  });

  it('every subcommand stands in docs/command-line.md', async () => {
    const { stdout } = await promisify(execFile)(BINARY, ['help']);
    const names = [...stdout.split('Commands:')[1].split('\n\n')[0].matchAll(/^ {2}([a-z-]+)/gm)].map(([, name]) => name);
    assert.ok(names.length > 10, stdout);
    const rows = read('docs/command-line.md').split('\n').filter((line) => line.startsWith('|')).join('\n');
    for (const name of names.filter((one) => one !== 'help')) assert.match(rows, new RegExp(`\`(parlance )?${name}\\b`), name);
  });
});

describe('links of the documents', () => {
  /** As GitHub calls a heading in addresses. */
  const anchor = (heading) => heading.trim().toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-');
  const anchorsOf = (document) => [...prose(read(document)).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchor(heading));
  /** Links of a document within the project: `{target, section}`. */
  function linksOf(document) {
    const found = [...prose(read(document)).matchAll(/\]\(([^)#\s]*)(?:#([^)\s]*))?\)/g)].filter(([, target]) => !/^[a-z]+:/.test(target));
    return found.map(([, target, section]) => ({ target: target ? relative(ROOT, join(ROOT, dirname(document), target)) : document, section }));
  }

  it('lead somewhere, and their sections are there', () => {
    for (const document of DOCUMENTS) {
      for (const { target, section } of linksOf(document)) {
        assert.ok(existsSync(join(ROOT, target)), `${document}: ${target}`);
        if (section !== undefined) assert.ok(anchorsOf(target).includes(section), `${document}: ${target}#${section}`);
      }
    }
  });

  /** Questions of a newcomer: where the answer stands, and words that it has. */
  const QUESTIONS = [
    ['How do I log in?', 'docs/front-ends.md', 'log-in', '/api/auth/login'],
    ['Who is online?', 'docs/front-ends.md', 'find-users-and-see-who-is-online', '/api/users/online'],
    ['Why is my picture broken?', 'docs/front-ends.md', 'pictures-and-files', '`file.url` is relative'],
    ['Why does my Flutter handler get a list?', 'docs/front-ends.md', 'the-offset-behind-every-event', 'Dart, Flutter'],
    ['How do I back up under systemd?', 'docs/operating/backup.md', 'under-systemd', 'parlance-backup.timer'],
    ['What do I set behind nginx?', 'docs/operating/proxies.md', 'nginx', 'proxy_set_header Upgrade'],
    ['Why is my origin refused?', 'docs/front-ends.md', 'origins', 'CLIENT_URL'],
    ['How do I write a bot?', 'docs/bots.md', 'bots', 'bot.mjs'],
    ['What happens to a message when the server is killed?', 'docs/recovery.md', 'when-the-server-is-killed', 'acked with success'],
    ['Which file decides who is told of presence?', 'docs/architecture.md', 'to-see--open-', 'presence.rs'],
  ];

  it('answer a newcomer\'s questions within two clicks from the README', () => {
    const first = new Set(linksOf('README.md').map(({ target }) => target).filter((target) => target.endsWith('.md')));
    const second = new Set([...first].flatMap((document) => linksOf(document).map(({ target }) => target)));
    for (const [question, document, section, words] of QUESTIONS) {
      assert.ok(first.has(document) || second.has(document), `${question} ${document} is further away`);
      const [, ...parts] = `\n${read(document)}`.split(/\n#+ /);
      const part = parts.find((one) => anchor(one.split('\n')[0]) === section);
      assert.ok(part?.includes(words), `${question} ${document}#${section} does not say ${words}`);
    }
  });
});
