// A group whose connections break again and again: is every message seen by everyone, once and in order? Stock pages,
// each behind a proxy of its own that goes away for 0.5 to 5 seconds at a time. A cut resets either both ends (`reset`)
// or only the page's, so that the server does not notice (`unnoticed`). A page repeats a request, with the same
// `clientMessageId`, until it is answered. One member's connection is never cut: it defines the order.
//
//   PARLANCE_BINARY=../../target/release/parlance node load/jitter.mjs [users] [seconds] [messages a second of each]
//       [--cuts reset,unnoticed] [--seed text] [--beside node]
import { setTimeout as pause } from 'node:timers/promises';

import { Way } from '../../checker/proxy.mjs';
import { Random } from '../../checker/random.mjs';
import { makeGroup } from '../lib/chat.mjs';
import { VERSIONS } from '../lib/client.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';
import { asked, startSide } from './sides.mjs';

const { numbers: [users, seconds, rate], values, sides } = asked([20, 60, 2], {
  cuts: { type: 'string', default: 'reset,unnoticed' },
  seed: { type: 'string', default: String(Date.now()) },
});
const CUTS = { reset: (way) => way.reset(), unnoticed: (way) => way.forget('client') };
const kinds = values.cuts.split(',');
if (!kinds.every((kind) => kind in CUTS)) throw new Error(`--cuts takes ${Object.keys(CUTS)}`);

/** Ranges of the times for which a connection is up, then down, ms. */
const WHOLE = [1_000, 8_000];
const AWAY = [500, 5_000];
/** A port on which nobody listens. */
const NOWHERE = 1;
/**
 * Time limit for the end, and time without a message after which no more will come: longer than the stock back-off, ms.
 */
const END_LIMIT = 60_000;
const SILENCE = 12_000;

/** A stock page and the texts that it was shown, in order. */
class Page {
  constructor(url, user) {
    this.user = user;
    this.seen = [];
    this.recovered = 0;
    this.anew = 0;
    // A connection of its own; everything else as the client has it by default.
    this.socket = VERSIONS['4.8'](url, { auth: { token: user.token }, transports: ['websocket'], forceNew: true });
    this.socket.on('new_group_message', ({ message }) => {
      this.seen.push(message.content);
      this.heardAt = performance.now();
    });
    this.admitted = new Promise((resolve) => this.socket.once('connect', resolve));
    this.admitted.then(() => this.socket.on('connect', () => (this.socket.recovered ? this.recovered++ : this.anew++)));
  }

  static async open(url, user) {
    const page = new Page(url, user);
    await within(LIMIT, 'a page to be admitted', page.admitted);
    return page;
  }

  /** Repeats a message until it is answered; returns whether it was. */
  async say(conversationId, content, isOver) {
    while (!isOver()) {
      const answer = await this.socket.timeout(LIMIT).emitWithAck('send_group_message', { conversationId, content, clientMessageId: content }).catch(() => undefined);
      if (answer?.success) return true;
      if (answer) {
        this.refused = answer.code;
        await pause(answer.retryAfterMs ?? 200);
      }
    }
    return false;
  }
}

/** Describes how a page's texts differ from those of the reference, in order. */
function judge(seen, order) {
  const places = new Map(order.map((text, place) => [text, place]));
  const once = new Set();
  let [twice, late, last] = [0, 0, -1];
  for (const text of seen) {
    if (once.has(text)) twice += 1;
    else if (places.get(text) < last) late += 1;
    else last = places.get(text) ?? last;
    once.add(text);
  }
  return { once, twice, late };
}

async function measure(side) {
  const server = await startSide(side);
  const port = Number(new URL(server.url).port);
  const ways = [];
  const pages = [];
  try {
    const witness = await Page.open(server.url, newUser('witness'));
    pages.push(witness);
    for (let index = 0; index < users; index++) {
      const way = await Way.open(() => (way.isAway ? NOWHERE : port));
      ways.push(way);
      pages.push(await Page.open(way.url, newUser('member')));
    }
    const members = pages.slice(1);
    const group = await makeGroup(server, witness, members);

    const until = performance.now() + seconds * 1000;
    const left = () => until - performance.now();
    let cuts = 0;
    const breaking = ways.map(async (way, index) => {
      const random = new Random(`${values.seed} line ${index}`);
      for (;;) {
        await pause(Math.min(random.between(...WHOLE), Math.max(0, left())));
        if (left() <= 0) return;
        way.isAway = true;
        CUTS[random.pick(kinds)](way);
        cuts += 1;
        await pause(random.between(...AWAY));
        way.isAway = false;
      }
    });
    const acked = [];
    let sent = 0;
    const isOver = () => left() < -END_LIMIT;
    const talking = members.map(async (page, index) => {
      const random = new Random(`${values.seed} page ${index}`);
      const answers = [];
      for (let turn = 1; left() > 0; turn++) {
        const content = `${index}.${turn}`;
        sent += 1;
        answers.push(page.say(group, content, isOver).then((isAcked) => isAcked && acked.push(content)));
        await pause((random.number() * 2000) / rate);
      }
      await Promise.all(answers);
    });
    await Promise.all([...breaking, ...talking]);

    const isComplete = () => pages.every(({ seen }) => seen.length >= acked.length);
    const isSilent = () => pages.every(({ heardAt = 0 }) => performance.now() - heardAt > SILENCE);
    while (!isComplete() && !isSilent() && !isOver()) await pause(100);
    // Surplus events may come last.
    await pause(1000);

    const sum = (figure) => members.reduce((total, page) => total + figure(page), 0);
    const verdicts = new Map(pages.map((page) => [page, judge(page.seen, witness.seen)]));
    const lost = (page) => acked.filter((text) => !verdicts.get(page).once.has(text));
    const pairs = acked.length * members.length;
    const missing = sum((page) => lost(page).length);
    console.log(`${side}: ${acked.length} of ${sent} messages acked, ${cuts} cuts (${kinds.join(', ')}), ${sum(({ recovered }) => recovered)} returns recovered, ${sum(({ anew }) => anew)} not`);
    console.log(`${side}: ${((100 * (pairs - missing)) / pairs).toFixed(3)} % of ${pairs} (message, member) pairs seen, ${missing} lost, `
      + `${sum((page) => verdicts.get(page).twice)} seen twice, ${sum((page) => verdicts.get(page).late)} out of order (goal: 100 %, 0, 0, 0)`);
    if (lost(witness).length + verdicts.get(witness).twice > 0) console.log(`${side}: even the whole line lost ${lost(witness).length} and saw ${verdicts.get(witness).twice} twice`);
    const refusals = new Set(pages.map(({ refused }) => refused).filter(Boolean));
    if (refusals.size > 0) console.log(`${side}: asked again after ${[...refusals]}`);
    for (const [index, page] of members.entries()) {
      const { twice, late } = verdicts.get(page);
      if (side === 'ours' && lost(page).length + twice + late > 0) console.log(`ours, page ${index}: lost ${lost(page).slice(0, 10)}, ${twice} twice, ${late} out of order`);
    }
  } finally {
    for (const { socket } of pages) socket.disconnect();
    for (const way of ways) way.close();
    await server.remove();
  }
}

console.log(`seed ${values.seed}`);
for (const side of sides) await measure(side);
