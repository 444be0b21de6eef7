// Idle connections by hand, many in a process of their own, forked by `hold.mjs`: a stock client takes ten times the
// memory. Each joins the chat, answers pings and forgets all else. Reports `ready` once all are in, and then each that
// is lost.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';

import { textFrame } from '../lib/raw.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, pipelined, within } from '../lib/wait.mjs';

const [url, localAddress, count] = [new URL(process.argv[2]), process.argv[3], Number(process.argv[4])];
const PING = Buffer.from([0x81, 1, 0x32]);
const PONG = textFrame('3');
const ADMITTED = '40{';

async function hold() {
  const at = { host: url.hostname, port: Number(url.port), localAddress };
  const socket = url.protocol === 'https:' ? connectTls({ ...at, rejectUnauthorized: false }) : connect(at);
  socket.on('error', () => {}).on('close', () => process.send('lost'));
  await within(3 * LIMIT, 'a connection', once(socket, url.protocol === 'https:' ? 'secureConnect' : 'connect'));
  socket.write(`GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: ${url.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
    + `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`);
  let heard = '';
  await within(3 * LIMIT, () => `a client to be admitted; heard ${heard}`, new Promise((resolve) => {
    let hasAsked = false;
    socket.on('data', function look(bytes) {
      heard += bytes.toString('latin1');
      if (!hasAsked && heard.includes('0{"sid"')) {
        hasAsked = true;
        socket.write(textFrame(`40${JSON.stringify({ token: newUser('holder').token })}`));
      }
      if (!heard.includes(ADMITTED)) return;
      socket.off('data', look).on('data', (more) => more.includes(PING) && socket.write(PONG));
      resolve();
    });
  }));
}

await pipelined(count, 100, hold);
process.on('disconnect', () => process.exit());
process.send('ready');
