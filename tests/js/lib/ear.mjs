// A WebSocket client that only counts what it receives: light enough for a thousand of them to measure the server, not
// themselves.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { constants, inflateRawSync } from 'node:zlib';

import { textFrame } from './raw.mjs';
import { LIMIT, within } from './wait.mjs';

/** The end of each deflated message, which is not sent (RFC 7692 §7.2.1). */
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);

/** One admitted socket. */
export class Ear {
  /**
   * Connects with these CONNECT fields (`token`, `dialect`, …); `from` is the local address, under which the server
   * counts the connection. One that `deflates` is sent compressed messages, where the server has that on.
   */
  static async connect(server, auth, { from, deflates = false } = {}) {
    const ear = new Ear();
    const { hostname, port, host, protocol } = new URL(server.url);
    /** Event name → number received. */
    ear.heard = new Map();
    /** Called with each event's packet, if set. */
    ear.onEvent = undefined;
    ear.rest = Buffer.alloc(0);
    const isTls = protocol === 'https:';
    const to = { host: hostname, port: Number(port), ...(from && { localAddress: from }) };
    ear.socket = isTls ? connectTls({ ...to, rejectUnauthorized: false }) : connectTcp(to);
    ear.socket.setNoDelay(true);
    await within(3 * LIMIT, 'the connection', once(ear.socket, isTls ? 'secureConnect' : 'connect'));
    const open = new Promise((resolve, reject) => {
      ear.opened = resolve;
      ear.socket.once('close', () => reject(new Error('closed before it was admitted')));
    });
    ear.socket.on('error', () => {});
    ear.socket.write(
      `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
      + `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n`
      + `${deflates ? 'Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n' : ''}\r\n`,
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
      const payload = this.rest.subarray(body, body + length);
      this.packet((this.rest[at] & 0x40) === 0 ? payload : inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH }));
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
