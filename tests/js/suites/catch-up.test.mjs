// A long absence: 5 000 messages of 20 000 characters for a client that polls and has not said what it speaks.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { people } from '../lib/chat.mjs';
import { open } from '../lib/client.mjs';
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
      // 100 MB: they are looked at as they come, and not kept.
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
      // Messages that were under way together are in the order of their acks.
      assert.equal(new Set(seen).size, COUNT);
      assert.deepEqual([...seen].sort(), [...ids].sort());
      // The ids of one sender's messages without a name of their own sort by the time of their admission.
      assert.deepEqual(seen, [...seen].sort());
      client.socket.onAny((event, ...args) => client.inbox.push({ event, args }));
      await client.succeed('leave_group', 'nothing');
      assert.deepEqual(client.told('new_message'), [], 'and nothing after it');
    });
  });
}
