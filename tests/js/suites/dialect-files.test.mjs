// Dialects that files describe: stock clients that speak with compiled ones, commands, and files that change.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'node:test';

import { blocksOf, read } from '../lib/blocks.mjs';
import { VERSIONS, closeAfter, connect } from '../lib/client.mjs';
import { begin, succeed } from '../lib/command.mjs';
import { Server } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

/** The dialect of these tests: its messages are announced by `word`. */
const shop = (word) => `
version = 1
name = "shop"
define = 'def shown: {id, from: .sender.id, text: .content};'

[connect.sentences]
NO_TOKEN = "Log in first"

[[connect.requests]]
command = "join"
fields = '{room: "lobby"}'

[[connect.requests]]
command = "history"
fields = '{room: "lobby"}'
answer = { event = "earlier", args = '[.messages | map(shown)]' }

[[client]]
event = "say"
command = "send"
fields = '.[0] | {user: .to, content: .text}'
names = { user = "to", content = "text" }
ack = '[null, (.message | shown)]'

[[client]]
event = "shout"
command = "send"
copy = "live"
fields = '{room: .[0], content: .[1]}'
names = { room = "room", content = "text" }

[[client]]
event = "enter"
command = "join"
fields = '{room: .[0]}'

[[client]]
event = "enter"
command = "history"
fields = '{room: .[0]}'
answer = { event = "history", args = '[.messages | map(.content)]' }

[[client]]
event = "digest"
command = "send"
fields = '{user: "bob", content: ([.[0][] as $a | .[0][] | [$a, .]] | length | tostring)}'

[[server]]
on = "connected"
event = "welcome"
args = '[.user]'

[[server]]
on = "message.direct"
to = "others"
event = "${word}"
args = '[(.message | shown)]'

[[server]]
on = "message.room"
event = "shouted"
args = '[.room, .message.content]'

[[server]]
on = "presence.online"
event = "came"
args = '[.user.id]'

[refusal]
event = "sorry"
args = '[.error]'
ack = '[.error]'
`;

/** Makes a folder with the dialect's file; returns its path. */
function newFile(test, text = shop('said')) {
  const folder = mkdtempSync(join(tmpdir(), 'parlance-'));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'shop.toml');
  writeFileSync(file, text);
  return file;
}

async function serve(test, file, env = {}) {
  const server = await Server.start({ env: { DIALECT_FILES: file, RUST_LOG: 'info', ...env } });
  test.after(() => server.remove());
  return server;
}

/** A stock client that knows nothing of Parlance. */
class Speaker {
  constructor(server, user, auth = {}) {
    this.user = user;
    this.socket = VERSIONS[4.8](server.url, { transports: ['websocket'], forceNew: true, reconnection: false, auth: { token: user?.token, ...auth } });
    this.heard = [];
    this.socket.onAny((event, ...args) => this.heard.push([event, ...args]) && this.look?.());
  }

  static async of(test, server, user, auth = { dialect: 'shop' }) {
    const speaker = new Speaker(server, user, auth);
    test.after(() => speaker.socket.disconnect());
    await within(LIMIT, 'connect', new Promise((resolve) => speaker.socket.once('connect', resolve)));
    return speaker;
  }

  /** Returns the arguments of the first event of this name, waiting for it. */
  async next(event) {
    const found = () => this.heard.findIndex(([name]) => name === event);
    await within(LIMIT, () => `${event} among ${JSON.stringify(this.heard)}`, new Promise((resolve) => {
      this.look = () => found() >= 0 && resolve();
      this.look();
    }));
    return this.heard.splice(found(), 1)[0].slice(1);
  }

  ask(event, ...args) {
    return within(LIMIT, event, new Promise((resolve) => this.socket.emit(event, ...args, (...answer) => resolve(answer))));
  }
}

