// Pairs of talking stock clients in a process of their own, forked by `avalanche.mjs`. On `tell`, it reports all
// messages so far: the time of each (ms since 1970), and how long it took to arrive, in ms; one that has not arrived
// counts until now.
import { setTimeout as pause } from 'node:timers/promises';

import { VERSIONS } from '../lib/client.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const [url, pairs, rate] = [process.argv[2], ...process.argv.slice(3).map(Number)];
/** `[sent, took]`. */
const messages = [];

async function open() {
  const user = newUser('talker');
  const socket = VERSIONS['4.8'](url, { auth: { token: user.token }, transports: ['websocket'], forceNew: true });
  await within(LIMIT, 'a talker to be admitted', new Promise((resolve) => socket.once('connect', resolve)));
  return { socket, user };
}

async function talk(one, other) {
  other.socket.on('new_message', ({ message }) => {
    const entry = messages[Number(message.content)];
    entry[1] = Date.now() - entry[0];
  });
  // It does not wait for answers, so a slow server gets no fewer requests.
  for (let due = performance.now() + (Math.random() * 1000) / rate; ; due += 1000 / rate) {
    await pause(Math.max(0, due - performance.now()));
    const place = messages.push([Date.now(), undefined]) - 1;
    one.socket.emit('send_direct_message', { recipientId: other.user.id, content: String(place) }, () => {});
  }
}

const talkers = await Promise.all(Array.from({ length: pairs }, async () => [await open(), await open()]));
for (const [one, other] of talkers) talk(one, other);
process.on('message', () => {
  const now = Date.now();
  process.send(messages.map(([sent, took]) => [sent, took ?? now - sent]));
});
process.on('disconnect', () => process.exit());
process.send('ready');
