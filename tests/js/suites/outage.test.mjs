// The database is unavailable for a while: admitted messages are stored once it is back, refused ones are never seen.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';

import { conversationHistory, people, settle } from '../lib/chat.mjs';
import { DATABASES } from '../lib/database.mjs';
import { OUTAGES } from '../lib/outage.mjs';
import { Server } from '../lib/server.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const QUEUE = 300;
// The server's own notes may stand in the queue, too: who is online, how far members have come, notifications.
const OWN_NOTES = 3;

for (const database of DATABASES) {
  describe(`an outage on ${database}`, () => {
    async function setUp(test, env) {
      const outage = await OUTAGES[database](test);
      const server = await Server.start({ database, databaseUrl: outage.databaseUrl, env: { RATE_LIMIT_EVENTS: '0', STORE_QUEUE: `${QUEUE}`, ...env } });
      test.after(() => server.remove());
      const [alice, bob, carol] = await people(test, server, ['alice', 'bob', 'carol']);
      const { conversationId } = (await alice.succeed('send_direct_message', { recipientId: bob.user.id, content: 'before' })).message;
      await bob.next('new_message');
      const send = (content, more = {}) => alice.askWithin(4 * LIMIT, 'send_direct_message', { recipientId: bob.user.id, content, ...more });
      return { outage, server, alice, bob, carol, conversationId, send };
    }

    it('a full queue is stored; what did not fit is refused at once and seen by nobody', async (test) => {
      const { outage, server, alice, bob, conversationId, send } = await setUp(test, { STORE_RETRY_FOR: '5m' });
      await outage.begin(server);
      const count = QUEUE + 200;
      const refusedFirst = [];
      const answers = Array.from({ length: count }, (_, index) => send(`during ${index}`).then((answer) => {
        if (!answer.success) refusedFirst.push(answer);
        return answer;
      }));
      // Refusals do not wait for the database.
      await within(LIMIT, 'a refusal', Promise.race(answers));
      assert.ok(refusedFirst.length > 0);
      await outage.end();
      const settled = await Promise.all(answers);
      const [stored, refused] = [settled.filter(({ success }) => success), settled.filter(({ success }) => !success)];
      refused.forEach(({ code }) => assert.equal(code, 'STORAGE_UNAVAILABLE'));
      assert.ok(stored.length >= QUEUE - OWN_NOTES, `${stored.length} stored`);

      await settle(alice, bob);
      const ids = stored.map(({ message }) => message._id);
      assert.deepEqual(bob.told('new_message').map(({ message }) => message._id), ids);
      const kept = await conversationHistory(server, bob.user.token, conversationId);
      assert.deepEqual(kept.slice(1, -1).map(({ _id }) => _id), ids);
    });

    it('one that is too long is answered; reads and readiness answer within five seconds; all goes on afterwards', async (test) => {
      const { outage, server, alice, bob, conversationId, send } = await setUp(test, { STORE_RETRY_FOR: '3s' });
      await outage.begin(server);
      const answer = await send('lost?', { clientMessageId: 'lost' });
      assert.equal(answer.success, false);
      assert.ok(['NOT_STORED', 'STORAGE_UNAVAILABLE'].includes(answer.code), JSON.stringify(answer));
      assert.equal(bob.told('new_message').length, answer.code === 'NOT_STORED' ? 1 : 0);
      assert.equal((await send('not now')).code, 'STORAGE_UNAVAILABLE');

      const asked = Date.now();
      const ready = await server.api('GET', '/readyz');
      if (database === 'postgres') assert.equal(ready.status, 503);
      assert.equal((await server.api('GET', '/healthz')).status, 200);
      const page = await server.api('GET', `/api/conversations/${conversationId}/messages`, { token: alice.user.token });
      if (database === 'postgres') assert.deepEqual([page.status, page.body.code], [503, 'STORAGE_UNAVAILABLE']);
      assert.ok(Date.now() - asked < 12_000, 'each within five seconds');

      await outage.end();
      const again = await within(3 * LIMIT, 'the first success', (async () => {
        for (;;) {
          const retried = await send('lost?', { clientMessageId: 'lost' });
          if (retried.success) return retried;
          assert.equal(retried.code, answer.code, 'whether anybody has seen it does not change');
          await server.api('GET', '/readyz');
        }
      })());
      await settle(alice, bob);
      assert.deepEqual(bob.told('new_message').map(({ message }) => message._id), [again.message._id], 'shown once');
      const kept = await conversationHistory(server, bob.user.token, conversationId);
      assert.deepEqual(kept.slice(1, -1).map(({ _id }) => _id), [again.message._id]);
      assert.equal((await server.api('GET', '/readyz')).status, 200);
    });
  });
}