describe('a dialect that a file describes', () => {
  it('talks with a compiled one, in words of its own', async (test) => {
    const server = await serve(test, newFile(test));
    const [ann, bob] = [await Speaker.of(test, server, newUser('ann')), await connect(server, newUser('bob'), { dialect: 'messenger' })];
    closeAfter(test, bob);
    assert.equal((await ann.next('welcome'))[0], ann.user.id);
    assert.equal((await ann.next('came'))[0], ann.user.id);
    assert.deepEqual(await ann.next('came'), [bob.user.id, null], 'no text ends an event that has no offset: it would be taken for one');
    const [error, sent] = await ann.ask('say', { to: bob.user.id, text: 'hi' });
    assert.deepEqual([error, sent.from, sent.text], [null, ann.user.id, 'hi']);
    assert.equal((await bob.next('new_message')).message._id, sent.id);
    await bob.succeed('send_direct_message', { recipientId: ann.user.id, content: 'hello' });
    const [said, offset] = await ann.next('said');
    assert.deepEqual([said.from, said.text], [bob.user.id, 'hello']);
    assert.match(offset, /^m[^.]+\.[^.]+\.[^.]+\.x[0-9a-z]{6}\./, 'its offset names the dialect by a mark');
    assert.deepEqual(await ann.ask('say', { text: 'to whom' }), ['Missing to']);
    assert.deepEqual(await ann.ask('say', { to: bob.user.id, text: 7 }), ['Invalid text']);
    assert.deepEqual(await ann.ask('say', 'text'), ['Invalid payload']);
    ann.socket.emit('say', {});
    assert.deepEqual(await ann.next('sorry'), ['Missing to', null]);
  });

  it('is recognised by its events, has rooms with their history, and makes requests of its own at connect', async (test) => {
    const server = await serve(test, newFile(test));
    const ann = await Speaker.of(test, server, newUser('ann'));
    assert.deepEqual((await ann.next('earlier'))[0], []);
    assert.deepEqual(await ann.ask('shout', 'lobby', 'anybody?'), [{ success: true }]);
    assert.deepEqual((await ann.next('shouted')).slice(0, 2), ['lobby', 'anybody?']);
    const bob = await Speaker.of(test, server, newUser('bob'), {});
    await bob.ask('enter', 'den');
    assert.deepEqual((await bob.next('earlier'))[0].map(({ text }) => text), ['anybody?'], 'its first event has told the dialect');
    assert.deepEqual((await bob.next('history'))[0], []);
    await bob.ask('shout', 'den', 'in here');
    await ann.ask('enter', 'den');
    assert.deepEqual((await ann.next('history'))[0], ['in here']);
    const stats = await server.api('GET', '/healthz');
    assert.equal(stats.status, 200);
  });

  it('misses nothing over a restart, where its number among the dialects has changed', async (test) => {
    const file = newFile(test);
    const server = await serve(test, file);
    const ann = await Speaker.of(test, server, newUser('ann'));
    const bob = await connect(server, newUser('bob'), { dialect: 'messenger' });
    await bob.succeed('send_direct_message', { recipientId: ann.user.id, content: 'one' });
    await ann.next('said');
    await bob.succeed('send_direct_message', { recipientId: ann.user.id, content: 'two' });
    const [, offset] = await ann.next('said');
    const pid = ann.socket._pid;
    bob.close();
    ann.socket.disconnect();
    await server.end();
    const messenger = fileURLToPath(new URL('../dialects/messenger-file.toml', import.meta.url));
    server.env.DIALECT_FILES = `${messenger},${file}`;
    await server.launch();
    const writer = await connect(server, bob.user, { dialect: 'messenger' });
    closeAfter(test, writer);
    await writer.succeed('send_direct_message', { recipientId: ann.user.id, content: 'three' });
    const back = await Speaker.of(test, server, ann.user, { dialect: 'shop', pid, offset });
    assert.equal((await back.next('said'))[0].text, 'three');
    assert.deepEqual(back.heard.filter(([event]) => event === 'said'), []);
  });

  it('refuses what its filter has too much to do with, and goes on', async (test) => {
    const server = await serve(test, newFile(test));
    const ann = await Speaker.of(test, server, newUser('ann'));
    assert.deepEqual(await ann.ask('digest', [1, 2, 3]), [{ success: true }]);
    assert.deepEqual(await ann.ask('digest', Array(100_000).fill(0)), ['Too large: the payload']);
    assert.deepEqual(await ann.ask('say', { to: ann.user.id, text: 'well' }).then(([error]) => error), null);
  });

  it('speaks its sentences to those who are refused at CONNECT, and the name is known', async (test) => {
    const server = await serve(test, newFile(test), { DIALECTS: 'shop' });
    const refused = new Speaker(server, undefined);
    const error = await within(LIMIT, 'connect_error', new Promise((resolve) => refused.socket.once('connect_error', resolve)));
    assert.equal(error.message, 'Log in first');
    const ann = new Speaker(server, newUser('ann'), { dialect: 'messenger' });
    const unknown = await within(LIMIT, 'connect_error', new Promise((resolve) => ann.socket.once('connect_error', resolve)));
    assert.equal(unknown.message, 'Unknown dialect, known are: shop');
  });
});

