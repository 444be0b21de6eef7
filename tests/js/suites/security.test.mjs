// Vulnerabilities known from others' advisories, tried on the built server (docs/security.md has the list).
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { people, settle } from '../lib/chat.mjs';
import { closeAfter, connect, refusal } from '../lib/client.mjs';
import { PNG, upload } from '../lib/files.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { epoch, newUser, sign } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

/** An Engine.IO session over polling, by hand. */
async function session(server, token) {
  const endpoint = `${server.url}/socket.io/?EIO=4&transport=polling`;
  const { sid } = JSON.parse((await (await fetch(endpoint)).text()).slice(1));
  const url = `${endpoint}&sid=${sid}`;
  const say = async (body) => (await fetch(url, { method: 'POST', body })).status;
  const hear = async () => {
    const response = await within(LIMIT, 'an answer', fetch(url));
    return response.status === 200 ? response.text() : response.status;
  };
  if (token) {
    assert.equal(await say(`40${JSON.stringify({ token })}`), 200);
    assert.match(await hear(), /^40\{"sid"/);
  }
  return { sid, url, say, hear };
}

const deep = (depth) => `42${JSON.stringify(['send_direct_message'])}`.replace(/\]$/, `,${'['.repeat(depth)}${']'.repeat(depth)}]`);

