// Unfinished requests of every kind, by strangers, by one user and by many, while others talk: measures memory, the
// others' acks, the log.
//
//   PARLANCE_BINARY=../../target/release/parlance node load/soak.mjs [minutes] [of each kind] [pairs that talk]
//
// Attackers use other loopback addresses than the talkers, as if from other networks.
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { percentile } from '../lib/cpu.mjs';
import { maskedFrame, textFrame } from '../lib/raw.mjs';
import { Server } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { talkersOf } from './forked-talkers.mjs';

const [minutes, each, pairs] = [10, 100, 20].map((preset, index) => Number(process.argv[2 + index] ?? preset));
const QUIET_SECONDS = 20;
/** Kinds that are complete, but too many. */
const FLOODS = ['coming and going', 'pongs', 'searches'];

const server = await Server.start({ env: { RUST_LOG: 'info', RATE_LIMIT_LOGINS: '10' } });
server.logFile = join(server.folder, 'soak.log');
const { hostname, port } = new URL(server.url);
const resident = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.process.pid}/status`, 'utf8'))[1]);

/**
 * Keeps one request unfinished: when its connection ends, it starts again a little later. `begin` writes, and may
 * continue every second.
 */
class Half {
  constructor(address, begin) {
    Object.assign(this, { address, begin, ends: 0 });
    this.open();
  }

  open() {
    if (Half.isOver) return;
    const socket = connect({ host: hostname, port: Number(port), localAddress: this.address });
    Half.sockets.add(socket);
    const goOn = this.begin(socket);
    const timer = goOn && setInterval(() => goOn(), 1_000);
    socket.on('error', () => {}).on('close', () => {
      clearInterval(timer);
      Half.sockets.delete(socket);
      Half.ends += 1;
      setTimeout(() => this.open(), 200 + Math.random() * 800);
    });
  }
}
Half.sockets = new Set();
Half.ends = 0;

const head = (text, ...more) => [`${text} HTTP/1.1`, `Host: ${hostname}`, ...more].join('\r\n');
const upgrade = () => `${head('GET /socket.io/?EIO=4&transport=websocket', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`)}\r\n\r\n`;
/** A frame of which only a part is sent. */
const part = (size, sent) => maskedFrame(0x81, Buffer.alloc(size, 'x')).subarray(0, sent);
/** Writes a handshake, and the result of `then` once that is answered. */
const websocket = (token, then) => (socket) => {
  socket.write(upgrade());
  socket.once('data', () => {
    if (token) socket.write(textFrame(`40${JSON.stringify({ token: token() })}`));
    socket.on('data', () => {});
    setTimeout(() => then(socket), 200);
  });
  return () => {};
};
const slowly = (socket, bytes) => () => socket.write(bytes);

const strangers = {
  'silence': (socket) => { socket.resume(); },
  'a head without end': (socket) => { socket.resume(); socket.write(head('GET /')); return slowly(socket, 'x'); },
  'a body without end': (socket) => {
    socket.resume();
    socket.write(`${head('POST /api/auth/register', 'Content-Type: application/json', 'Content-Length: 900000')}\r\n\r\n{"username":"`);
    return slowly(socket, 'x'.repeat(2_000));
  },
  'chunks without end': (socket) => {
    socket.resume();
    socket.write(`${head('POST /api/auth/login', 'Content-Type: application/json', 'Transfer-Encoding: chunked')}\r\n\r\n`);
    return slowly(socket, '5\r\nxxxxx\r\n');
  },
  'an answer that is not read': (socket) => { socket.pause(); socket.write(`${head('GET /api/openapi.json')}\r\n\r\n`.repeat(20)); },
  'no CONNECT': websocket(undefined, () => {}),
  'a frame without end': websocket(undefined, (socket) => socket.write(part(900_000, 60_000))),
  'fragments without end': websocket(undefined, (socket) => socket.write(Buffer.concat(Array.from({ length: 1_000 }, (_, at) => maskedFrame(at ? 0x00 : 0x01, Buffer.from('x')))))),
  'rubbish': (socket) => { socket.resume(); socket.write('GET / HTTP/9.9\r\n\r\n'); },
  'a login': (socket) => {
    socket.resume();
    const body = JSON.stringify({ login: `nobody-${Math.random()}`, password: 'wrong horse' });
    socket.write(`${head('POST /api/auth/login', 'Content-Type: application/json', `Content-Length: ${body.length}`)}\r\n\r\n${body}`);
  },
};
const users = (token) => Object.entries({
  'a frame without end': websocket(token, (socket) => socket.write(part(900_000, 800_000))),
  'attachments without end': websocket(token, (socket) => {
    socket.write(textFrame('4510-["send_direct_message",{"_placeholder":true,"num":0}]'));
    for (let number = 0; number < 9; number += 1) socket.write(maskedFrame(0x82, Buffer.alloc(100_000)));
  }),
  'nothing is read': (socket) => { const goOn = websocket(token, () => socket.pause())(socket); return goOn; },
  'coming and going': websocket(token, (socket) => {
    const both = Buffer.concat([textFrame('41'), textFrame(`40${JSON.stringify({ token: token() })}`)]);
    const timer = setInterval(() => socket.write(both), 20);
    socket.on('close', () => clearInterval(timer));
  }),
  'pongs': websocket(token, (socket) => {
    const timer = setInterval(() => socket.write(Buffer.concat(Array.from({ length: 20 }, () => textFrame('3')))), 50);
    socket.on('close', () => clearInterval(timer));
  }),
  'searches': (socket) => {
    socket.resume();
    return slowly(socket, `${head('GET /api/users?query=a', `Authorization: Bearer ${token()}`)}\r\n\r\n`.repeat(20));
  },
  'a body without end': (socket) => {
    socket.resume();
    socket.write(`${head('POST /api/messages', `Authorization: Bearer ${token()}`, 'Content-Type: application/json', 'Content-Length: 900000')}\r\n\r\n`);
    return slowly(socket, Buffer.alloc(20_000, 32));
  },
});

try {
  const talkers = await talkersOf(server, pairs, 150);
  setPriority(19);
  await pause(2_000);
  const quiet = await talkers.timesOf(() => pause(QUIET_SECONDS * 1_000));
  const before = resident();
  const logBefore = statSync(server.logFile, { throwIfNoEntry: false })?.size ?? 0;

  const one = newUser('one');
  const many = Array.from({ length: each }, () => newUser('many'));
  let turn = 0;
  const count = (what) => (FLOODS.includes(what) ? Math.ceil(each / 20) : each);
  for (const begin of Object.values(strangers)) for (let number = 0; number < each; number += 1) new Half('127.0.0.2', begin);
  for (const [what, begin] of users(() => one.token)) for (let number = 0; number < Math.min(count(what), 50); number += 1) new Half('127.0.0.3', begin);
  for (const [what, begin] of users(() => many[turn++ % many.length].token)) for (let number = 0; number < count(what); number += 1) new Half(`127.0.1.${number % 250}`, begin);

  let most = 0;
  const marks = [];
  const times = await talkers.timesOf(async () => {
    const end = performance.now() + minutes * 60_000;
    while (performance.now() < end) {
      await pause(5_000);
      const now = resident();
      most = Math.max(most, now);
      marks.push(now);
    }
  });
  Half.isOver = true;
  const logged = statSync(server.logFile).size - logBefore;
  const [calm, busy] = [percentile(quiet, 0.99), percentile(times, 0.99)];
  console.log(`${Half.sockets.size} half-finished things open at the end, ${Half.ends} ended by the server or done, in ${minutes} minutes`);
  console.log(`memory: ${before} KB before, ${most} KB at most, ${marks.at(-1)} KB at the end; every minute: ${marks.filter((_, at) => at % 12 === 11).join(' ')}`);
  console.log(`others' acks: p99 ${calm.toFixed(1)} ms before, ${busy.toFixed(1)} ms meanwhile (${(busy / calm).toFixed(2)} times; ${times.length} acks)`);
  console.log(`the log: ${(logged / 1e6 / minutes).toFixed(2)} MB a minute`);
  for (const socket of Half.sockets) socket.destroy();
  talkers.end();
} finally {
  await server.remove();
}
process.exit(0);
