// Cost of a second dialect: one group, messages posted over HTTP, all members in one dialect, compared with half in
// each of two.
//
//   PARLANCE_BINARY=../../target/release/parlance node load/group.mjs [members] [messages a second] [seconds] [rounds]
import { setTimeout as pause } from 'node:timers/promises';

import { cpuSeconds, median } from '../lib/cpu.mjs';
import { Ear } from '../lib/ear.mjs';
import { Server } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { pipelined } from '../lib/wait.mjs';

const [members, rate, seconds, rounds] = [1000, 20, 10, 5].map((preset, index) => Number(process.argv[2 + index] ?? preset));
const MIXES = { messenger: ['messenger'], 'messenger and conversation': ['messenger', 'conversation'] };

async function measure(dialects) {
  const server = await Server.start({ env: { MAX_SOCKETS_PER_ADDRESS: '0', PRESENCE_SCOPE: 'contacts' } });
  try {
    const users = Array.from({ length: members }, () => newUser());
    const ears = await pipelined(members, 20, (index) => Ear.connect(server, { token: users[index].token, dialect: dialects[index % dialects.length] }));
    const participants = users.slice(1).map(({ id }) => id);
    const { status, body } = await server.api('POST', '/api/conversations', { token: users[0].token, body: { type: 'group', name: 'All', participants } });
    if (status !== 201) throw new Error(JSON.stringify(body));
    const path = `/api/conversations/${body.conversation.id}/messages`;
    const delivered = () => ears.reduce((sum, ear) => sum + ear.count('new_group_message', 'message:new'), 0);
    const post = async (count) => {
      const answers = [];
      const start = performance.now();
      for (let index = 0; index < count; index++) {
        await pause(Math.max(0, start + (index * 1000) / rate - performance.now()));
        answers.push(server.api('POST', path, { token: users[0].token, body: { content: `message ${index}: ${'x'.repeat(60)}` } }));
      }
      for (const { status } of await Promise.all(answers)) if (status !== 201) throw new Error(`a message was answered ${status}`);
    };
    const arrived = async (count) => {
      const until = performance.now() + 20_000;
      while (delivered() < count) {
        if (performance.now() > until) throw new Error(`${delivered()} of ${count} arrived`);
        await pause(20);
      }
    };
    const warmUp = 2 * rate;
    await post(warmUp);
    await arrived(warmUp * members);
    const before = cpuSeconds(server.process.pid);
    await post(rate * seconds);
    await arrived((warmUp + rate * seconds) * members);
    const used = cpuSeconds(server.process.pid) - before;
    for (const ear of ears) ear.close();
    return (used / (rate * seconds * members)) * 1e6;
  } finally {
    await server.remove();
  }
}

const figures = Object.fromEntries(Object.keys(MIXES).map((name) => [name, []]));
for (let round = 1; round <= rounds; round++) {
  for (const [name, dialects] of Object.entries(MIXES)) {
    const micros = await measure(dialects);
    figures[name].push(micros);
    console.log(`round ${round}, ${name}: ${micros.toFixed(2)} µs of the server's CPU per delivery`);
  }
}
const [one, two] = Object.values(figures).map(median);
console.log(`medians: ${one.toFixed(2)} and ${two.toFixed(2)} µs; ratio ${(two / one).toFixed(3)} (must: at most 1.15)`);
