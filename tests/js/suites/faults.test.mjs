// Faults of a database: restarted, cut off, out of connections, a full disk, a failing migration. Nothing is acked
// falsely, nothing hangs, and everything continues without a restart of the server.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { conversationHistory, people, settle } from '../lib/chat.mjs';
import { DATABASES, Postgres, createDatabase, newDatabase } from '../lib/database.mjs';
import { Server } from '../lib/server.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const REFUSALS = ['STORAGE_UNAVAILABLE', 'NOT_STORED'];
const psql = (url, ...statements) => execFileSync('psql', ['-X', '-q', '-d', url, ...statements.flatMap((statement) => ['-c', statement])], { stdio: ['ignore', 'pipe', 'pipe'] });

/** Two users who talk; `talk` sends until told to stop, and repeats refused messages under the same id. */
async function pair(test, server) {
  const [alice, bob] = await people(test, server, ['alice', 'bob']);
  const send = (content, more = {}) => alice.askWithin(4 * LIMIT, 'send_direct_message', { recipientId: bob.user.id, content, ...more });
  const { message: { conversationId } } = await send('before');
  const acked = [];
  const refused = [];
  let goesOn = true;
  const sendOne = async (name) => {
    for (;;) {
      const answer = await send(name, { clientMessageId: name });
      if (answer.success) return acked.push(name);
      assert.ok(REFUSALS.includes(answer.code), JSON.stringify(answer));
      refused.push(name);
      await server.api('GET', '/readyz');
    }
  };
  const lane = async (number) => {
    for (let count = 0; goesOn; count++) await sendOne(`${number}.${count}`);
  };
  const lanes = Array.from({ length: 8 }, (_, number) => lane(number));
  return {
    refused,
    /** Waits until this number of further messages is acked. */
    async acks(more) {
      const goal = acked.length + more;
      await within(6 * LIMIT, `${more} more acks`, (async () => {
        while (acked.length < goal) await server.api('GET', '/healthz');
      })());
    },
    async refusal() {
      await within(4 * LIMIT, 'a refusal', (async () => {
        while (refused.length === 0) await server.api('GET', '/healthz');
      })());
    },
    /** Ends the talk; asserts that each acked message is stored once, and was shown once, in stored order. */
    async judge() {
      goesOn = false;
      await Promise.all(lanes);
      await settle(alice, bob);
      // A read on a cut connection is refused once; then all other connections are tested before use.
      await within(LIMIT, 'a read', (async () => {
        while ((await server.api('GET', '/api/conversations', { token: alice.user.token })).status !== 200);
      })());
      const shown = bob.told('new_message').map(({ message }) => message.content).filter((content) => content !== 'before');
      const kept = (await conversationHistory(server, bob.user.token, conversationId)).slice(1, -1).map(({ content }) => content);
      assert.deepEqual([...kept].sort(), [...acked].sort(), 'what is acked is stored, once');
      assert.deepEqual([...shown].sort(), [...acked].sort(), 'and was shown, once');
      return { shown, kept };
    },
  };
}

if (DATABASES.includes('postgres')) {
  describe('faults of Postgres', () => {
    for (const delivery of ['live', 'stored']) {
      const start = async (test) => {
        const instance = await Postgres.start();
        test.after(() => instance.remove());
        const url = createDatabase(instance.url);
        const role = url.replace('parlance@', 'chat@');
        psql(url, 'create role chat login', 'grant all on schema public to chat');
        const server = await Server.start({ databaseUrl: role, env: { RATE_LIMIT_EVENTS: '0', DELIVERY: delivery, STORE_RETRY_FOR: '2s' } });
        test.after(() => server.remove());
        return { instance, url, server };
      };

      it(`restarted after a crash, DELIVERY=${delivery}`, async (test) => {
        const { instance, server } = await start(test);
        const talk = await pair(test, server);
        await talk.acks(50);
        await instance.crash();
        await talk.refusal();
        await instance.launch();
        await talk.acks(50);
        const { shown, kept } = await talk.judge();
        if (delivery === 'stored') assert.deepEqual(shown, kept, 'one order');
      });

      it(`all connections cut, DELIVERY=${delivery}`, async (test) => {
        const { url, server } = await start(test);
        const talk = await pair(test, server);
        for (let round = 0; round < 5; round++) {
          await talk.acks(20);
          psql(url, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'chat'");
        }
        await talk.acks(50);
        await talk.judge();
      });

      it(`out of connections, DELIVERY=${delivery}`, async (test) => {
        const { url, server } = await start(test);
        const talk = await pair(test, server);
        await talk.acks(50);
        psql(url, 'alter role chat connection limit 0', "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'chat'");
        await talk.refusal();
        assert.equal((await server.api('GET', '/readyz')).status, 503);
        psql(url, 'alter role chat connection limit -1');
        await talk.acks(50);
        await talk.judge();
        assert.equal((await server.api('GET', '/readyz')).status, 200);
      });
    }
  });
}

if (DATABASES.includes('sqlite')) {
  describe('faults of SQLite', () => {
    for (const delivery of ['live', 'stored']) {
      it(`a full disk, DELIVERY=${delivery}`, async (test) => {
        // A file system of its own, visible only to the server.
        const wrap = ['unshare', '--map-root-user', '--mount', 'sh', '-c', 'mount -t tmpfs -o size=8m none "$DATA_DIR" && exec "$0" "$@"'];
        const server = await Server.start({ wrap, env: { RATE_LIMIT_EVENTS: '0', DELIVERY: delivery, STORE_RETRY_FOR: '2s' } });
        test.after(() => server.remove());
        const ballast = join(`/proc/${server.process.pid}/root`, server.folder, 'ballast');
        const talk = await pair(test, server);
        await talk.acks(50);
        assert.throws(() => writeFileSync(ballast, Buffer.alloc(16 * 1024 * 1024)), /ENOSPC/);
        await talk.refusal();
        assert.equal((await server.api('GET', '/healthz')).status, 200);
        rmSync(ballast);
        await talk.acks(50);
        await talk.judge();
        assert.equal((await server.api('GET', '/readyz')).status, 200);
      });
    }
  });
}

for (const database of DATABASES) {
  it(`a migration that fails ends the start with a clear word and leaves nothing half done, on ${database}`, async (test) => {
    const databaseUrl = newDatabase(database);
    const folder = mkdtempSync(join(tmpdir(), 'parlance-migration-'));
    test.after(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'parlance.db');
    const query = (statement) => (databaseUrl
      ? execFileSync('psql', ['-X', '-q', '-A', '-t', '-d', databaseUrl, '-c', statement], { encoding: 'utf8' })
      : execFileSync('sqlite3', [file, statement], { encoding: 'utf8' })).trim();
    const count = databaseUrl
      ? "select count(*) from pg_tables where schemaname = 'public' and tablename not like '\\_\\_%'"
      : "select count(*) from sqlite_schema where type = 'table' and name not like '\\_\\_%' escape '\\'";
    // It conflicts with the first migration, whose other tables come before it.
    query('create table messages (foreign_to_us int)');
    const start = () => Server.start({ databaseUrl: databaseUrl ?? `sqlite://${file}` });
    await assert.rejects(start(), /the database cannot be used: .*messages.* already exists/);
    assert.equal(query(count), '1', 'nothing of the failed one is left');
    query('drop table messages');
    const server = await start();
    test.after(() => server.remove());
    const [alice, bob] = await people(test, server, ['alice', 'bob']);
    await alice.succeed('send_direct_message', { recipientId: bob.user.id, content: 'works' });
  });
}
