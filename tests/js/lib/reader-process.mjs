// The process of a `Reader`.
import { VERSIONS } from './client.mjs';

const { url, auth } = JSON.parse(process.argv[2]);
const socket = VERSIONS['4.8'](url, { auth, transports: ['websocket'], forceNew: true });
const words = [];
const returns = [];
socket.on('new_group_message', ({ message }) => words.push(message.content.split(' ', 1)[0]));
socket.once('connect', () => {
  process.send('ready');
  socket.on('connect', () => returns.push(socket.recovered));
});
process.on('message', () => process.send({ words, returns }));
process.on('disconnect', () => process.exit());
