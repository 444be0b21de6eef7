// A WebSocket by hand, for what a stock client does not do: stop reading.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';

import { LIMIT, within } from './wait.mjs';

/** A masked frame; `first` is its first byte. */
export function maskedFrame(first, payload) {
  const mask = randomBytes(4);
  const length = payload.length < 126 ? [0x80 | payload.length] : [0xfe, payload.length >> 8, payload.length & 0xff];
  return Buffer.concat([Buffer.from([first, ...length]), mask, payload.map((byte, index) => byte ^ mask[index % 4])]);
}

/** A masked text frame. */
export const textFrame = (text) => maskedFrame(0x81, Buffer.from(text));

/** A TCP socket whose client has been admitted over WebSocket and reads nothing from then on. */
export async function stuckReader(server, token) {
  const { hostname, port, host } = new URL(server.url);
  const socket = connectTcp({ host: hostname, port: Number(port) });
  await within(LIMIT, 'the TCP connection', once(socket, 'connect'));
  socket.write(
    `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
    + `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
  );
  let received = '';
  const until = (text) => within(LIMIT, () => `${text} in ${received}`, new Promise((resolve, reject) => {
    const look = (bytes) => {
      received += bytes.toString('latin1');
      if (!received.includes(text)) return;
      socket.off('data', look);
      resolve();
    };
    socket.on('data', look).once('close', () => reject(new Error('closed')));
  }));
  await until('"sid"');
  received = '';
  socket.write(textFrame(`40${JSON.stringify({ token })}`));
  await until('40{"sid"');
  socket.pause();
  return socket;
}
