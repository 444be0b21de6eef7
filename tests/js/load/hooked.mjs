// What a hook costs: the time to an ack without and with one on loopback, and how many hooked sends a second are acked.
//   node hooked.mjs [SECONDS] [CLIENTS]
// The stand-in for the operator's server is in this process, beside the clients.
import { createServer } from 'node:http';

import { SECRET } from '../lib/backend.mjs';
import { people } from '../lib/chat.mjs';
import { Server } from '../lib/server.mjs';

const [seconds = 10, count = 64] = process.argv.slice(2).map(Number);

const backend = createServer((request, response) => {
  request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/json', 'content-length': 2 }).end('{}'));
});
await new Promise((resolve) => backend.listen(0, '127.0.0.1', resolve));
const hook = { HOOK_URL: `http://127.0.0.1:${backend.address().port}`, HOOK_SECRET: SECRET };

/** Runs until the time is over. */
async function during(milliseconds, step) {
  const end = performance.now() + milliseconds;
  while (performance.now() < end) await step();
}

const closers = [];
for (const [name, env] of [['without a hook', {}], ['with a hook', hook]]) {
  const server = await Server.start({ env: { RATE_LIMIT_EVENTS: '0', ...env } });
  const clients = await people({ after: (close) => closers.push(close) }, server, Array.from({ length: count }, (_, index) => `u${index}`));
  const send = (client) => client.ask('send_direct_message', { recipientId: client.user.id, content: 'hello' });
  const times = [];
  await during(1_000, () => send(clients[0]));
  await during(seconds * 1_000, async () => {
    const begun = performance.now();
    await send(clients[0]);
    times.push(performance.now() - begun);
  });
  times.sort((one, other) => one - other);
  const at = (share) => times[Math.floor(times.length * share)].toFixed(2);
  let acked = 0;
  await Promise.all(clients.map((client) => during(seconds * 1_000, async () => {
    await send(client);
    acked += 1;
  })));
  console.log(`${name}: one at a time p50 ${at(0.5)} ms, p99 ${at(0.99)} ms; ${count} clients ${Math.round(acked / seconds)} a second`);
  await server.remove();
}
closers.forEach((close) => close());
backend.close();
process.exit();
