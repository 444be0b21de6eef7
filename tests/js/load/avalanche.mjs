// All connections drop at once: how soon is everyone back, by the stock client's own back-off, and how much does it
// disturb others who go on talking?
//
//   PARLANCE_BINARY=../../target/release/parlance node load/avalanche.mjs [clients] [pairs that talk] [messages a second of each]
//       [--beside node]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { percentile } from '../lib/cpu.mjs';
import { LIMIT, within } from '../lib/wait.mjs';
import { asked, startSide } from './sides.mjs';

const { numbers: [clients, pairs, rate], sides } = asked([10_000, 40, 5]);
/** Number of clients in one process. */
const CROWD = 2500;
const QUIET_SECONDS = 5;
/** Seconds after the cut during which the others are measured, and the last may reconnect. */
const WATCHED_SECONDS = 35;
const PATIENCE_SECONDS = 120;
/** Latency in ms below which everything is normal. */
const CALM = 100;
/** Largest share of Node's time from the cut to the CONNECT's answer, at the 95th percentile. */
const MUST = 0.8;

function forked(file, ...args) {
  return fork(fileURLToPath(new URL(file, import.meta.url)), args.map(String));
}

async function answer(child, limit = LIMIT) {
  const died = once(child, 'exit').then(() => Promise.reject(new Error('a process of clients ended')));
  died.catch(() => {});
  return (await within(limit, 'a process of clients', Promise.race([once(child, 'message'), died])))[0];
}

async function measure(side) {
  // Here all come from one address.
  const server = await startSide(side, { MAX_SOCKETS_PER_ADDRESS: '0' });
  const children = [];
  try {
    const crowds = [];
    for (let left = clients; left > 0; left -= CROWD) crowds.push(forked('crowd.mjs', server.url, Math.min(left, CROWD)));
    children.push(...crowds);
    await Promise.all(crowds.map((crowd) => answer(crowd, 10 * LIMIT)));
    const talkers = forked('pairs.mjs', server.url, pairs, rate);
    children.push(talkers);
    await answer(talkers);
    await pause((QUIET_SECONDS + 3) * 1000);

    const cutAt = Date.now();
    const back = Promise.allSettled(crowds.map((crowd) => answer(crowd, PATIENCE_SECONDS * 1000)));
    for (const crowd of crowds) crowd.send('cut');
    await Promise.all([back, pause(WATCHED_SECONDS * 1000)]);

    const told = await Promise.all([...crowds, talkers].map((child) => {
      child.send('tell');
      return answer(child);
    }));
    const messages = told.pop();
    const sum = (figure) => told.reduce((total, crowd) => total + figure(crowd), 0);
    const times = told.flatMap((crowd) => crowd.times);
    console.log(`${side}: ${times.length} of ${clients} came back, half of them after ${(percentile(times, 0.5) / 1000).toFixed(1)} s, 95 % after `
      + `${(percentile(times, 0.95) / 1000).toFixed(2)} s, the last after ${(percentile(times, 1) / 1000).toFixed(1)} s (must: all, in 20 s); ${sum(({ recovered }) => recovered)} recovered, ${sum(({ drops }) => drops) - clients} further drops, `
      + `${sum(({ connected }) => connected)} are there now`);

    const bySecond = Array.from({ length: QUIET_SECONDS + WATCHED_SECONDS }, () => []);
    for (const [sent, took] of messages) bySecond[Math.floor((sent - cutAt) / 1000) + QUIET_SECONDS]?.push(took);
    const tails = bySecond.map((took) => (took.length > 0 ? percentile(took, 0.99) : 0));
    const shown = (from, to) => tails.slice(from, to).join(' ');
    const calmFrom = tails.findLastIndex((tail) => tail >= CALM) + 1 - QUIET_SECONDS;
    console.log(`${side}: others' p99 by second, ms: ${shown(0, QUIET_SECONDS)} | cut | ${shown(QUIET_SECONDS)}; `
      + `below ${CALM} ms from second ${Math.max(0, calmFrom)} on (must: 30)`);
    return percentile(times, 0.95);
  } finally {
    for (const child of children) child.kill();
    await server.remove();
  }
}

const tails = [];
for (const side of sides) tails.push(await measure(side));
if (tails.length > 1) console.log(`ours / node, 95th percentile from the cut to the CONNECT's answer: ${(tails[0] / tails[1]).toFixed(2)} × (must: ${MUST})`);
