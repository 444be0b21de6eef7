// The command line beside a running server: what it shows, and what it changes (docs/command-line.md).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';

import { people } from '../lib/chat.mjs';
import { DATABASES } from '../lib/database.mjs';
import { BINARY, useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const KEY = 'the-key-of-a-server';

/**
 * Starts a command in the server's folder with its settings; it gets the server's address and key, unless `env` says
 * otherwise.
 */
function start(server, args, env = {}) {
  const known = { ...server.env, PARLANCE_URL: server.url, PARLANCE_KEY: KEY, ...env };
  return spawn(BINARY, args, { cwd: server.folder, env: known, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Runs a command to its end: returns `{code, out, err}`. */
async function parlance(server, args, env) {
  const child = start(server, args, env);
  const [out, err] = ['', ''].map((text, place) => {
    const said = { text };
    child.stdio[place + 1].on('data', (bytes) => { said.text += bytes; });
    return said;
  });
  const [code] = await within(LIMIT, `parlance ${args.join(' ')}`, once(child, 'close'));
  return { code, out: out.text, err: err.text };
}

async function succeed(server, args, env) {
  const { code, out, err } = await parlance(server, args, env);
  assert.equal(code, 0, err);
  return out.trim();
}

/** Runs a command that must fail; returns its one line. */
async function fail(server, args, env) {
  const { code, out, err } = await parlance(server, args, env);
  assert.deepEqual([code, out, err.trim().split('\n').length], [1, '', 1], out + err);
  return err;
}

for (const database of DATABASES) {
  describe(`the command line on ${database}`, () => {
    const holder = useServer({ database, env: { API_KEYS: KEY } });
    const server = () => holder.server;

    /** Starts watching; `until(isLast)` returns the lines up to that one. */
    async function tail(test, ...args) {
      const child = start(server(), ['tail', ...args]);
      test.after(() => child.kill('SIGKILL'));
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const [begun] = await within(LIMIT, 'the beginning of tail', once(child.stderr, 'data'));
      assert.match(`${begun}`, /^parlance: watching http.*; Ctrl-C ends it\n$/);
      return {
        async until(isLast) {
          const shown = [];
          do shown.push((await within(LIMIT, `a line of tail ${args}`, lines.next())).value); while (!isLast(shown.at(-1)));
          return shown;
        },
      };
    }

    it('check sees that a server of ours has the port, and touches nothing of it', async (test) => {
      await people(test, server(), ['ann']);
      const { port } = new URL(server().url);
      const found = JSON.parse(await succeed(server(), ['check', '--json', '--connections', '4'], { PORT: port }));
      const port_ = found.checks.find(({ what }) => what === 'port');
      assert.deepEqual([port_.status, /a Parlance serves here already, \d+ sockets/.test(port_.found)], ['ok', true], port_.found);
      assert.match(found.checks.find(({ what }) => what === 'database').found, /up to date/);
      assert.equal((await server().api('GET', '/readyz')).status, 200);
    });

    it('a message is stored, and handed to who is there', async (test) => {
      const [ann, bob] = await people(test, server(), ['ann', 'bob']);
      const said = await succeed(server(), ['send', '--from', ann.user.username, '--to', bob.user.id, 'Hello!']);
      assert.match(said, /^stored as [0-9a-f-]{36} and dispatched to a socket of the recipient$/);
      const { message } = await bob.next('new_message');
      assert.deepEqual([message.content, message.sender._id], ['Hello!', ann.user.id]);
      const away = newUser('away');
      await server().api('GET', '/api/auth/me', { token: away.token });
      assert.match(await succeed(server(), ['send', '--from', ann.user.id, '--to', away.id, 'Later']), /no socket now/);
      const args = ['send', '--from', ann.user.id, '--to', away.id, '--id', 'once', '--json', 'Once'];
      const [first, second] = [JSON.parse(await succeed(server(), args)), JSON.parse(await succeed(server(), args))];
      assert.equal(first.message._id, second.message._id, 'a repeat is the same message');
      assert.match(await succeed(server(), ['send', '--from', ann.user.id, '--group', first.message.conversationId, 'More']), /^stored as /);
      assert.match(await succeed(server(), ['send', '--from', ann.user.id, '--room', 'square', 'To the square']), /in the room$/);
      const history = await server().api('GET', '/api/rooms/square/messages', { token: ann.user.token });
      assert.equal(history.body.messages.at(-1).message ?? history.body.messages.at(-1).content, 'To the square');
      const status = async (body) => (await server().api('POST', '/api/messages', { token: ann.user.token, body })).status;
      assert.equal(await status({ to: { commonChat: true }, content: 'To all' }), 201, 'one speaks for oneself');
      assert.equal(await status({ to: {}, content: 'To nobody' }), 400);
    });

    it('an event goes out as it is', async (test) => {
      const [bob] = await people(test, server(), ['bob']);
      const said = await succeed(server(), ['send', '--to', bob.user.id, '--event', 'price', '--data', '{"price":7}']);
      assert.equal(said, 'the event went to 1 socket');
      assert.deepEqual(await bob.next('price'), { price: 7 });
      assert.match(await succeed(server(), ['send', '--room', 'nowhere', '--event', 'price']), /^nobody there/);
    });

    it('a revoked token is out at once, and others are not', async (test) => {
      const [ann, bob] = await people(test, server(), ['ann', 'bob']);
      const token = await succeed(server(), ['token', 'new', ann.user.id]);
      const me = async (token) => (await server().api('GET', '/api/auth/me', { token })).status;
      assert.equal(await me(token), 200);
      assert.match(await succeed(server(), ['token', 'revoke', token]), /sockets are disconnected$/);
      assert.deepEqual([await me(token), await me(ann.user.token)], [401, 200]);
      const gone = new Promise((resolve) => bob.socket.once('disconnect', resolve));
      assert.match(await succeed(server(), ['token', 'revoke', '--all-of', bob.user.username]), /sockets are disconnected$/);
      await within(LIMIT, 'the socket to be put out', gone);
      assert.equal(await me(bob.user.token), 401);
      assert.match(await fail(server(), ['token', 'revoke', '--all-of', ann.user.id], { PARLANCE_KEY: '', API_KEYS: '' }), /wants a key/);
      assert.equal(await me(ann.user.token), 200);
    });

    it('goes to no proxy: the key is for the server', async (test) => {
      const seen = [];
      const proxy = createServer((request, response) => {
        seen.push(request.headers);
        response.end('{}');
      });
      proxy.on('connect', (request, socket) => {
        seen.push(request.headers);
        socket.destroy();
      });
      await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
      test.after(() => proxy.close());
      const address = `http://127.0.0.1:${proxy.address().port}`;
      const ways = Object.fromEntries(['http_proxy', 'https_proxy', 'all_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'].map((name) => [name, address]));
      assert.match(await succeed(server(), ['stats', '--once', '--json'], ways), /^{/);
      await parlance(server(), ['stats', '--once'], { ...ways, PARLANCE_URL: 'http://chat.invalid' });
      assert.deepEqual(seen, []);
    });

    it('without a key the database is told, where the server looks', async (test) => {
      const [ann] = await people(test, server(), ['ann']);
      const { port } = new URL(server().url);
      const said = await succeed(server(), ['token', 'revoke', '--all-of', ann.user.id], { PARLANCE_URL: '', PARLANCE_KEY: '', API_KEYS: '', PORT: port });
      assert.match(said, /within two seconds/);
      await within(LIMIT, 'the socket to be put out', ann.gone);
      assert.equal((await server().api('GET', '/api/auth/me', { token: ann.user.token })).status, 401);
    });

    it('stats are shown once, as lines, and as JSON', async (test) => {
      const [ann, bob] = await people(test, server(), ['ann', 'bob']);
      const once_ = await succeed(server(), ['stats', '--once']);
      assert.match(once_, /^chat .*mailbox wait µs \d+/m);
      assert.match(once_, /^store +batch writes /m);
      const before = JSON.parse(await succeed(server(), ['stats', '--once', '--json']));
      await ann.succeed('send_direct_message', { recipientId: bob.user.id, content: 'counted' });
      const child = start(server(), ['stats', '--json']);
      test.after(() => child.kill('SIGKILL'));
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const line = async () => JSON.parse((await within(LIMIT, 'a line', lines.next())).value);
      assert.equal((await line()).chat.messages, before.chat.messages + 1);
      await line();
      const plain = start(server(), ['stats']);
      test.after(() => plain.kill('SIGKILL'));
      const [text] = await within(LIMIT, 'a line', once(plain.stdout, 'data'));
      assert.match(`${text}`, /(^| )chat\.messages=\d+ .*uptimeSeconds=\d+\n$/);
    });

    it('tail shows what happens, to whom it is asked for, and what is said only if asked', async (test) => {
      const [ann, bob] = await people(test, server(), ['ann', 'bob']);
      const all = await tail(test, '--json');
      const anns = await tail(test, '--user', ann.user.username);
      const said = await tail(test, '--bodies', '--dialect', 'messenger', '--event', 'send_direct_message');
      await ann.succeed('send_direct_message', { recipientId: bob.user.id, content: 'for her eyes' });
      ann.close();
      const is = (entry, what, person) => entry.what === what && entry.user === person.user.id;
      const lines = await all.until((line) => is(JSON.parse(line), 'disconnected', ann));
      const entries = lines.map((line) => JSON.parse(line));
      assert.ok(entries.some((entry) => is(entry, 'received', ann) && entry.event === 'send_direct_message'));
      assert.ok(entries.some((entry) => is(entry, 'sent', bob) && entry.event === 'new_message'));
      const hers = await anns.until((line) => line.includes('disconnected'));
      const start = new RegExp(`^\\d\\d:\\d\\d:\\d\\d\\.\\d{3}  (received|sent|disconnected) +${ann.user.id}  `);
      for (const line of hers) assert.match(line, start);
      assert.match(hers.join('\n'), /received .*send_direct_message \(messenger\)$/m);
      assert.doesNotMatch([...lines, ...hers].join(), /eyes/);
      const [only] = await said.until(() => true);
      assert.match(only, /send_direct_message \(messenger\) \{.*"content":"for her eyes"/);
      assert.match(await fail(server(), ['tail', '--user', 'nobody']), /user list/);
      assert.match(await fail(server(), ['tail', '--dialect', 'klingon']), /messenger/);
      assert.match(await fail(server(), ['tail', '--key', 'wrong']), /API_KEYS/);
    });

    it('who has no way in is told what to do', async () => {
      assert.match(await fail(server(), ['stats', '--once', '--key', 'wrong']), /API_KEYS/);
      assert.match(await fail(server(), ['stats', '--once'], { PARLANCE_KEY: '' }), /--key or PARLANCE_KEY/);
      const { token } = newUser('nobody-in-particular');
      assert.match(await fail(server(), ['stats', '--once', '--key', token]), /API_KEYS/);
      assert.match(await fail(server(), ['stats', '--url', 'http://127.0.0.1:1']), /parlance serve/);
      assert.match(await fail(server(), ['stats', '--url', 'localhost:3000']), /http:\/\/localhost:3000/);
      assert.match(await fail(server(), ['send', '--from', 'nobody', '--to', 'nobody', 'x']), /user list/);
      assert.match(await fail(server(), ['send', '--to', 'nobody', '--event', 'x', '--data', 'word']), /not JSON/);
    });
  });
}

describe('stats of a server that restarts', () => {
  const holder = useServer({ env: { API_KEYS: KEY, SHUTDOWN_TIMEOUT: '1s' } });

  it('go on by themselves', async (test) => {
    const { server } = holder;
    const { port } = new URL(server.url);
    const child = start(server, ['stats', '--json']);
    test.after(() => child.kill('SIGKILL'));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const line = async () => JSON.parse((await within(LIMIT, 'a line', lines.next())).value);
    await line();
    const told = once(child.stderr, 'data');
    await server.end();
    assert.match(`${await within(LIMIT, 'word of the loss', told)}`, /went away; looking for it/);
    server.env.PORT = port;
    await server.launch();
    await within(LIMIT, 'figures of the new start', (async () => { while ((await line()).uptimeSeconds > 1); })());
  });
});
