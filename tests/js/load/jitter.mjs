// A group whose lines break again and again, and whose server is killed in the middle: is every message seen by
// everyone, once and in order, and how soon after a return is the last missed one there? Stock clients with their own
// back-off, each behind a proxy that goes away for two seconds about every fifteen (`lines.mjs`). The messages are said
// by members whose lines break, too. One more member's line is never cut: what it sees defines the order.
//
//   PARLANCE_BINARY=../../target/release/parlance node load/jitter.mjs [members] [seconds] [messages a second]
//       [--cuts reset,unnoticed] [--kill no] [--seed text] [--beside node]
//
// Node's server is not killed: it keeps groups and missed messages in memory.
import { fork } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { VERSIONS } from '../lib/client.mjs';
import { percentile } from '../lib/cpu.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';
import { asked, startSide } from './sides.mjs';

const { numbers: [members, seconds, rate], values, sides } = asked([2_000, 60, 2], {
  cuts: { type: 'string', default: 'reset,unnoticed' },
  kill: { type: 'string', default: 'yes' },
  seed: { type: 'string', default: String(Date.now()) },
});
if (!values.cuts.split(',').every((kind) => ['reset', 'unnoticed'].includes(kind))) throw new Error('--cuts takes reset,unnoticed');
/** Number of clients in one process. */
const CROWD = 1_000;
/** Time after the last message by which everybody has to have everything: longer than the stock back-off, ms. */
const END_LIMIT = 60_000;
/** Time from a return to the last missed message, ms. */
const MUST = 2_000;

/** A forked `lines.mjs`: `.next(key)` waits for its next message with that key. */
class Lines {
  constructor(url, count, index) {
    this.waiting = new Map();
    this.child = fork(fileURLToPath(new URL('lines.mjs', import.meta.url)), [url, count, `${values.seed} ${index}`, values.cuts].map(String));
    this.child.on('message', (message) => {
      for (const [key, value] of Object.entries(message)) this.waiting.get(key)?.shift()?.(value);
    });
    this.died = new Promise((_, reject) => this.child.once('exit', () => reject(new Error('a process of clients ended'))));
    this.died.catch(() => {});
  }

  next(key, limit = LIMIT) {
    const found = new Promise((resolve) => this.waiting.set(key, [...this.waiting.get(key) ?? [], resolve]));
    return within(limit, `a process of clients: ${key}`, Promise.race([found, this.died]));
  }

  ask(message, key, limit) {
    this.child.send(message);
    return this.next(key, limit);
  }
}

/** Returns a member whose line is whole, and the texts that it is shown. */
async function openWitness(url) {
  const user = newUser('witness');
  const order = [];
  const socket = VERSIONS['4.8'](url, { auth: { token: user.token }, transports: ['websocket'], forceNew: true });
  socket.on('new_group_message', ({ message }) => order.push(message.content));
  await within(LIMIT, 'the witness to be admitted', new Promise((resolve) => socket.once('connect', resolve)));
  return { user, socket, order };
}

/** Makes a group and returns its id. Node's server has no more of our API than this. */
async function makeGroup(server, admin, participants) {
  const answer = await fetch(`${server.url}/api/conversations`, {
    method: 'POST',
    headers: { authorization: `Bearer ${admin.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ type: 'group', name: 'Friends', participants }),
  });
  const body = await answer.text();
  if (answer.status !== 201) throw new Error(`no group: ${answer.status} ${body}`);
  return JSON.parse(body).conversation.id;
}

async function measure(side) {
  // Here all come from one address.
  const server = await startSide(side, { MAX_SOCKETS_PER_ADDRESS: '0', MAX_GROUP_MEMBERS: '0' });
  const crowds = [];
  let witness;
  try {
    witness = await openWitness(server.url);
    for (let left = members; left > 0; left -= CROWD) crowds.push(new Lines(server.url, Math.min(left, CROWD), crowds.length));
    const users = (await Promise.all(crowds.map((crowd) => crowd.next('users', 10 * LIMIT)))).flat();
    const group = await makeGroup(server, witness.user, users);

    const until = Date.now() + seconds * 1000;
    const calm = Promise.all(crowds.map((crowd) => crowd.ask({ begin: { group, until } }, 'calm', seconds * 1000 + LIMIT)));
    calm.catch(() => {});
    const killing = side === 'ours' && values.kill === 'yes' && (async () => {
      await pause(seconds * 500);
      // The clients know this address.
      server.env.PORT = new URL(server.url).port;
      const killedAt = Date.now();
      await server.end('SIGKILL');
      await server.launch();
      return Date.now() - killedAt;
    })();
    const talking = [];
    for (let number = 0; number < seconds * rate; number++) {
      talking.push(crowds[number % crowds.length].ask({ say: String(number) }, 'acked', seconds * 1000 + END_LIMIT));
      await pause(1000 / rate);
    }
    const [acked] = await Promise.all([Promise.all(talking), calm]);
    const wasDown = await killing;

    const isComplete = async () => (await Promise.all(crowds.map((crowd) => crowd.ask({ seen: true }, 'least')))).every((least) => least >= acked.length);
    for (const end = Date.now() + END_LIMIT; !await isComplete() && Date.now() < end;) await pause(500);
    // Surplus events may come last.
    await pause(1000);

    const told = await Promise.all(crowds.map((crowd) => crowd.ask({ tell: { order: witness.order, acked } }, 'told', 3 * LIMIT)));
    const verdicts = told.flatMap((crowd) => crowd.verdicts);
    const sum = (figure) => verdicts.reduce((total, verdict) => total + verdict[figure], 0);
    const waits = verdicts.flatMap((verdict) => verdict.waits);
    const pairs = acked.length * members;
    console.log(`${side}: ${acked.length} messages, ${told.reduce((total, { cuts }) => total + cuts, 0)} cuts (${values.cuts}), `
      + `${wasDown ? `killed and there again after ${wasDown} ms, ` : ''}${sum('returns')} returns, ${sum('recovered')} of them recovered`);
    console.log(`${side}: ${(100 * (1 - sum('lost') / pairs)).toFixed(3)} % of ${pairs} (message, member) pairs seen, ${sum('lost')} lost, `
      + `${sum('twice')} seen twice, ${sum('late')} out of order (must: 100 %, 0, 0, 0); the whole line saw ${witness.order.length}`);
    console.log(`${side}: from CONNECT's answer to the last missed message, ${waits.length} returns that missed some: p50 ${percentile(waits, 0.5)} ms, `
      + `p99 ${percentile(waits, 0.99)} ms (must: ${MUST}), all within ${percentile(waits, 1)} ms`);
  } finally {
    witness?.socket.disconnect();
    for (const { child } of crowds) child.kill();
    await server.remove();
  }
}

console.log(`seed ${values.seed}`);
for (const side of sides) await measure(side);