describe('SIGHUP', () => {
  it('reads a file anew for those who come; who is there keeps the words, and a broken file the old ones', async (test) => {
    const file = newFile(test);
    const server = await serve(test, file);
    const ann = await Speaker.of(test, server, newUser('ann'));
    const bob = await connect(server, newUser('bob'), { dialect: 'messenger' });
    closeAfter(test, bob);
    writeFileSync(file, shop('told'));
    server.process.kill('SIGHUP');
    await server.logged((line) => line.includes('a dialect was read anew'));
    const cat = await Speaker.of(test, server, newUser('cat'));
    for (const [client, word] of [[ann, 'said'], [cat, 'told']]) {
      await bob.succeed('send_direct_message', { recipientId: client.user.id, content: word });
      assert.equal((await client.next(word))[0].text, word);
    }
    assert.deepEqual(await ann.ask('say', { to: cat.user.id, text: 'across' }).then(([error]) => error), null);
    assert.equal((await cat.next('told'))[0].text, 'across');

    for (const [text, fault] of [
      [shop('told').replace('version = 1', 'version = 2'), ':2:11: version must be 1'],
      [shop('told').replace('"shop"', '"store"'), 'keeps its name until the next start'],
    ]) {
      writeFileSync(file, text);
      server.process.kill('SIGHUP');
      await server.logged((line) => line.includes(fault) && line.includes('a dialect stays as it was'));
    }
    const dan = await Speaker.of(test, server, newUser('dan'));
    await bob.succeed('send_direct_message', { recipientId: dan.user.id, content: 'still' });
    assert.equal((await dan.next('told'))[0].text, 'still');
  });

  it('takes no more versions than there is room for, and says so', async (test) => {
    const file = newFile(test);
    const server = await serve(test, file);
    // It listens before it heeds signals.
    const ann = await Speaker.of(test, server, newUser('ann'), { dialect: 'messenger' });
    for (let version = 2; version <= 59; version += 1) {
      writeFileSync(file, shop(`said${version}`));
      server.log = '';
      server.process.kill('SIGHUP');
      await server.logged((line) => line.includes('a dialect was read anew'));
    }
    writeFileSync(file, shop('onetoomany'));
    server.process.kill('SIGHUP');
    await server.logged((line) => line.includes('start it again') && line.includes('a dialect stays as it was'));
    const bob = await Speaker.of(test, server, newUser('bob'));
    const cat = await Speaker.of(test, server, newUser('cat'));
    await bob.ask('say', { to: cat.user.id, text: 'hi' });
    assert.equal((await cat.next('said59'))[0].text, 'hi');
    await bob.ask('say', { to: ann.user.id, text: 'hi' });
    assert.equal((await ann.next('new_message'))[0].message.content, 'hi');
  });
});

describe('a file that is wrong', () => {
  it('ends the start with its place', async (test) => {
    const file = newFile(test, shop('said').replace('.message | shown', '.message | show'));
    const place = { folder: tmpdir(), env: { DIALECT_FILES: file, PORT: '0', DATA_DIR: join(file, '..') } };
    const { code, errors } = await begin(place, ['serve']).done;
    assert.equal(code, 1);
    assert.match(errors, /shop\.toml:23:27: show is not a function that filters may call\n$/);
    const missing = await begin({ ...place, env: { ...place.env, DIALECT_FILES: '/nowhere/x.toml' } }, ['serve']).done;
    assert.match(missing.errors, /\/nowhere\/x\.toml: No such file/);
    const check = await begin(place, ['check', '--json']).done;
    assert.match(check.out, /shop\.toml:23:27: show is not a function/);
  });
});

