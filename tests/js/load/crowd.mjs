// Stock clients in a process of their own, forked by `avalanche.mjs`. On `cut`, they lose their connections all at
// once; on `tell`, it reports how many are connected, how long each took to reconnect, in ms, and how many were
// recovered.
import { setPriority } from 'node:os';

import { VERSIONS } from '../lib/client.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, pipelined, within } from '../lib/wait.mjs';

const [url, count] = [process.argv[2], Number(process.argv[3])];
// On machines of their own they would not compete with the server for processors.
setPriority(10);

let cutAt;
const times = new Map();
let recovered = 0;
let drops = 0;

const clients = await pipelined(count, 50, async () => {
  const user = newUser('crowd');
  const socket = VERSIONS['4.8'](url, { auth: { token: user.token }, transports: ['websocket'], forceNew: true });
  await within(3 * LIMIT, 'a client to be admitted', new Promise((resolve) => socket.once('connect', resolve)));
  socket.on('connect', () => {
    times.set(socket, Date.now() - cutAt);
    recovered += socket.recovered;
    if (times.size === count) process.send('back');
  });
  socket.on('disconnect', () => drops++);
  return { user, socket };
});
// A client that has received nothing has no offset, and Node's server would not recover it.
await pipelined(count, 50, async (index) => {
  const [{ socket }, { user, socket: other }] = [clients[index], clients[(index + 1) % count]];
  const heard = new Promise((resolve) => other.once('new_message', resolve));
  socket.emit('send_direct_message', { recipientId: user.id, content: 'x' }, () => {});
  await within(LIMIT, 'a first message', heard);
});

process.on('message', (word) => {
  if (word === 'cut') {
    cutAt = Date.now();
    // Like a proxy that dies: both ends get a reset, and nobody closes properly.
    for (const { socket } of clients) socket.io.engine.transport.ws._socket.resetAndDestroy();
  } else {
    process.send({ connected: clients.filter(({ socket }) => socket.connected).length, times: [...times.values()], recovered, drops });
  }
});
process.on('disconnect', () => process.exit());
process.send('ready');
