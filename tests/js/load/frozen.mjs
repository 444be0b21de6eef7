// A frozen reader (SIGSTOP) harms only itself: measures the effect on others in its group, the server's memory, and
// whether it gets exactly what it missed when it continues (SIGCONT). Some members write, the others listen. More than
// `CATCH_UP_MAX` messages in that time are not all caught up.
//
//   PARLANCE_BINARY=../../target/release/parlance node load/frozen.mjs [seconds] [members] [messages a second] [letters of each]
//       [--beside node]
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

import { makeGroup } from '../lib/chat.mjs';
import { percentile } from '../lib/cpu.mjs';
import { Ear } from '../lib/ear.mjs';
import { textFrame } from '../lib/raw.mjs';
import { Reader } from '../lib/reader.mjs';
import { newUser } from '../lib/token.mjs';
import { asked, startSide } from './sides.mjs';

const { numbers: [seconds, members, rate, letters], sides } = asked([60, 50, 75, 200]);
const WRITERS = 10;
const WARM_UP_SECONDS = 10;
/** Seconds for which the writers continue when the reader is back: missed messages meet new ones. */
const AFTER_SECONDS = 5;
/** Default of `OUTBOX_BYTES`, KB. */
const OUTBOX_KB = 1024;

/** Resident memory of a process, KB. */
const residentKb = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1]);

/** The members who write and listen. */
class Talk {
  constructor(ears, group) {
    this.ears = ears;
    this.group = group;
    this.sentAt = [];
    this.times = [];
    this.order = [];
    ears.forEach((ear, index) => {
      ear.onEvent = (name, packet) => name === 'new_group_message' && this.heard(packet, index);
    });
  }

  heard(packet, index) {
    const at = packet.indexOf('"content":"') + 11;
    const place = parseInt(packet.toString('latin1', at, at + 12), 10);
    if (index >= WRITERS) this.times.push(performance.now() - this.sentAt[place]);
    if (index === 0) this.order.push(String(place));
  }

  say() {
    const place = this.sentAt.length;
    const content = `${place} ${'x'.repeat(letters)}`;
    this.sentAt.push(performance.now());
    this.ears[place % WRITERS].socket.write(textFrame(`42${JSON.stringify(['send_group_message', { conversationId: this.group, content }])}`));
  }

  /** Talks for some time; returns the duration of each delivery in ms, and the server's maximum memory meanwhile. */
  async go(forSeconds, pid) {
    this.times = [];
    let most = 0;
    const start = performance.now();
    for (let turn = 0; turn < forSeconds * rate; turn++) {
      await pause(Math.max(0, start + (turn * 1000) / rate - performance.now()));
      this.say();
      if (turn % rate === 0) most = Math.max(most, residentKb(pid));
    }
    await pause(500);
    return { times: this.times, most };
  }
}

async function measure(side) {
  const server = await startSide(side);
  const { pid } = server.process;
  const ears = [];
  let reader;
  try {
    const users = Array.from({ length: members - 1 }, () => newUser('member'));
    for (const { token } of users) ears.push(await Ear.connect(server, { token, dialect: 'messenger' }));
    reader = await Reader.start(server, newUser('reader'), { dialect: 'messenger' });
    const group = await makeGroup(server, { user: users[0] }, [...users.slice(1).map((user) => ({ user })), reader]);
    const talk = new Talk(ears, group);
    const phase = async (forSeconds) => {
      const before = residentKb(pid);
      const { times, most } = await talk.go(forSeconds, pid);
      return { p99: percentile(times, 0.99), p50: percentile(times, 0.5), rise: most - before, before, count: times.length };
    };
    await phase(WARM_UP_SECONDS);
    const quiet = await phase(seconds);
    reader.freeze();
    const frozen = await phase(seconds);
    reader.thaw();
    await talk.go(AFTER_SECONDS, pid);
    const { words, returns } = await reader.toldUpTo(talk.order.at(-1)).catch(() => reader.told());

    for (const [name, { p50, p99, rise, before, count }] of Object.entries({ quiet, frozen })) {
      console.log(`${side}, ${name}: others' deliveries (${count}) p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)} ms; memory ${before} KB, at most ${rise} KB more`);
    }
    console.log(`${side}: p99 moved by ${(100 * (frozen.p99 / quiet.p99 - 1)).toFixed(0)} % (must: less than 20), memory by `
      + `${frozen.rise - quiet.rise} KB (must: less than ${OUTBOX_KB})`);
    const expected = talk.order;
    const seen = new Set(words);
    const place = new Map(expected.map((word, index) => [word, index]));
    const late = words.filter((word, index) => place.get(word) < place.get(words[index - 1])).length;
    console.log(`${side}: the reader returned ${returns.length} times (recovered: ${returns.join(', ') || 'none'}); of ${expected.length} messages `
      + `${expected.filter((word) => !seen.has(word)).length} lost, ${words.length - seen.size} seen twice, ${late} out of order (must: 0, 0, 0)`);
  } finally {
    reader?.close();
    for (const ear of ears) ear.close();
    await server.remove();
  }
}

for (const side of sides) await measure(side);