describe('parlance dialect', () => {
  const place = { folder: tmpdir(), env: {} };

  it('new prints a file that check takes', async (test) => {
    const file = newFile(test, await succeed(place, 'dialect', 'new'));
    assert.equal(await succeed(place, 'dialect', 'check', file), '');
  });

  it('check takes what the document shows', async (test) => {
    const blocks = blocksOf(read('docs/dialects/your-own.md')).filter(({ language }) => language === 'toml');
    assert.equal(blocks.length, 3);
    for (const { text } of blocks) {
      const [begins, ends] = text.includes('version = 1') ? ['', ''] : ['version = 1\nname = "shop"\n', '\n[[client]]\nevent = "me"\ncommand = "account"\n'];
      await succeed(place, 'dialect', 'check', newFile(test, `${begins}${text}${ends}`));
    }
  });

  it('check prints all faults, a line each, and remarks', async (test) => {
    const [good, bad] = [newFile(test), newFile(test, 'version = 2\nname = "all"\nwhat = 1\n')];
    const worse = newFile(test, 'version = 2\nname = "all"\n');
    const remarks = await succeed(place, 'dialect', 'check', good);
    assert.match(remarks, /^\S+shop\.toml:3:8: there is no event on message\.group: messages of groups are never shown \(remark\)\n$/);
    const checked = await begin(place, ['dialect', 'check', bad, worse]).done;
    assert.equal(checked.code, 1);
    const lines = checked.out.trimEnd().split('\n').map((line) => line.replace(/^\S*shop\.toml/, ''));
    assert.match(lines[0], /^:3:1: unknown field `what`/);
    assert.deepEqual(lines.slice(1).map((line) => line.split(' ')[0]), [':1:11:', ':2:8:', ':2:8:']);
    const clash = newFile(test, shop('said').replace('name = "shop"', 'name = "mall"').replace('"say"', '"send_direct_message"'));
    const both = await succeed(place, 'dialect', 'check', good, clash);
    assert.match(both, /messenger has the event send_direct_message, too: a pin decides, then the order \(remark\)/);
    assert.match(both, /shop has the event shout, too/);
    assert.equal((await begin(place, ['dialect', 'check', good, good]).done).code, 1);
  });

  it('try shows what an event becomes, in all dialects', async (test) => {
    const file = newFile(test);
    const shown = JSON.parse(await succeed(place, 'dialect', 'try', file, 'say', '{"to":"bob","text":"hi"}'));
    assert.deepEqual([shown.command, shown.fields], ['send', { user: 'bob', content: 'hi' }]);
    assert.deepEqual(shown.ack[1].text, 'hi');
    assert.deepEqual([shown.shown.shop[0][0], shown.shown.messenger[0][0], shown.shown.assistant], ['said', 'new_message', []]);
    const refused = JSON.parse(await succeed(place, 'dialect', 'try', file, 'say', '{}'));
    assert.deepEqual([refused.refusal, refused.refusalEvent], [['Missing to'], ['sorry', 'Missing to', null]]);
    assert.equal((await begin(place, ['dialect', 'try', file, 'cry']).done).code, 1);
  });

  it('is described with all others', async (test) => {
    const env = { DIALECT_FILES: newFile(test) };
    const document = JSON.parse(await succeed({ folder: tmpdir(), env }, 'asyncapi'));
    assert.deepEqual(Object.keys(document.channels).at(-1), 'shop');
    assert.match(await succeed({ folder: tmpdir(), env }, 'types'), /export namespace Shop \{[^]*say: \(payload\?: unknown/);
    assert.ok(readFileSync(env.DIALECT_FILES, 'utf8').includes('shop'));
  });
});
