// Unfinished requests are bounded, those of strangers first; packets that ask for nothing are counted.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

import { assertHttpError, assertLimited, makeGroup, people, settle } from '../lib/chat.mjs';
import { RawClient, dial } from '../lib/raw.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

/** Returns the resident memory of a process in KB. */
const resident = (server) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.process.pid}/status`, 'utf8'))[1]);

const open = (server, token) => RawClient.open(server, token);

describe('attachments', () => {
  const holder = useServer({ env: { PING_TIMEOUT: '1s', PING_INTERVAL: '60s', RATE_LIMIT_EVENTS: '0', RATE_LIMIT_RECEIPTS: '0' } });

  it('of an unfinished packet are kept nowhere, and it ends', async (test) => {
    const { server } = holder;
    const clients = await Promise.all(Array.from({ length: 20 }, () => open(server, newUser('mallory').token)));
    const before = resident(server);
    for (const client of clients) {
      client.send('4510-["send_direct_message",{"_placeholder":true,"num":0}]');
      for (let number = 0; number < 9; number += 1) client.send(randomBytes(900_000));
    }
    await Promise.all(clients.map((client) => client.closed()));
    // 160 MB came.
    assert.ok(resident(server) - before < 40_000, `${before} KB before, ${resident(server)} then`);
    const [ann, bob] = await people(test, server, ['ann', 'bob']);
    await settle(ann, bob);
  });

  it('of a whole packet are answered', async () => {
    const client = await open(holder.server, newUser('ann').token);
    client.send('451-7["send_direct_message",{"recipientId":{"_placeholder":true,"num":0}}]');
    client.send(randomBytes(10));
    await client.hear((text) => text.startsWith('437[') && text.includes('INVALID_PAYLOAD'));
    client.close();
  });
});

describe('what a stranger sends', () => {
  const holder = useServer({ env: { CONNECT_TIMEOUT: '60s' } });

  it('has 16 KB in a body, and a user has what a packet may have', async () => {
    const { server } = holder;
    const body = (size) => ({ login: 'ann', password: 'x'.repeat(size) });
    assertHttpError(await server.api('POST', '/api/auth/login', { body: body(17_000) }), 413, 'TOO_LARGE');
    assertHttpError(await server.api('POST', '/api/auth/login', { body: body(1_000) }), 401, 'INVALID_CREDENTIALS');
    const { token } = newUser('ann');
    const send = (token) => server.api('POST', '/api/messages', { token, body: { to: { room: 'square' }, content: 'x'.repeat(100_000) } });
    assert.equal((await send(token)).status, 201);
    // An unauthenticated client is told so, whatever it sends.
    assertHttpError(await send(`${token}x`), 401, 'INVALID_TOKEN');
  });

  it('a body that does not come ends its connection', async () => {
    const connection = await dial(holder.server);
    connection.socket.write('POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{');
    await within(2 * LIMIT, 'the end', connection.ended);
    assert.match(connection.text, /^HTTP\/1\.1 400 .*too slowly/s);
  });

  it('is no long frame before it is known who it is, nor a long polling body', async () => {
    const { server } = holder;
    const stranger = await open(server);
    stranger.send('x'.repeat(70_000));
    assert.equal(await stranger.closed(), 1009);
    const known = await open(server, newUser('ann').token);
    known.send(`420${JSON.stringify(['join_group', 'x'.repeat(100_000)])}`);
    await known.hear((text) => text.startsWith('430'));
    known.close();
    const endpoint = `${server.url}/socket.io/?EIO=4&transport=polling`;
    const { sid } = JSON.parse((await (await fetch(endpoint)).text()).slice(1));
    const sent = await dial(server);
    sent.socket.write(`POST /socket.io/?EIO=4&transport=polling&sid=${sid} HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n4`);
    const more = setInterval(() => sent.socket.write('x'.repeat(8_000)), 10);
    try {
      await within(LIMIT, 'a refusal', (async () => {
        while (!sent.text.includes('\r\n')) await once(sent.socket, 'data');
      })());
    } finally {
      clearInterval(more);
      sent.socket.destroy();
    }
    assert.match(sent.text, /^HTTP\/1\.1 413/);
  });

  it('a request that is no HTTP is counted, and no line of the log', async (test) => {
    const server = await Server.start({ env: { RUST_LOG: 'info' } });
    test.after(() => server.remove());
    for (const text of ['GET / HTTP/9.9\r\n\r\n', 'rubbish\r\n\r\n', 'GET / HTTP/1.1\r\nno header\r\n\r\n']) {
      const { socket, ended } = await dial(server);
      socket.end(text);
      await within(LIMIT, 'the end', ended);
    }
    const { body } = await server.api('GET', '/metrics');
    assert.match(body, /^parlance_requests_malformed_total 3$/m);
    assert.doesNotMatch(server.log, /ERROR|parse error/);
  });
});

describe('connections of one address', () => {
  it('are counted, whatever is spoken over them; those of a proxy that is trusted are not', async (test) => {
    const server = await Server.start({ env: { MAX_SOCKETS_PER_ADDRESS: '4' } });
    test.after(() => server.remove());
    const idle = [await dial(server), await dial(server)];
    const [one, two] = [await open(server, newUser().token), await open(server, newUser().token)];
    const fifth = await dial(server);
    await within(LIMIT, 'the end', fifth.ended);
    assert.match(fifth.text, /^HTTP\/1\.1 429 .*Retry-After/s);
    idle[0].socket.destroy();
    one.close();
    await within(LIMIT, 'room', (async () => {
      for (;;) {
        const connection = await dial(server);
        connection.socket.write('GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
        await connection.ended;
        if (connection.text.startsWith('HTTP/1.1 200')) return;
      }
    })());
    two.close();
    const proxied = await Server.start({ env: { MAX_SOCKETS_PER_ADDRESS: '2', TRUSTED_PROXIES: '127.0.0.1' } });
    test.after(() => proxied.remove());
    for (let number = 0; number < 10; number += 1) await dial(proxied);
    assert.equal((await proxied.api('GET', '/healthz')).status, 200);
  });
});

describe('what a user asks for over HTTP', () => {
  const KEY = 'the-key-of-a-server';
  const holder = useServer({ env: { RATE_LIMIT_EVENTS: '2', RATE_LIMIT_BURST: '5', MAX_GROUP_MEMBERS: '3', API_KEYS: KEY } });

  it('has a rate: what writes as a socket\'s, what reads ten times that; servers have none', async () => {
    const { server } = holder;
    const [ann, bob] = [newUser('ann'), newUser('bob')];
    const write = (user) => server.api('PATCH', '/api/users/me', { token: user.token, body: { fullName: 'A' }, once: true });
    const statuses = [];
    for (let times = 0; times < 8; times += 1) statuses.push(await write(ann));
    assert.deepEqual(statuses.slice(0, 5).map(({ status }) => status), [200, 200, 200, 200, 200]);
    const refused = statuses.find(({ status }) => status !== 200);
    assertLimited(refused);
    assert.equal(refused.headers.get('retry-after'), '1');
    assert.equal((await write(bob)).status, 200);
    const reads = await Promise.all(Array.from({ length: 45 }, () => server.api('GET', '/api/auth/me', { token: ann.token })));
    assert.ok(reads.every(({ status }) => status === 200), 'a page that loads');
    const many = await Promise.all(Array.from({ length: 60 }, () => server.api('GET', '/api/auth/me', { token: ann.token, once: true })));
    assert.ok(many.some(({ status }) => status === 429));
    const emit = () => server.api('POST', '/api/emit', { headers: { 'x-api-key': KEY }, body: { to: { user: ann.id }, event: 'x' } });
    assert.ok((await Promise.all(Array.from({ length: 100 }, emit))).every(({ status }) => status === 200));
  });

  it('a group has so many members, in all and in one request', async () => {
    const { server } = holder;
    const [cid, dan, eve, fay] = ['cid', 'dan', 'eve', 'fay'].map((name) => newUser(name));
    for (const user of [dan, eve, fay]) await server.api('GET', '/api/auth/me', { token: user.token });
    const refused = await server.api('POST', '/api/conversations', { token: cid.token, body: { type: 'group', name: 'G', participants: [dan.id, eve.id, fay.id] } });
    assertHttpError(refused, 413, 'TOO_LARGE');
    const group = await makeGroup(server, { user: cid }, [{ user: dan }]);
    const add = (user) => server.api('POST', `/api/conversations/${group}/participants`, { token: cid.token, body: { participants: [user.id] } });
    assert.equal((await add(eve)).status, 200);
    assertHttpError(await add(fay), 413, 'TOO_LARGE');
  });
});

describe('packets that ask for nothing', () => {
  const holder = useServer({ env: { RATE_LIMIT_RECEIPTS: '5', PING_INTERVAL: '60s' } });

  for (const [what, packets] of [
    ['acks', ['430[]']],
    ['pongs', ['3']],
    ['noops', ['6']],
    ['coming and going', ['41', (token) => `40${JSON.stringify({ token })}`]],
  ]) {
    it(`${what}: a flood of them ends its connection, a few do not`, async () => {
      const { token } = newUser('ann');
      const client = await open(holder.server, token);
      const flood = async (times) => {
        for (let time = 0; time < times; time += 1) {
          for (const packet of packets) client.send(typeof packet === 'string' ? packet : packet(token));
          // One after the other: clients that reconnect before the server knows they have left violate the protocol.
          if (what === 'coming and going') {
            const count = client.said.filter((text) => text.startsWith('40')).length;
            await Promise.race([client.hear(() => client.said.filter((text) => text.startsWith('40')).length > count), client.closed()]).catch(() => {});
            if (!client.isOpen) return;
          }
        }
      };
      await flood(20);
      client.send('421["leave_group","nothing"]');
      await client.hear((text) => text.startsWith('431'));
      await flood(200);
      await client.closed();
    });
  }

  it('who comes and goes costs the others one packet a second', async (test) => {
    const server = await Server.start({ env: { PRESENCE_GRACE: '0s' } });
    test.after(() => server.remove());
    const [ann] = await people(test, server, ['ann']);
    const { id, token } = newUser('restless');
    const client = await open(server, token);
    const begun = Date.now();
    for (let time = 0; time < 30; time += 1) {
      const count = () => client.said.filter((text) => text.startsWith('40')).length;
      const before = count();
      client.send('41');
      client.send(`40${JSON.stringify({ token })}`);
      await client.hear(() => count() > before);
    }
    client.close();
    await within(LIMIT, 'the end', (async () => {
      for (;;) if ((await ann.next('user_offline', ({ userId }) => userId === id)) && !(await isOnline())) return;
    })());
    async function isOnline() {
      const { body } = await server.api('GET', `/api/users/${id}`, { token: ann.user.token });
      return body.user.isOnline;
    }
    const told = [...ann.told('user_online'), ...ann.told('user_offline')].filter(({ userId }) => userId === id).length + 1;
    const seconds = (Date.now() - begun) / 1_000;
    assert.ok(told <= seconds + 2, `${told} in ${seconds} s`);
  });
});
