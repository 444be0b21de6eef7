// A long absence: 5 000 messages of 20 000 characters for a polling client without a known dialect; and a group that
// returns all at once.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { people } from '../lib/chat.mjs';
import { connect, open } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, pipelined, steadily } from '../lib/wait.mjs';

const COUNT = 5_000;
const TEXT = 'long '.repeat(4_000);

for (const database of DATABASES) {
  describe(`a long absence on ${database}`, () => {
    const holder = useServer({ database, env: { RATE_LIMIT_EVENTS: '0' } });

    it('is caught up whole, in order, over polling', async (test) => {
      const [alice] = await people(test, holder.server, ['alice']);
      const bob = newUser('bob');
      const ids = await pipelined(COUNT, 100, async () => (
        (await alice.succeed('send_direct_message', { recipientId: bob.id, content: TEXT })).message._id
      ));
      const client = open(holder.server, { auth: { token: bob.token }, transport: 'polling' });
      test.after(() => client.close());
      // 100 MB: checked as they come, and not kept.
      const seen = [];
      await steadily(LIMIT, () => `message ${seen.length + 1} of ${COUNT}`, (step) => new Promise((resolve, reject) => {
        client.socket.on('connect_error', reject).on('disconnect', reject);
        client.socket.offAny();
        client.socket.on('new_message', ({ message }) => {
          if (message.content !== TEXT) reject(new Error(`message ${seen.length + 1} is not what was sent`));
          seen.push(message._id);
          step();
          if (seen.length === COUNT) resolve();
        });
      }));
      // Concurrent messages are in the order of their acks.
      assert.equal(new Set(seen).size, COUNT);
      assert.deepEqual([...seen].sort(), [...ids].sort());
      // Our own ids of one sender's messages sort by time of admission.
      assert.deepEqual(seen, [...seen].sort());
      client.socket.onAny((event, ...args) => client.inbox.push({ event, args }));
      await client.succeed('leave_group', 'nothing');
      assert.deepEqual(client.told('new_message'), [], 'and nothing after it');
    });
  });
}

/** Rows of messages that members of a group wrote in turn. */
const said = (conversationId, [one, two, three]) => `
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${3 * GROUP.each})
INSERT INTO messages (id, place, seq, position, sender, created_at, updated_at, role, message_type, content)
SELECT printf('01800000-0000-7000-8000-%012x', i), '${conversationId}', i, i, name, 1700000000000 + i, 1700000000000 + i, 'user', 'text', name || ' ' || number
FROM (SELECT i, CASE i % 3 WHEN 0 THEN '${one}' WHEN 1 THEN '${two}' ELSE '${three}' END AS name, (i - 1) / 3 AS number FROM n);
UPDATE conversations SET last_seq = ${3 * GROUP.each}, last_position = ${3 * GROUP.each} WHERE id = '${conversationId}';
`;

const GROUP = { each: 3_334, live: 300 };

// Other suites cover both databases.
describe('a group that comes back at once', () => {
  // The bound is so low that the messages sent meanwhile exceed it by far.
  const env = { RATE_LIMIT_EVENTS: '0', CATCH_UP_MAX: '20000', OUTBOX_PACKETS: '256', PING_INTERVAL: '100ms', AUTO_PROVISION_USERS: 'true' };
  const holder = useServer({ database: 'sqlite', env });

  it('is told 10 000 messages, writes on, and nobody is cut', async (test) => {
    const { server } = holder;
    const users = ['ann', 'bob', 'cid'].map((name) => newUser(name));
    const [ann, ...others] = users;
    const made = await server.api('POST', '/api/conversations', {
      token: ann.token, body: { type: 'group', name: 'Three', participants: others.map(({ id }) => id) },
    });
    const { id: conversationId } = made.body.conversation;
    await server.end('SIGKILL');
    // Inserts in a moment what takes the three of them a day.
    execFileSync('sqlite3', ['-bail', join(server.folder, 'parlance.db')], { input: said(conversationId, users.map(({ id }) => id)) });
    await server.launch();

    const clients = await Promise.all(users.map((user) => connect(server, user, { dialect: 'conversation' })));
    test.after(() => clients.forEach((client) => client.close()));
    let cut = 0;
    clients.forEach((client) => client.gone.then(() => { cut += 1; }));
    const isNew = ({ event }) => event === 'message:new';
    await Promise.all(clients.map((client) => pipelined(GROUP.live, GROUP.live, async (number) => {
      const answer = await client.ask('message:send', { conversationId, content: `${client.user.id} live ${number}` });
      assert.equal(answer.success, true);
    })));
    for (const client of clients) {
      await client.holds(2 * (GROUP.each + GROUP.live), isNew, 6 * LIMIT);
      const shown = client.told('message:new');
      const expected = others.concat(ann).filter(({ id }) => id !== client.user.id)
        .flatMap(({ id }) => [...Array(GROUP.each).keys()].map((number) => `${id} ${number}`).concat([...Array(GROUP.live).keys()].map((number) => `${id} live ${number}`)));
      assert.deepEqual(shown.map(({ content }) => content).sort(), expected.sort(), 'all, and each once');
      const times = shown.map(({ timestamp }) => timestamp);
      assert.deepEqual(times, [...times].sort(), 'in order');
      const told = client.told('message:delivered');
      assert.ok(told.length <= 2 * (GROUP.live + 2 * 100), `${told.length} receipts`);
    }
    assert.equal(cut, 0);
  });
});
