// Stock clients, each behind a line of its own that breaks again and again, in a process of their own, forked by
// `jitter.mjs`. Told `{group, until}`, the lines begin to break; told `{say}`, one of the clients says that text and
// repeats it, with the same `clientMessageId`, until it is answered; told `{tell: order}`, it compares what each client
// saw with that order, and reports. Times are ms since 1970.
import { setTimeout as pause } from 'node:timers/promises';

import { Way } from '../../checker/proxy.mjs';
import { Random } from '../../checker/random.mjs';
import { VERSIONS } from '../lib/client.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, pipelined, within } from '../lib/wait.mjs';

const [url, count, seed, kinds] = [process.argv[2], Number(process.argv[3]), process.argv[4], process.argv[5].split(',')];
const port = Number(new URL(url).port);
/** Ways to cut a line: both ends are reset, or only the client's, so that the server does not notice. */
const CUTS = { reset: (way) => way.reset(), unnoticed: (way) => way.forget('client') };
/** Range of the times for which a line is whole, and the time for which it is not, ms. */
const WHOLE = [10_000, 20_000];
const AWAY = 2_000;
/** A port on which nobody listens. */
const NOWHERE = 1;

/** A client, what it was shown and when, and the times of its connects. */
class Page {
  static async open(index) {
    const page = new Page();
    page.seen = [];
    page.connects = [];
    page.answered = new Set();
    page.recovered = 0;
    page.user = newUser('member');
    page.random = new Random(`${seed} line ${index}`);
    page.way = await Way.open(() => (page.way.isAway ? NOWHERE : port));
    page.socket = VERSIONS['4.8'](page.way.url, { auth: { token: page.user.token }, transports: ['websocket'], forceNew: true });
    page.socket.on('new_group_message', ({ message }) => page.seen.push([message.content, Date.now()]));
    await within(3 * LIMIT, 'a page to be admitted', new Promise((resolve) => page.socket.once('connect', resolve)));
    page.socket.on('connect', () => {
      page.connects.push(Date.now());
      page.recovered += page.socket.recovered;
    });
    return page;
  }

  /** Cuts the line again and again; returns how often. */
  async break(until) {
    const left = () => Math.max(0, until - Date.now());
    await pause(Math.min(left(), this.random.between(0, WHOLE[1])));
    let cuts = 0;
    for (; left() > 0; cuts++) {
      this.way.isAway = true;
      CUTS[this.random.pick(kinds)](this.way);
      await pause(AWAY);
      this.way.isAway = false;
      await pause(Math.min(left(), this.random.between(...WHOLE)));
    }
    return cuts;
  }

  /** Repeats a message until it is answered. */
  async say(conversationId, content) {
    for (;;) {
      const answer = await this.socket.timeout(LIMIT).emitWithAck('send_group_message', { conversationId, content, clientMessageId: content }).catch(() => undefined);
      if (answer?.success) return this.answered.add(content);
      if (answer) await pause(answer.retryAfterMs ?? 200);
    }
  }

  /** Number of messages that it has. */
  get count() {
    return new Set([...this.seen.map(([text]) => text), ...this.answered]).size;
  }

  /** Compares what was seen with this order; `acked` has the time of each text's first answer. */
  judge(order, acked) {
    const places = new Map(order.map((text, place) => [text, place]));
    const at = new Map();
    let [twice, late, last] = [0, 0, -1];
    for (const [text, time] of this.seen) {
      if (at.has(text)) twice += 1;
      else if (places.get(text) < last) late += 1;
      else last = places.get(text) ?? last;
      if (!at.has(text)) at.set(text, time);
    }
    // What a client said itself it may know by the answer alone.
    const lost = acked.filter(([text]) => !at.has(text) && !this.answered.has(text)).length;
    // Of each return, the last of those that were there before it and seen after it, unless the line broke again first.
    const waits = this.connects.map((connect, turn) => {
      const next = this.connects[turn + 1] ?? Infinity;
      const missed = acked.filter(([text, time]) => time < connect && at.get(text) >= connect && at.get(text) < next);
      return missed.length > 0 ? Math.max(...missed.map(([text]) => at.get(text))) - connect : undefined;
    });
    return { lost, twice, late, recovered: this.recovered, returns: this.connects.length, waits: waits.filter((wait) => wait !== undefined) };
  }
}

const pages = await pipelined(count, 50, (index) => Page.open(index));
let group;
let cuts = 0;

process.on('message', async ({ begin, say, seen, tell }) => {
  if (begin) {
    group = begin.group;
    cuts = (await Promise.all(pages.map((page) => page.break(begin.until)))).reduce((sum, of) => sum + of, 0);
    process.send({ calm: true });
  } else if (say !== undefined) {
    await pages[Number(say) % pages.length].say(group, say);
    process.send({ acked: [say, Date.now()] });
  } else if (seen) {
    process.send({ least: Math.min(...pages.map((page) => page.count)) });
  } else {
    process.send({ told: { cuts, verdicts: pages.map((page) => page.judge(tell.order, tell.acked)) } });
  }
});
process.on('disconnect', () => process.exit());
process.send({ users: pages.map(({ user }) => user.id) });
