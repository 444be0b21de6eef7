// A WebSocket by hand, for something that stock clients do not do: stop reading.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';

import { LIMIT, within } from './wait.mjs';

/** A masked frame; `first` is its first byte. */
export function maskedFrame(first, payload) {
  const mask = randomBytes(4);
  const header = Buffer.alloc(payload.length < 126 ? 2 : payload.length < 65_536 ? 4 : 10);
  header[0] = first;
  header[1] = 0x80 | (payload.length < 126 ? payload.length : payload.length < 65_536 ? 126 : 127);
  if (header.length === 4) header.writeUInt16BE(payload.length, 2);
  if (header.length === 10) header.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([header, mask, payload.map((byte, index) => byte ^ mask[index % 4])]);
}

/** A masked text frame. */
export const textFrame = (text) => maskedFrame(0x81, Buffer.from(text));

/** Opens a TCP connection: `.text` is everything read, `.ended` resolves at its end. */
export async function dial(server) {
  const { hostname, port } = new URL(server.url);
  const socket = connectTcp({ host: hostname, port: Number(port) });
  const connection = { socket, text: '' };
  connection.ended = new Promise((resolve) => socket.on('close', resolve));
  // Some tests break the connection.
  socket.on('error', () => {}).on('data', (bytes) => (connection.text += bytes.toString('latin1')));
  await within(LIMIT, 'a connection', once(socket, 'connect'));
  return connection;
}

const HANDSHAKE = (host) => `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
  + `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`;

/** An Engine.IO connection over WebSocket, packet by packet. Pings are answered. */
export class RawClient {
  /** Opens one; with a token it joins the chat. */
  static async open(server, token) {
    const client = new RawClient();
    const { socket, ended } = await dial(server);
    Object.assign(client, { socket, said: [], isOpen: true, code: undefined });
    client.ended = ended.then(() => (client.isOpen = false));
    let head = '';
    let rest = Buffer.alloc(0);
    socket.removeAllListeners('data').on('data', (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      if (!head.endsWith('\r\n\r\n')) {
        const end = rest.indexOf('\r\n\r\n');
        if (end < 0) return;
        head = rest.subarray(0, end + 4).toString('latin1');
        rest = rest.subarray(end + 4);
      }
      rest = client.read(rest);
      socket.emit('said');
    });
    socket.write(HANDSHAKE(new URL(server.url).host));
    await client.hear((text) => text.startsWith('0{'));
    if (token) {
      client.send(`40${JSON.stringify({ token })}`);
      await client.hear((text) => text.startsWith('40'));
    }
    return client;
  }

  read(bytes) {
    for (;;) {
      const short = bytes[1] & 0x7f;
      const begin = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (bytes.length < begin) return bytes;
      const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
      if (bytes.length < begin + length) return bytes;
      const payload = bytes.subarray(begin, begin + length);
      if ((bytes[0] & 0xf) === 8) this.code = length >= 2 ? payload.readUInt16BE(0) : undefined;
      if ((bytes[0] & 0xf) === 1) {
        const text = payload.toString();
        this.said.push(text);
        if (text === '2') this.send('3');
      }
      bytes = bytes.subarray(begin + length);
    }
  }

  /** Sends a packet, or an attachment. */
  send(data) {
    this.socket.write(typeof data === 'string' ? textFrame(data) : maskedFrame(0x82, data));
  }

  /** Waits for a packet that `fits`. */
  hear(fits) {
    return within(LIMIT, () => `${fits} in ${this.said.slice(-20).join(' ')}`, (async () => {
      while (!this.said.some(fits)) await once(this.socket, 'said');
    })());
  }

  /** Waits for its end; returns the code of the close frame, if there was one. */
  async closed() {
    await within(LIMIT, 'the end of the connection', this.ended);
    return this.code;
  }

  close() {
    this.socket.destroy();
  }
}

/** Returns a TCP socket whose client was admitted over WebSocket and reads nothing from then on. */
export async function stuckReader(server, token) {
  const { hostname, port, host } = new URL(server.url);
  const socket = connectTcp({ host: hostname, port: Number(port) });
  await within(LIMIT, 'the TCP connection', once(socket, 'connect'));
  socket.write(HANDSHAKE(host));
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
