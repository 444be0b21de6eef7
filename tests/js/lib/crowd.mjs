// Pairs of stock clients that talk without pause and reconnect by themselves; records what they received, acked and had
// refused.
import assert from 'node:assert/strict';

import { TRANSPORTS, VERSIONS } from './client.mjs';
import { newUser } from './token.mjs';
import { LIMIT, within } from './wait.mjs';

/** Ordinary front ends: all transports, and requests repeated until they are answered. */
const WAYS = Object.values(TRANSPORTS);

/** One client. */
class Talker {
  constructor(crowd, url, index, options) {
    this.crowd = crowd;
    this.user = newUser('talker');
    this.sent = 0;
    /** Ids of acked messages. */
    this.acked = new Set();
    /** Number of times that each message came, by id. */
    this.heard = new Map();
    this.refusals = [];
    this.connects = 0;
    this.recoveries = 0;
    this.longestAbsenceMs = 0;
    this.socket = VERSIONS['4.8'](url, {
      transports: WAYS[index % WAYS.length],
      forceNew: true,
      auth: { token: this.user.token },
      reconnectionDelay: 100,
      reconnectionDelayMax: 500,
      retries: 100,
      ackTimeout: 5_000,
      ...options,
    });
    this.socket.on('connect', () => {
      this.connects++;
      if (this.socket.recovered) this.recoveries++;
      if (this.goneAt) this.longestAbsenceMs = Math.max(this.longestAbsenceMs, Date.now() - this.goneAt);
      this.goneAt = undefined;
      crowd.look();
    });
    this.socket.on('disconnect', () => {
      this.goneAt ??= Date.now();
    });
    this.socket.on('connect_error', (error) => this.refusals.push(`${error.message} ${error.description?.message ?? error.description ?? ''}`));
    this.socket.on('new_message', ({ message }) => {
      this.heard.set(message._id, (this.heard.get(message._id) ?? 0) + 1);
      crowd.look();
    });
  }

  /** Sends one message after the other. */
  async talk(partner, pauseMs) {
    while (!this.crowd.isQuiet) {
      const content = `${this.user.id} ${++this.sent}`;
      const answer = await this.socket.emitWithAck('send_direct_message', { recipientId: partner.user.id, content, clientMessageId: content });
      assert.equal(answer.success, true, JSON.stringify(answer));
      this.acked.add(answer.message._id);
      this.crowd.look();
      if (pauseMs) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

/** A crowd of `count` clients. */
export class Crowd {
  static async start(url, count, { pauseMs = 0, ...options } = {}) {
    const crowd = new Crowd();
    crowd.isQuiet = false;
    crowd.waiting = [];
    crowd.talkers = Array.from({ length: count }, (_, index) => new Talker(crowd, url, index, options));
    await crowd.until('all to connect', () => crowd.talkers.every(({ socket }) => socket.connected));
    crowd.talking = crowd.talkers.map((talker, index) => talker.talk(crowd.talkers[index ^ 1], pauseMs));
    return crowd;
  }

  get acked() {
    return this.talkers.reduce((sum, { acked }) => sum + acked.size, 0);
  }

  /** Waits until this number of further messages is acked. */
  more(count) {
    const enough = this.acked + count;
    return this.until(`${count} more acks`, () => this.acked >= enough);
  }

  /** Waits until each client has connected this number of times. */
  connected(times) {
    return this.until(`connect ${times}`, () => this.talkers.every(({ connects, socket }) => connects >= times && socket.connected));
  }

  /**
   * Lets everybody finish; asserts that nothing was refused, that every acked message came, and that none came twice.
   */
  async assertWhole() {
    this.isQuiet = true;
    await within(3 * LIMIT, 'the last acks', Promise.all(this.talking));
    const partners = this.talkers.map((talker, index) => [talker, this.talkers[index ^ 1]]);
    const lacking = () => partners.reduce((sum, [talker, { acked }]) => sum + [...acked].filter((id) => !talker.heard.has(id)).length, 0);
    await this.until(() => `${lacking()} acked messages to arrive`, () => lacking() === 0);
    assert.deepEqual(this.talkers.flatMap(({ refusals }) => refusals), [], 'connect_error');
    for (const { heard } of this.talkers) {
      for (const [id, times] of heard) assert.equal(times, 1, `${id} was heard ${times} times`);
    }
  }

  /** Figures for a report. */
  figures() {
    const sum = (of) => this.talkers.reduce((total, talker) => total + of(talker), 0);
    return {
      clients: this.talkers.length,
      acked: this.acked,
      connects: sum(({ connects }) => connects),
      recoveries: sum(({ recoveries }) => recoveries),
      refusals: sum(({ refusals }) => refusals.length),
      longestAbsenceMs: Math.max(...this.talkers.map(({ longestAbsenceMs }) => longestAbsenceMs)),
    };
  }

  until(what, isSo) {
    return within(3 * LIMIT, what, new Promise((resolve) => {
      const look = () => isSo() && (resolve(), true);
      if (!look()) this.waiting.push(look);
    }));
  }

  look() {
    this.waiting = this.waiting.filter((look) => !look());
  }

  close() {
    for (const { socket } of this.talkers) socket.disconnect();
  }
}
