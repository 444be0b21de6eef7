// A restart under load: clients reconnect by themselves, none is refused, no acked message is lost.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Crowd } from '../lib/crowd.mjs';
import { DATABASES } from '../lib/database.mjs';
import { Server } from '../lib/server.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const KEEPER = ['perl', fileURLToPath(new URL('../lib/keeper.pl', import.meta.url))];
const CLIENTS = Number(process.env.RESTART_CLIENTS ?? 24);
const RESTARTS = 2;
const ENV = { RUST_LOG: 'info', RATE_LIMIT_EVENTS: '0' };

for (const database of DATABASES) {
  describe(`a restart under load on ${database}`, () => {
    async function crowd(test, server) {
      const crowd = await Crowd.start(server.url, CLIENTS, { pauseMs: Number(process.env.RESTART_PAUSE_MS ?? 0) });
      test.after(() => crowd.close());
      await crowd.more(10 * CLIENTS);
      return crowd;
    }

    it('whose socket is kept outside: LISTEN_FDS', async (test) => {
      const server = await Server.start({ database, wrap: KEEPER, env: ENV });
      test.after(async () => {
        await server.end('SIGTERM'); // killed, the keeper would leave its server behind
        await server.remove();
      });
      const talkers = await crowd(test, server);
      for (let restart = 1; restart <= RESTARTS; restart++) {
        const next = server.listening();
        server.process.kill('SIGHUP');
        assert.equal(await next, server.url);
        await talkers.connected(restart + 1);
        await talkers.more(5 * CLIENTS);
      }
      await talkers.assertWhole();
      test.diagnostic(JSON.stringify(talkers.figures()));
      assert.match(server.log, /stopped$/m, 'the server that was restarted said so');
    });

    it('whose port is shared for a while: REUSE_PORT', async (test) => {
      let server = await Server.start({ database, env: { ...ENV, REUSE_PORT: 'true' } });
      test.after(() => server.remove());
      const talkers = await crowd(test, server);
      for (let restart = 1; restart <= RESTARTS; restart++) {
        const next = server.successor({ PORT: new URL(server.url).port });
        await next.logs(/another server is using it/);
        await talkers.more(5 * CLIENTS); // while it waits the first one serves as before
        const listening = next.listening();
        assert.equal((await server.end('SIGTERM')).code, 0, server.log);
        next.url = await listening;
        assert.equal(next.url, server.url);
        server = next;
        await talkers.connected(restart + 1);
        await talkers.more(5 * CLIENTS);
      }
      await talkers.assertWhole();
      test.diagnostic(JSON.stringify(talkers.figures()));
    });
  });
}

describe('two servers by mistake', () => {
  it('the second on a port is refused, and the first goes on', async (test) => {
    const server = await Server.start({ env: ENV });
    test.after(() => server.remove());
    for (const REUSE_PORT of ['false', 'true']) {
      const second = server.successor({ PORT: new URL(server.url).port, REUSE_PORT });
      assert.equal((await within(LIMIT, 'its end', second.exited)).code, 1);
      assert.match(second.log, /^parlance: cannot listen on localhost port \d+: .*in use/m);
    }
    assert.equal((await server.api('GET', '/readyz')).status, 200);
  });

  for (const database of DATABASES) {
    it(`the second on a ${database} database waits, and gives up after STORE_RETRY_FOR`, async (test) => {
      const server = await Server.start({ database, env: ENV });
      test.after(() => server.remove());
      const second = server.successor({ STORE_RETRY_FOR: '1s' });
      assert.equal((await within(LIMIT, 'its end', second.exited)).code, 1);
      assert.match(second.log, /waiting for the database cause="another server is using it"/);
      assert.match(second.log, /^parlance: the database cannot be reached: another server is using it$/m);
      assert.equal((await server.api('GET', '/readyz')).status, 200);
    });
  }

  it('LISTEN_FDS that are no sockets end the start', async (test) => {
    const server = await Server.start({ env: ENV });
    test.after(() => server.remove());
    // It has standard input, output and error, and no further descriptors are passed.
    server.wrap = ['sh', '-c', 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@" 3</dev/null'];
    const second = server.successor();
    assert.equal((await within(LIMIT, 'its end', second.exited)).code, 1);
    assert.match(second.log, /^parlance: LISTEN_FDS: fd 3 is not a socket$/m);
  });
});