describe('hostile packets', () => {
  const holder = useServer({ env: { RATE_LIMIT_EVENTS: '0' } });

  for (const [what, packet] of [
    ['attachments without number', '451-["x",{"_placeholder":true,"num":-1}]'],
    ['attachments beyond all bounds', '459007199254740993-["x"]'],
    ['a placeholder that is no number', '451-["x",{"_placeholder":true,"num":"splice"}]'],
    ['a placeholder out of range', '451-["x",{"_placeholder":true,"num":99}]'],
    ['an ack id beyond all bounds', `42${'9'.repeat(400)}["x"]`],
    ['JSON that nests without end', deep(100_000)],
    ['a reserved event', '42["disconnect"]'],
    ['an event without a name', '42[]'],
    ['no JSON', '42{{'],
    ['an unknown packet type', '49["x"]'],
    ['an EVENT in a namespace that is not there', '42/admin,["x"]'],
  ]) {
    it(`${what}: the session ends, nobody else notices`, async (test) => {
      const { server } = holder;
      const [ann, bob] = await people(test, server, ['ann', 'bob']);
      const hostile = await session(server, newUser('mallory').token);
      await hostile.say(packet);
      // A connecting client may get its greeting first.
      const isOver = (told) => told === 400 || /(^|\x1e)1$/.test(told);
      await within(LIMIT, 'the end of the session', (async () => {
        while (!isOver(await hostile.hear()));
      })());
      await settle(ann, bob);
      assert.equal((await server.api('GET', '/healthz')).status, 200);
    });
  }

  it('keys of JavaScript\'s objects are fields like any other', async (test) => {
    const [ann, bob] = await people(test, holder.server, ['ann', 'bob']);
    const mallory = await session(holder.server, newUser('mallory').token);
    const payload = `{"recipientId":${JSON.stringify(bob.user.id)},"content":"plain","__proto__":{"isAdmin":true},"constructor":{"prototype":{"isAdmin":true}}}`;
    assert.equal(await mallory.say(`420["send_direct_message",${payload}]`), 200);
    const { message } = await bob.next('new_message');
    assert.equal(message.content, 'plain');
    assert.deepEqual(Object.keys(message).filter((key) => /proto|constructor|isAdmin/.test(key)), []);
    await settle(ann, bob);
  });

  it('JSON that nests a little too deep for a payload is refused, and the session goes on', async () => {
    const client = await session(holder.server, newUser('mallory').token);
    assert.equal(await client.say('421["send_direct_message",[[[[[[[[[[]]]]]]]]]]]'), 200);
    assert.match(await client.hear(), /431\[\{"success":false.*"INVALID_PAYLOAD"/);
  });
});

describe('whose session it is', () => {
  const holder = useServer();

  it('a session id cannot be guessed', async () => {
    const ids = await Promise.all(Array.from({ length: 50 }, async () => (await session(holder.server)).sid));
    assert.equal(new Set(ids).size, 50);
    for (const id of ids) assert.ok(id.length >= 20, id);
    const common = [...ids[0]].findIndex((letter, place) => ids.some((id) => id[place] !== letter));
    assert.ok(common <= 2, 'they do not begin alike');
    const url = `${holder.server.url}/socket.io/?EIO=4&transport=polling&sid=${randomBytes(15).toString('base64url')}`;
    const { status, body } = await holder.server.api('GET', url.slice(holder.server.url.length));
    assert.deepEqual([status, body.code], [400, 1]);
  });

  it('the id that others see of a socket is not the one that it is reached by', async (test) => {
    const [ann] = await people(test, holder.server, ['ann']);
    assert.notEqual(ann.socket.id, ann.socket.io.engine.id);
    const { status } = await holder.server.api('GET', `/socket.io/?EIO=4&transport=polling&sid=${ann.socket.id}`);
    assert.equal(status, 400);
  });

  it('a page of a foreign origin cannot connect with the cookie (cross-site WebSocket hijacking)', async () => {
    const user = newUser('victim');
    const extraHeaders = { origin: 'https://evil.example', cookie: `token=${user.token}` };
    for (const transport of ['websocket', 'polling']) {
      const error = await refusal(holder.server, { transport, extraHeaders });
      assert.match(error.message, /websocket error|xhr poll error/);
    }
  });
});

describe('tokens', () => {
  it('stand in no log, whatever becomes of them', async (test) => {
    const server = await Server.start({ env: { RUST_LOG: 'trace', ALLOW_QUERY_TOKEN: 'true' } });
    test.after(() => server.remove());
    let log = '';
    server.process.stderr.on('data', (bytes) => { log += bytes; });
    const [ann] = await people(test, server, ['ann']);
    const bob = await connect(server, newUser('bob'), { auth: undefined, query: { token: newUser('carl').token } });
    closeAfter(test, bob);
    const wrong = sign({ id: 'x', exp: epoch(60) }, { secret: 'another' });
    await refusal(server, { auth: { token: wrong } });
    await refusal(server, { query: { token: wrong } });
    await server.api('GET', `/api/users/online?token=${wrong}`, { token: ann.user.token });
    await server.api('POST', '/api/auth/login', { body: { login: 'ann', password: 'a password that is secret' } });
    await ann.succeed('send_direct_message', { recipientId: bob.user.id, content: 'words between two' });
    await server.end();
    assert.ok(log.length > 1_000);
    for (const secret of [ann.user.token, wrong, 'a password that is secret', 'words between two']) {
      assert.ok(!log.includes(secret), `${secret.slice(0, 40)} is in the log`);
      assert.ok(!log.includes(secret.split('.').at(-1)), 'nor its signature');
    }
  });

  it('a login that fails takes the same time, whether there is such a user or not', async (test) => {
    const server = await Server.start({ env: { RATE_LIMIT_LOGINS: '0' } });
    test.after(() => server.remove());
    const { username } = newUser('known');
    await server.api('POST', '/api/auth/register', { body: { username, email: `${username}@example.org`, password: 'correct horse' } });
    const time = async (login) => {
      const start = performance.now();
      assert.equal((await server.api('POST', '/api/auth/login', { body: { login, password: 'wrong horse' } })).status, 401);
      return performance.now() - start;
    };
    // In turns, so that other load on the machine affects both alike; the shortest of each is the least disturbed.
    const times = { known: [], unknown: [] };
    for (let count = 0; count < 10; count++) {
      times.known.push(await time(username));
      times.unknown.push(await time('nobody at all'));
    }
    const [known, unknown] = [Math.min(...times.known), Math.min(...times.unknown)];
    assert.ok(Math.abs(known - unknown) < 0.5 * Math.max(known, unknown), `${known.toFixed(1)} and ${unknown.toFixed(1)} ms`);
  });
});

it('what is stored is for nobody else on the machine to read', async (test) => {
  const above = mkdtempSync(join(tmpdir(), 'parlance-private-'));
  test.after(() => rmSync(above, { recursive: true }));
  const folder = join(above, 'made', 'data');
  // Without a secret, it creates one in the folder that it creates.
  const server = await Server.start({ env: { DATA_DIR: folder, JWT_SECRET: '' } });
  test.after(() => server.remove());
  const { body } = await server.api('POST', '/api/auth/register', { body: { username: 'ann', email: 'ann@example.org', password: 'correct horse' } });
  await upload(server, body.token, 'a.png', PNG);
  const names = readdirSync(join(above, 'made'), { recursive: true }).map((name) => join(above, 'made', name));
  assert.ok(names.some((name) => name.endsWith('.png')) && names.some((name) => name.endsWith('.db')), `${names}`);
  for (const name of [join(above, 'made'), ...names]) assert.equal(statSync(name).mode & 0o077, 0, name);
});
