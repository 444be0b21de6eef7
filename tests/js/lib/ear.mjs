// A WebSocket client that only counts what it receives: light enough for a thousand of them to measure the server, not
// themselves.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';

import { textFrame } from './raw.mjs';
import { LIMIT, within } from './wait.mjs';

/** One admitted socket. */
export class Ear {
  /**
   * Connects with these CONNECT fields (`token`, `dialect`, …); `from` is the local address, under which the server
   * counts the connection.
   */
  static async connect(server, auth, { from } = {}) {
    const ear = new Ear();
    const { hostname, port, host } = new URL(server.url);
    /** Event name → number received. */
    ear.heard = new Map();
    /** Called with each event's packet, if set. */
    ear.onEvent = undefined;
    ear.rest = Buffer.alloc(0);
    ear.socket = connectTcp({ host: hostname, port: Number(port), ...(from && { localAddress: from }) });
    ear.socket.setNoDelay(true);
    await within(3 * LIMIT, 'the TCP connection', once(ear.socket, 'connect'));
    const open = new Promise((resolve, reject) => {
      ear.opened = resolve;
      ear.socket.once('close', () => reject(new Error('closed before it was admitted')));
    });
    ear.socket.on('error', () => {});
    ear.socket.write(
      `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
      + `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
    );
    ear.auth = auth;
    ear.socket.on('data', (bytes) => ear.take(bytes));
    await within(3 * LIMIT, 'admission', open);
    return ear;
  }

  take(bytes) {
    this.rest = this.rest.length === 0 ? bytes : Buffer.concat([this.rest, bytes]);
    if (!this.upgraded) {
      const end = this.rest.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.rest = this.rest.subarray(end + 4);
      this.upgraded = true;
    }
    let at = 0;
    while (this.rest.length - at >= 2) {
      let length = this.rest[at + 1];
      let body = at + 2;
      if (length === 126) {
        if (this.rest.length - at < 4) break;
        length = this.rest.readUInt16BE(at + 2);
        body = at + 4;
      } else if (length === 127) {
        if (this.rest.length - at < 10) break;
        length = Number(this.rest.readBigUInt64BE(at + 2));
        body = at + 10;
      }
      if (this.rest.length < body + length) break;
      this.packet(this.rest.subarray(body, body + length));
      at = body + length;
    }
    this.rest = this.rest.subarray(at);
  }

  packet(packet) {
    const [engine, kind] = packet;
    // 0 open, 2 ping, 4 message: 0 CONNECT, 2 EVENT
    if (engine === 0x30) this.socket.write(textFrame(`40${JSON.stringify(this.auth)}`));
    else if (engine === 0x32) this.socket.write(textFrame('3'));
    else if (kind === 0x30) this.opened();
    else if (kind === 0x32) {
      const name = packet.toString('latin1', 4, packet.indexOf(0x22, 4));
      this.heard.set(name, (this.heard.get(name) ?? 0) + 1);
      this.onEvent?.(name, packet);
    }
  }

  /** Returns the number of these events received. */
  count(...names) {
    return names.reduce((sum, name) => sum + (this.heard.get(name) ?? 0), 0);
  }

  close() {
    this.socket.destroy();
  }
}
