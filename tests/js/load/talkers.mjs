// Talking pairs in a process of their own, so that they wait for the server and not for the measuring script. Forked by
// `forked-talkers.mjs` with the pause of each after an ack, in ms; on `start` and `stop`, it reports the times of the
// acks in between, in ms.
import { setTimeout as pause } from 'node:timers/promises';

import { connect } from '../lib/client.mjs';
import { newUser } from '../lib/token.mjs';

const [url, pairs, rest] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const clients = await Promise.all(Array.from({ length: 2 * pairs }, () => connect({ url }, newUser('talker'))));
let times;

async function talk(one, other) {
  for (;;) {
    const sent = performance.now();
    await one.succeed('send_direct_message', { recipientId: other.user.id, content: 'x' });
    times?.push(performance.now() - sent);
    await pause(rest);
  }
}

for (let index = 0; index < pairs; index++) talk(clients[2 * index], clients[2 * index + 1]);
process.on('message', (word) => {
  if (word === 'start') times = [];
  else process.send(times);
});
process.on('disconnect', () => process.exit());
process.send('ready');
