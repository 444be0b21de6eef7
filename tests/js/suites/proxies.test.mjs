// Stock clients through nginx and Caddy, configured exactly as in docs/operating/proxies.md.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, it } from 'node:test';

import { TRANSPORTS, connect } from '../lib/client.mjs';
import { Proxy } from '../lib/proxy.mjs';
import { Server } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

/** Number of sockets of one address. */
const SOCKETS = 10;
const KEY = 'a key of the proxy tests';

for (const kind of Proxy.kinds) {
  describe(`through ${kind}`, () => {
    let server;
    let proxy;
    before(async () => {
      const env = { TRUSTED_PROXIES: '127.0.0.1', MAX_SOCKETS_PER_ADDRESS: String(SOCKETS), API_KEYS: KEY, RUST_LOG: 'info' };
      server = await Server.start({ env });
      proxy = await Proxy.start(kind, server);
    });
    after(async () => {
      await proxy?.remove();
      await server?.remove();
    });

    async function pair(test, options = {}) {
      const clients = await Promise.all(['ann', 'bob'].map((name) => connect(proxy, newUser(name), options)));
      test.after(() => clients.forEach((client) => client.close()));
      return clients;
    }

    for (const transport of Object.keys(TRANSPORTS)) {
      it(`stock clients talk: ${transport}`, async (test) => {
        const [ann, bob] = await pair(test, { transport });
        if (transport === 'upgrading') await Promise.all([ann, bob].map((client) => client.upgraded()));
        await ann.succeed('send_direct_message', { recipientId: bob.user.id, content: 'Hello!' });
        assert.equal((await bob.next('new_message')).message.content, 'Hello!');
      });
    }

    it('a client that was cut off is recovered', async (test) => {
      const [ann, bob] = await pair(test, { reconnection: true, reconnectionDelay: 20 });
      await ann.succeed('send_direct_message', { recipientId: bob.user.id, content: 'before' });
      await bob.next('new_message');
      const back = new Promise((resolve) => bob.socket.once('disconnect', () => bob.socket.once('connect', resolve)));
      bob.socket.io.engine.transport.ws._socket.destroy();
      await ann.succeed('send_direct_message', { recipientId: bob.user.id, content: 'meanwhile' });
      await within(LIMIT, 'the return', back);
      assert.equal(bob.socket.recovered, true);
      assert.equal((await bob.next('new_message')).message.content, 'meanwhile');
    });

    it('limits of an address are the client\'s, not the proxy\'s', async () => {
      const handshake = (localAddress) => within(LIMIT, 'a handshake', new Promise((resolve, reject) => {
        http.get(`${proxy.url}/socket.io/?EIO=4&transport=polling`, { localAddress, agent: false }, (response) => {
          response.resume();
          resolve(response.statusCode);
        }).on('error', reject);
      }));
      for (let count = 0; count < SOCKETS; count++) assert.equal(await handshake('127.0.0.2'), 200);
      assert.equal(await handshake('127.0.0.2'), 429);
      assert.equal(await handshake('127.0.0.3'), 200);
    });

    it('an upload of 50 MB passes, and a larger one gets 413', async () => {
      const { token } = newUser('ann');
      const upload = async (bytes) => {
        const form = new FormData();
        const jpeg = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16, 0x4a, 0x46, 0x49, 0x46, 0]), Buffer.alloc(bytes)]);
        form.set('file', new Blob([jpeg]), 'picture.jpg');
        const answer = await fetch(`${proxy.url}/api/upload`, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: form }).catch((error) => ({ status: error.cause?.code }));
        return answer.status;
      };
      assert.equal(await upload(49 * 1024 * 1024), 200);
      const refused = await upload(51 * 1024 * 1024);
      assert.ok([413, 'EPIPE', 'ECONNRESET', 'UND_ERR_SOCKET'].includes(refused), String(refused));
    });

    it('the stream of figures arrives line by line', async () => {
      const abort = new AbortController();
      const response = await fetch(`${proxy.url}/api/admin/stats/stream`, { headers: { 'x-api-key': KEY }, signal: abort.signal });
      assert.equal(response.status, 200);
      const reader = response.body.getReader();
      const begun = Date.now();
      for (let lines = 0; lines < 2; lines++) await within(LIMIT, 'a line', reader.read());
      assert.ok(Date.now() - begun < 10_000, 'nothing holds them back');
      abort.abort();
    });

    it('the client\'s end is known: its address, and whether it speaks TLS', async () => {
      const of = async (headers = {}) => (await (await fetch(`${proxy.url}/app/get-connection-id`, { headers })).json()).data.websocketUrl;
      assert.equal(await of(), proxy.url.replace('http', 'ws'));
    });
  });
}
