// A busy group, in which several members talk as fast as they hear themselves, with something unusual in it: what does
// a delivery cost, and do all get all, once and in order?
//
//   PARLANCE_BINARY=../../target/release/parlance node load/busy.mjs [members] [seconds] [letters of each message]
//       [--only plain,frozen,polling,tls,deflate]
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { Authority } from '../lib/certificate.mjs';
import { VERSIONS } from '../lib/client.mjs';
import { cpuSeconds, percentile } from '../lib/cpu.mjs';
import { Ear } from '../lib/ear.mjs';
import { stuckReader, textFrame } from '../lib/raw.mjs';
import { Server } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, pipelined, within } from '../lib/wait.mjs';

const TALKERS = 8;
const DRAIN_SECONDS = 20;
const ROOM = 'busy';
/** What stands before a message's text. */
const TEXT = '"message":"';
const JOIN = `42${JSON.stringify(['joinRoom', ROOM])}`;

/** What is unusual: settings, options of all members, and one more member, which `join` opens and returns. */
const ROOMS = {
  plain: {},
  // It reads nothing, until the server gives it up.
  frozen: {
    join: async (server, user) => {
      const socket = await stuckReader(server, user.token);
      socket.write(textFrame(JOIN));
      return socket;
    },
  },
  // It asks for what waits twice a second.
  polling: {
    join: (server, user) => new Promise((resolve) => {
      const socket = VERSIONS['4.8'](server.url, { auth: { token: user.token }, transports: ['polling'], forceNew: true, reconnection: false });
      const { engine } = socket.io;
      socket.once('connect', () => {
        const poll = engine.transport._poll.bind(engine.transport);
        engine.transport._poll = () => setTimeout(poll, 500);
        socket.emit('joinRoom', ROOM);
        resolve({ destroy: () => socket.disconnect() });
      });
    }),
  },
  tls: { isTls: true },
  deflate: { env: { PERMESSAGE_DEFLATE: 'true' }, options: { deflates: true } },
};

const { positionals, values } = parseArgs({ allowPositionals: true, options: { only: { type: 'string', default: Object.keys(ROOMS).join() } } });
const [members, seconds, letters] = [200, 10, 64].map((preset, index) => Number(positionals[index] ?? preset));

async function measure(name) {
  const { env, options, isTls, join } = ROOMS[name];
  const authority = isTls ? new Authority() : undefined;
  const server = await Server.start({
    env: { MAX_SOCKETS_PER_ADDRESS: '0', RATE_LIMIT_EVENTS: '0', RATE_LIMIT_RECEIPTS: '0', PRESENCE_SCOPE: 'contacts', ...authority?.env, ...env },
  });
  let more;
  const ears = [];
  try {
    const users = Array.from({ length: members }, () => newUser());
    ears.push(...await pipelined(members, 20, (index) => Ear.connect(server, { token: users[index].token, dialect: 'listing' }, options)));
    const other = newUser();
    more = await join?.(server, other);
    const sent = [];
    const times = [];
    /** Of each member, the number of the last message of each talker. */
    const last = ears.map(() => new Array(TALKERS).fill(-1));
    let [heard, disordered] = [0, 0];
    let isOver = false;
    const say = (talker) => {
      const content = `${talker}.${sent[talker] = (sent[talker] ?? -1) + 1}.${performance.now().toFixed(3)}.`;
      ears[talker].socket.write(textFrame(`42${JSON.stringify(['sendRoomMessage', { roomId: ROOM, content: content.padEnd(letters, 'x'), messageType: 'text' }])}`));
    };
    const joined = ears.map((ear, index) => new Promise((resolve) => {
      ear.onEvent = (event, packet) => {
        if (event === 'joinedRoom') resolve();
        if (event !== 'roomMessage') return;
        const at = packet.indexOf(TEXT) + TEXT.length;
        const [talker, number, whole, part] = packet.toString('latin1', at, at + 40).split('.');
        heard += 1;
        if (Number(number) !== last[index][talker] + 1) disordered += 1;
        last[index][talker] = Number(number);
        times.push(performance.now() - Number(`${whole}.${part}`));
        if (index === Number(talker) && !isOver) say(index);
      };
    }));
    for (const ear of ears) ear.socket.write(textFrame(JOIN));
    await within(LIMIT, 'all to be in the room', Promise.all(joined));
    const before = cpuSeconds(server.process.pid);
    for (let talker = 0; talker < TALKERS; talker++) say(talker);
    await pause(seconds * 1000);
    const [used, delivered] = [cpuSeconds(server.process.pid) - before, heard];
    isOver = true;
    const owed = () => sent.reduce((sum, number) => sum + number + 1, 0) * members;
    for (const end = performance.now() + DRAIN_SECONDS * 1000; heard < owed() && performance.now() < end;) await pause(50);
    console.log(`${name}: ${(used / delivered * 1e6).toFixed(2)} µs of the server's CPU per delivery, ${Math.round(delivered / seconds)} deliveries/s, `
      + `p50 ${percentile(times, 0.5).toFixed(1)} ms, p99 ${percentile(times, 0.99).toFixed(1)} ms; ${owed() - heard} lost, ${disordered} out of order or twice (must: 0, 0)`);
  } finally {
    for (const ear of ears) ear.close();
    more?.destroy();
    await server.remove();
    authority?.remove();
  }
}

for (const name of values.only.split(',')) await measure(name);
