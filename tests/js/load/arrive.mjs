// Cost of presence when many users connect: evenly over ten seconds with default settings, compared with presence shown
// to contacts only, of which there are none here.
//
//   PARLANCE_BINARY=../../target/release/parlance node load/arrive.mjs [users] [seconds] [rounds]
import { setTimeout as pause } from 'node:timers/promises';

import { cpuSeconds, median } from '../lib/cpu.mjs';
import { Ear } from '../lib/ear.mjs';
import { Server } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';

const [users, seconds, rounds] = [2000, 10, 3].map((preset, index) => Number(process.argv[2 + index] ?? preset));

async function measure(env) {
  const server = await Server.start({ env });
  try {
    // A first one, so that nothing of the start is counted.
    const first = await Ear.connect(server, { token: newUser().token });
    const before = cpuSeconds(server.process.pid);
    const start = performance.now();
    const coming = [];
    for (let index = 0; index < users; index++) {
      await pause(Math.max(0, start + (index * seconds * 1000) / users - performance.now()));
      // One address may have only a thousand sockets.
      coming.push(Ear.connect(server, { token: newUser().token }, { from: `127.0.0.${2 + (index % 20)}` }));
    }
    const ears = [first, ...(await Promise.all(coming))];
    await pause(500);
    const used = cpuSeconds(server.process.pid) - before;
    const told = ears.reduce((sum, ear) => sum + ear.count('user_online', 'user:online'), 0);
    for (const ear of ears) ear.close();
    return { used, told };
  } finally {
    await server.remove();
  }
}

const figures = { everyone: [], contacts: [] };
for (let round = 1; round <= rounds; round++) {
  for (const [scope, env] of [['everyone', {}], ['contacts', { PRESENCE_SCOPE: 'contacts' }]]) {
    const { used, told } = await measure(env);
    figures[scope].push(used);
    console.log(`round ${round}, presence to ${scope}: ${used.toFixed(2)} s of the server's CPU, ${told} presence events`);
  }
}
const [everyone, contacts] = [median(figures.everyone), median(figures.contacts)];
console.log(`medians: ${everyone.toFixed(2)} and ${contacts.toFixed(2)} s; presence is ${((100 * (everyone - contacts)) / everyone).toFixed(0)} % of it (must: at most 20)`);