if (DATABASES.includes('postgres')) {
  it('what Postgres had been given when it was given up is NOT_STORED with DELIVERY=stored, too; a repeat is the same message', async (test) => {
    const outage = await OUTAGES.postgres(test);
    const server = await Server.start({ databaseUrl: outage.databaseUrl, env: { RATE_LIMIT_EVENTS: '0', STORE_RETRY_FOR: '2s', DELIVERY: 'stored' } });
    test.after(() => server.remove());
    const [alice, bob] = await people(test, server, ['alice', 'bob']);
    const send = (content) => alice.askWithin(4 * LIMIT, 'send_direct_message', { recipientId: bob.user.id, content, clientMessageId: content });
    const { message: { conversationId } } = await send('before');
    await bob.next('new_message');
    await outage.begin(server);
    const given = send('given');
    assert.equal((await given).code, 'NOT_STORED');
    assert.equal((await send('not given')).code, 'STORAGE_UNAVAILABLE');
    assert.deepEqual(bob.told('new_message'), []);
    await outage.end();
    const again = await within(3 * LIMIT, 'the first success', (async () => {
      for (;;) {
        const retried = await send('given');
        if (retried.success) return retried;
        await server.api('GET', '/readyz');
      }
    })());
    await settle(alice, bob);
    assert.deepEqual(bob.told('new_message').map(({ message }) => message._id), [again.message._id], 'shown once');
    const kept = (await conversationHistory(server, bob.user.token, conversationId)).map(({ content }) => content);
    assert.deepEqual(kept.filter((content) => content.includes('given')), ['given']);
  });

  it('an edit that Postgres had been given when it was given up, and stores all the same, is told then', async (test) => {
    const server = await Server.start({ database: 'postgres', env: { STORE_RETRY_FOR: '2s' } });
    test.after(() => server.remove());
    const [alice, bob, carl] = await people(test, server, ['alice', 'bob', 'carl']);
    const { message } = await alice.succeed('send_direct_message', { recipientId: bob.user.id, content: 'as sent' });
    const shell = spawn('psql', ['-X', '-q', '-d', server.env.DATABASE_URL], { stdio: ['pipe', 'pipe', 'inherit'] });
    test.after(() => shell.kill('SIGKILL'));
    // Every commit of an edit waits for this lock.
    shell.stdin.write(`
      CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END';
      CREATE CONSTRAINT TRIGGER waits AFTER UPDATE ON messages DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait();
      SELECT pg_advisory_lock(1);
    `);
    await within(LIMIT, 'the lock', once(shell.stdout, 'data'));
    const edited = await server.api('PATCH', `/api/messages/${message._id}`, { token: alice.user.token, body: { content: 'edited' } });
    assert.equal(edited.body.code, 'NOT_STORED');
    assert.deepEqual(bob.told('message_updated'), []);
    shell.stdin.end('SELECT pg_advisory_unlock(1);\n');
    assert.equal((await bob.next('message_updated', undefined, 3 * LIMIT)).message.content, 'edited');
    await settle(carl, bob);
    assert.deepEqual(bob.told('message_updated'), [], 'once');
  });
}
