// Compressed messages over WebSocket, for stock clients and a hostile one.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { describe, it } from 'node:test';
import { deflateRawSync } from 'node:zlib';

import { people } from '../lib/chat.mjs';
import { closeAfter, connect } from '../lib/client.mjs';
import { maskedFrame } from '../lib/raw.mjs';
import { useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const LONG = 'It is always the same. '.repeat(2_000);
const wire = (client) => client.socket.io.engine.transport.ws;

/** Sends the head of a WebSocket handshake; returns the socket, the answer's head and the bytes after it. */
async function shakeHands(server, extensions) {
  const { hostname, port, host } = new URL(server.url);
  const socket = connectTcp({ host: hostname, port: Number(port) });
  socket.write(
    `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
    + `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n`
    + extensions.map((offer) => `Sec-WebSocket-Extensions: ${offer}\r\n`).join('') + '\r\n',
  );
  const [first] = await within(LIMIT, 'the 101', once(socket, 'data'));
  const [head] = first.toString('latin1').split('\r\n\r\n');
  return { socket, head };
}

describe('messages are compressed', () => {
  const holder = useServer({ env: { PERMESSAGE_DEFLATE: 'true', MAX_PACKET_SIZE: '100000' } });

  for (const transport of ['websocket', 'upgrading']) {
    it(`both ways, ${transport}`, async (test) => {
      const [ann, bob] = await people(test, holder.server, ['ann', 'bob'], { transport });
      for (const client of [ann, bob]) {
        await client.upgraded();
        assert.match(wire(client).extensions, /permessage-deflate/);
      }
      const [sent, got] = [wire(ann)._socket.bytesWritten, wire(bob)._socket.bytesRead];
      for (const content of [LONG, 'short', LONG]) {
        await ann.succeed('send_direct_message', { recipientId: bob.user.id, content });
        assert.ok((await bob.next('new_message')).message.content === content);
      }
      assert.ok(wire(ann)._socket.bytesWritten - sent < LONG.length / 5);
      assert.ok(wire(bob)._socket.bytesRead - got < LONG.length / 5);
    });
  }

  it('what cannot be made shorter arrives whole, whoever reads it', async (test) => {
    const readers = await people(test, holder.server, ['ann', 'bob', 'carl']);
    const plain = await connect(holder.server, newUser('dora'), { perMessageDeflate: false });
    closeAfter(test, plain);
    const [ann, bob] = readers;
    const noise = () => Array.from({ length: 1_333 }, () => String.fromCodePoint(0x4e00 + Math.floor(Math.random() * 20_000))).join('');
    for (let round = 0; round < 24; round += 1) {
      const content = round % 3 === 2 ? LONG : noise();
      await ann.succeed('send_direct_message', { recipientId: bob.user.id, content });
      assert.ok((await bob.next('new_message')).message.content === content, `${round}`);
    }
    for (const client of [...readers, plain]) assert.ok(client.socket.connected);
  });

  it('who does not offer it is served as ever', async (test) => {
    const [ann] = await people(test, holder.server, ['ann']);
    const bob = await connect(holder.server, newUser('bob'), { perMessageDeflate: false });
    closeAfter(test, bob);
    assert.equal(wire(bob).extensions, '');
    await ann.succeed('send_direct_message', { recipientId: bob.user.id, content: LONG });
    assert.ok((await bob.next('new_message')).message.content === LONG);
  });

  it('negotiates: the first acceptable offer, without context takeover', async (test) => {
    for (const [offers, answer] of [
      [['permessage-deflate; client_max_window_bits'], 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'],
      [['nonsense', 'permessage-deflate; server_max_window_bits=10'], 'permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10'],
      [['permessage-deflate; server_max_window_bits=99'], undefined],
      [[], undefined],
    ]) {
      const { socket, head } = await shakeHands(holder.server, offers);
      test.after(() => socket.destroy());
      assert.match(head, /^HTTP\/1\.1 101 /);
      assert.equal(/^Sec-WebSocket-Extensions: (.*)$/m.exec(head)?.[1].trim(), answer);
    }
  });

  const bomb = deflateRawSync(`42["x","${'y'.repeat(50_000_000)}"]`);
  for (const [what, payload, extensions, code] of [
    ['a bomb', bomb, ['permessage-deflate'], 1009],
    ['no deflate', Buffer.alloc(100, 0xff), ['permessage-deflate'], 1007],
    ['compressed without an agreement', deflateRawSync('40'), [], 1002],
  ]) {
    it(`${what} is closed with ${code}, and hurts nobody`, async (test) => {
      const [ann, bob] = await people(test, holder.server, ['ann', 'bob']);
      const { socket } = await shakeHands(holder.server, extensions);
      test.after(() => socket.destroy());
      const received = [];
      socket.on('data', (bytes) => received.push(bytes));
      socket.write(maskedFrame(0xc1, payload));
      await within(LIMIT, 'the end', once(socket, 'end'));
      const close = Buffer.concat(received).subarray(-4);
      assert.deepEqual([close[0], close[1], close.readUInt16BE(2)], [0x88, 2, code]);
      await ann.succeed('send_direct_message', { recipientId: bob.user.id, content: 'still here' });
      assert.equal((await bob.next('new_message')).message.content, 'still here');
    });
  }
});

describe('messages are not compressed', () => {
  const holder = useServer();

  it('unless PERMESSAGE_DEFLATE says so', async (test) => {
    const [ann] = await people(test, holder.server, ['ann']);
    assert.equal(wire(ann).extensions, '');
  });
});
