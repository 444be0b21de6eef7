// Whatever ends the server, acked messages are stored (P1), and an orderly end is orderly (P10).
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';

import { conversationHistory, people } from '../lib/chat.mjs';
import { connect } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { Load } from '../lib/load.mjs';
import { OUTAGES } from '../lib/outage.mjs';
import { Server } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

for (const database of DATABASES) {
  describe(`stopping on ${database}`, () => {
    async function underLoad(test) {
      const server = await Server.start({ database, env: { RATE_LIMIT_EVENTS: '0' } });
      test.after(() => server.remove());
      const load = await Load.start(server);
      test.after(() => load.close());
      await load.reached(400);
      return { server, load };
    }

    async function assertAllThere(server, load) {
      await server.launch();
      await load.assertDelivered(server, await load.assertStored(server));
    }

    it('kill -9 under load, and a restart: every acked message is there', async (test) => {
      const { server, load } = await underLoad(test);
      await server.end('SIGKILL');
      await load.disconnected();
      await assertAllThere(server, load);
    });

    it('SIGTERM under load: exit 0, clients may come back by themselves, every acked message is there', async (test) => {
      const { server, load } = await underLoad(test);
      const { code } = await server.end('SIGTERM');
      assert.equal(code, 0, server.log);
      for (const reason of await load.disconnected()) assert.match(reason, /^transport (close|error)$/);
      await assertAllThere(server, load);
    });

    /** Stops a server that waits for an unavailable database, with one message in progress. */
    async function stopInAnOutage(test, { SHUTDOWN_TIMEOUT = '1h' } = {}) {
      const outage = await OUTAGES[database](test);
      const env = { RUST_LOG: 'info', SHUTDOWN_TIMEOUT, STORE_RETRY_FOR: '1h' };
      const server = await Server.start({ database, databaseUrl: outage.databaseUrl, env });
      test.after(() => server.remove());
      const [alice, bob] = await people(test, server, ['alice', 'bob']);
      const to = { recipientId: bob.user.id };
      await alice.succeed('send_direct_message', { ...to, content: 'before' });
      await bob.next('new_message');
      await outage.begin(server);
      const answer = new Promise((resolve) => {
        alice.socket.emit('send_direct_message', { ...to, content: 'under way' }, resolve);
      });
      await bob.next('new_message');
      server.process.kill('SIGTERM');
      await within(LIMIT, 'the stop to begin', (async () => {
        while (!/stopping$/m.test(server.log)) await once(server.process.stderr, 'data');
      })());
      return { outage, server, alice, answer };
    }

    it('SIGTERM while the database is away: what was under way is stored and acked before the end', async (test) => {
      const { outage, server, alice, answer } = await stopInAnOutage(test);
      await outage.end();
      const { success, message } = await within(LIMIT, 'the ack', answer);
      assert.equal(success, true);
      assert.equal((await within(LIMIT, 'the end', server.exited)).code, 0, server.log);
      await server.launch();
      const kept = await conversationHistory(server, alice.user.token, message.conversationId);
      assert.deepEqual(kept.map(({ content }) => content), ['before', 'under way']);
    });

    it('what does not end within SHUTDOWN_TIMEOUT is refused before the end', async (test) => {
      const { server, answer } = await stopInAnOutage(test, { SHUTDOWN_TIMEOUT: '1s' });
      assert.equal((await within(LIMIT, 'the refusal', answer)).code, 'NOT_STORED');
      assert.equal((await within(LIMIT, 'the end', server.exited)).code, 0, server.log);
      assert.match(server.log, /not everything was finished in time/);
    });

    it('a second signal ends at once, whatever the first one waits for', async (test) => {
      const { server } = await stopInAnOutage(test);
      await server.end('SIGTERM');
    });
  });
}

describe('a stock client that may reconnect', () => {
  it('comes back after a restart, and asks nothing of its user', async (test) => {
    const server = await Server.start();
    test.after(() => server.remove());
    const client = await connect(server, newUser(), { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 200 });
    test.after(() => client.close());
    const { port } = new URL(server.url);
    server.env.PORT = port;
    assert.equal((await server.end('SIGTERM')).code, 0);
    await client.disconnected();
    await server.launch();
    await client.connected();
    assert.equal((await client.ask('leave_group', 'x')).success, true);
  });
});
