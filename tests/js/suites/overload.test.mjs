// More than the server can take: half-open connections, no descriptors left, floods. Connected clients continue to be
// served.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { describe, it } from 'node:test';

import { people } from '../lib/chat.mjs';
import { closeAfter, connect, open } from '../lib/client.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

/** Returns TCP connections that have sent only `start`, leaving out those that the server refused. */
async function halfOpen(test, server, count, start) {
  const { hostname, port } = new URL(server.url);
  const sockets = Array.from({ length: count }, () => connectTcp({ host: hostname, port: Number(port) }).on('error', () => {}));
  test.after(() => sockets.forEach((socket) => socket.destroy()));
  await within(LIMIT, 'the TCP connections', Promise.all(sockets.map((socket) => once(socket, 'connect'))));
  for (const socket of sockets) socket.write(start);
  return sockets;
}

async function talks(one, other) {
  const content = `still here ${Math.random()}`;
  await one.succeed('send_direct_message', { recipientId: other.user.id, content });
  await other.next('new_message', ({ message }) => message.content === content);
}

describe('half-open connections', () => {
  const holder = useServer({ env: { MAX_SOCKETS_PER_ADDRESS: '0', RATE_LIMIT_EVENTS: '0', CONNECT_TIMEOUT: '2s' } });

  for (const [what, start] of [
    ['of which nothing came', ''],
    ['with half a request', 'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: here\r\nUpgr'],
    ['with half a body', 'POST /api/auth/login HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"login":'],
  ]) {
    it(`two thousand ${what}: others talk and come in`, async (test) => {
      const { server } = holder;
      const [ann, bob] = await people(test, server, ['ann', 'bob']);
      await halfOpen(test, server, 2_000, start);
      for (let count = 0; count < 20; count++) await talks(ann, bob);
      const [cid] = await people(test, server, ['cid'], { transport: 'upgrading' });
      await talks(cid, ann);
      assert.equal((await server.api('GET', '/healthz')).status, 200);
    });
  }

  it('who opens and does not authenticate is put out when CONNECT_TIMEOUT is over', async (test) => {
    const { hostname, port, host } = new URL(holder.server.url);
    const head = `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
      + 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';
    const sockets = Array.from({ length: 500 }, () => connectTcp({ host: hostname, port: Number(port) }).on('error', () => {}));
    test.after(() => sockets.forEach((socket) => socket.destroy()));
    const ended = sockets.map((socket) => {
      socket.write(head);
      socket.resume();
      return once(socket, 'end');
    });
    await within(2 * LIMIT, 'the end of them all', Promise.all(ended));
  });
});

describe('all descriptors in use', () => {
  it('those who are here talk on, and who comes later gets in when there is room', async (test) => {
    const server = await Server.start({ wrap: ['prlimit', '--nofile=300:300'], env: { MAX_SOCKETS_PER_ADDRESS: '0', RATE_LIMIT_EVENTS: '0' } });
    test.after(() => server.remove());
    const [ann, bob] = await people(test, server, ['ann', 'bob']);
    const sockets = await halfOpen(test, server, 400, 'GET / HTTP/1.1\r\nHo');
    for (let count = 0; count < 20; count++) await talks(ann, bob);
    const late = open(server, { auth: { token: newUser('late').token }, reconnection: true });
    closeAfter(test, late);
    for (let count = 0; count < 20; count++) await talks(ann, bob);
    for (const socket of sockets) socket.destroy();
    await within(2 * LIMIT, 'the late one', late.connected());
    const [cid] = await people(test, server, ['cid']);
    await talks(cid, ann);
  });
});

describe('floods', () => {
  const holder = useServer({ env: { RATE_LIMIT_EVENTS: '10', RATE_LIMIT_BURST: '10' } });

  it('ten times the rate is answered RATE_LIMITED, and slows nobody', async (test) => {
    const { server } = holder;
    const [loud, ann, bob] = await people(test, server, ['loud', 'ann', 'bob']);
    const answers = Array.from({ length: 150 }, (_, index) => loud.ask('send_direct_message', { recipientId: bob.user.id, content: `${index}` }));
    await talks(ann, bob);
    const refused = (await Promise.all(answers)).filter(({ success }) => !success);
    assert.ok(refused.length >= 80, `${refused.length} refused`);
    for (const { code, retryAfterMs } of refused) {
      assert.equal(code, 'RATE_LIMITED');
      assert.ok(retryAfterMs > 0);
    }
  });

  it('a client that goes on and on is put out, and its user may come again', async (test) => {
    // A low limit, so that a client on a busy machine exceeds it in each second, and reads its refusals.
    const server = await Server.start({ env: { RATE_LIMIT_EVENTS: '1', RATE_LIMIT_BURST: '10' } });
    test.after(() => server.remove());
    const user = newUser('flood');
    const flood = await connect(server, user);
    const [ann, bob] = await people(test, server, ['ann', 'bob']);
    closeAfter(test, flood);
    const noise = setInterval(() => {
      for (let count = 0; count < 20; count++) flood.socket.emit('send_direct_message', { recipientId: bob.user.id, content: 'x' });
    }, 100);
    test.after(() => clearInterval(noise));
    assert.equal(await within(3 * LIMIT, 'its end', flood.gone), 'io server disconnect');
    assert.deepEqual(flood.told('error').at(-1).code, 'RATE_LIMITED');
    clearInterval(noise);
    await talks(ann, bob);
    const again = await connect(server, user);
    closeAfter(test, again);
    await talks(again, ann);
  });

  it('too many sockets of one address are told when to come back', async (test) => {
    const server = await Server.start({ env: { MAX_SOCKETS_PER_ADDRESS: '3' } });
    test.after(() => server.remove());
    await people(test, server, ['ann', 'bob', 'cid']);
    const response = await fetch(`${server.url}/socket.io/?EIO=4&transport=polling`);
    assert.equal(response.status, 429);
    assert.ok(Number(response.headers.get('retry-after')) >= 1);
  });
});
