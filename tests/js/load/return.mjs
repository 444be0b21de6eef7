// Many users with missed messages reconnect at once while others talk.
//
//   PARLANCE_BINARY=../../target/release/parlance node load/return.mjs [users] [missed each] [pairs that talk]
import { setPriority } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';

import { Ear } from '../lib/ear.mjs';
import { percentile } from '../lib/cpu.mjs';
import { Server } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { pipelined } from '../lib/wait.mjs';
import { talkersOf } from './forked-talkers.mjs';

const [users, missed, pairs] = [1000, 200, 20].map((preset, index) => Number(process.argv[2 + index] ?? preset));
const GROUP = 100;
const QUIET_SECONDS = 10;

const server = await Server.start({ env: { MAX_SOCKETS_PER_ADDRESS: '0', RATE_LIMIT_EVENTS: '0', PRESENCE_SCOPE: 'contacts', API_KEYS: 'load-key' } });
try {
  const sleepers = Array.from({ length: users }, () => newUser());
  const writer = newUser('writer');
  // They miss messages in their groups.
  for (let at = 0; at < users; at += GROUP) {
    const participants = sleepers.slice(at, at + GROUP).map(({ id }) => id);
    const { body } = await server.api('POST', '/api/conversations', { token: writer.token, body: { type: 'group', name: `Group ${at}`, participants } });
    await pipelined(missed, 20, (index) => server.api('POST', `/api/conversations/${body.conversation.id}/messages`, { token: writer.token, body: { content: `missed ${index}` } }));
  }

  const talkers = await talkersOf(server, pairs);
  // On a machine of their own, the returning clients would not compete with server and talkers for processors.
  setPriority(19);
  await pause(2000);
  const quiet = await talkers.timesOf(() => pause(QUIET_SECONDS * 1000));

  const reads = async () => (await server.api('GET', '/api/admin/stats', { headers: { 'x-api-key': 'load-key' } })).body.stats.store.reads;
  const before = await reads();
  let ears;
  let took;
  const times = await talkers.timesOf(async () => {
    const start = performance.now();
    ears = await Promise.all(sleepers.map((user) => Ear.connect(server, { token: user.token, dialect: 'messenger' })));
    while (ears.some((ear) => ear.count('new_group_message') < missed)) {
      if (performance.now() - start > 60_000) throw new Error('not all was caught up within a minute');
      await pause(20);
    }
    took = performance.now() - start;
  });
  const [calm, busy] = [percentile(quiet, 0.99), percentile(times, 0.99)];
  const doubled = ears.filter((ear) => ear.count('new_group_message') !== missed).length;
  console.log(`${users} users had their ${missed} missed messages after ${took.toFixed(0)} ms; ${doubled} of them too many`);
  console.log(`reads of the store: ${((await reads()) - before) / users} per user`);
  console.log(`others' p99 of the ack: ${calm.toFixed(2)} ms before, ${busy.toFixed(2)} ms meanwhile (${(busy / calm).toFixed(2)} ×; must: at most 1.5)`);
  for (const ear of ears) ear.close();
  talkers.end();
} finally {
  await server.remove();
}
