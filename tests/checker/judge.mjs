// Judges a finished run. Pure: histories go in, a verdict comes out (judge.test.mjs has a broken history for every
// rule).
//
// A *page* is one life of a front end: from loading until it is killed or the run ends, over any number of connections.
// A message is identified by its *name*: its text and its `clientMessageId`, made by the page that wrote it, and never
// used again.
import { ChangesSeen, addChange, judgeChanges, mayBeDeleted, wasMoved } from './changes.mjs';
import { HOOK_CODES, HookAnswers, judgeHooked } from './hooks.mjs';
import { judgeBursts } from './leftovers.mjs';
import { judgeTold } from './webhooks.mjs';

/** Meaning of each rule. */
export const RULES = {
  lost: 'P1: what was acked is stored',
  altered: 'P1: it is stored as it was sent, where it was sent',
  'stored twice': 'P4: a message is stored once, however often it was sent',
  'two answers': 'P4: a repeat gets the first answer again',
  ghost: 'P3: nothing is stored or seen that was never sent',
  refused: 'P3: what was refused is neither stored nor seen',
  unstored: 'P2: what was seen is stored',
  missed: 'P6, P7: every page sees all that is stored after its loading',
  twice: 'P4, P7: no page sees a message twice',
  echo: 'P4: a page is not shown the direct message that it wrote itself',
  'out of order': 'P5: every page sees a conversation in the order of its numbers',
  'bad seq': 'P5: numbers rise within a conversation, and every member reads the same history',
  overtaken: 'P5: what was acked before another was sent stands before it',
  'sender order': 'P5: what one connection wrote to a conversation stands there in the order of writing',
  unproven: 'P6: a sender is told "delivered" only of what a page of the recipient has seen',
  'change lost': 'P1: what was answered as edited or deleted is so',
  'change untold': 'P6, P7: every page learns of the last edit and the deletion of what it knows',
  'change twice': 'P7: no page is told of an edit or a deletion twice',
  outdated: 'P5: what was edited or deleted is not shown as it was before',
  dropped: 'P1, P10: what the server had received is carried out though its connection ended, or refused before a stop ends it',
  believed: 'P1: without its database file the server acks nothing, is not ready, and makes no new file',
  untold: 'webhooks: every stored message is told of',
  'told and not stored': 'webhooks: nothing is told of that was not stored',
  'told under two ids': 'webhooks: an event has one id, however often it comes',
  'told out of order': 'webhooks: a conversation\'s messages are told of in the order of their numbers',
  'refused by the hook': 'hooks: nothing that the hook refused is stored, seen or acked',
  'before its hook': 'hooks: nothing is stored, seen or acked that the hook has not allowed before',
  'not as the hook said': "hooks: the hook's text is what is stored and seen, and only where it gave one",
  'asked again': 'hooks: the hook is not asked again about what it is being asked about, or what is stored',
  unanswered: 'P9: every request is answered',
  'turned away': 'P9: no passing trouble makes a stock client give up for good',
};

/** Excuses, with reasons. Only those that the caller names are accepted. */
export const ALLOWANCES = {
  'unstored after crash': 'DELIVERY=live (P2): recipients do not wait for the commit; what they saw, a crash may lose.',
  'twice after crash': 'DELIVERY=live (P4): the sender sends again what the crash lost; who saw it before sees the same id again.',
  'moved after crash': 'DELIVERY=live (P4): what is sent again after a crash has the place of its retry.',
  'twice without offset': 'Design §6: a client before 4.6 sends no offset; what was written to it and not proven comes again, with the same id.',
};

/** Excuses that follow from the documented behaviour. */
export const CONTRACT = {
  stored: ['twice without offset'],
  live: ['twice without offset', 'unstored after crash', 'twice after crash', 'moved after crash'],
};

/**
 * Time in µs, on a busy machine, from a stock client's pong until the events before it reach the page in a later turn
 * of its loop.
 */
const PAGE_LAG = 250_000;

/** Refusals which mean that nobody has seen the message. */
const UNSEEN = new Set(['STORAGE_UNAVAILABLE', 'FORBIDDEN', 'NOT_FOUND', 'TOO_LARGE', 'INVALID_PAYLOAD', 'RATE_LIMITED', 'DRAINING', ...HOOK_CODES]);

/**
 * The verdict: `{violations: [{rule, text}], allowed: {allowance: count}, counts}`.
 *
 * - `conversations`: `[{id, kind: 'direct' | 'group', members: [user], histories: [[{id, seq, sender, name, version, isHooked}]]}]`, the histories as different members read them, the first one counts.
 * - `pages`: `[{name, device, user, pinned, offsets, killed, records}]`. `offsets`: the client sends them at reconnect. `records` may be any iterable; it is gone through twice. Times `at` are of one clock:
 *   `{kind: 'connect', at, recovered}` · `{kind: 'disconnect', at}` · `{kind: 'turned away', at, code}` · `{kind: 'loaded', at, conversation, seq}` (it read the history up to there)
 *   `{kind: 'send', at, name, conversation, once}` (`once`: it is not sent again) · `{kind: 'ack', at, name, id}` · `{kind: 'refused', at, name, code}` · `{kind: 'unknown', at, name}` (no answer came)
 *   `{kind: 'burst', at, how, names}` (leftovers.mjs)
 *   `{kind: 'edit', at, name, id, version}` · `{kind: 'delete', at, name, id}` · `{kind: 'changed', at, name, version?}` · `{kind: 'unchanged', at, name, version?, code}` (without a version: the deletion; without an answer: neither)
 *   `{kind: 'got', at, id, conversation, name, sender, version, isHooked}` · `{kind: 'told edit', at, id, conversation, name, version}` · `{kind: 'told deletion', at, id, conversation}` · `{kind: 'delivered', at, id, user}`
 * - A conversation that came up during the run has a `draft`, by which those who wrote to it called it: nobody has loaded it.
 * - `crashes`: `[{at, until}]`, from the kill of the server until it listened again. `halts`: the same with `what`: `kill`, `stop`, `outage`, `files`.
 * - `files`: `[{at, until, unreadyAt?, madeAnew?}]`, from the loss of the database's files until the server was started on them again.
 * - `told`: what a webhook was told (webhooks.mjs), if there was one.
 * - `asked`: what a hook was asked and has answered (hooks.mjs), if there was one; its absences are `halts`: `hook`.
 */
export function judge({ conversations, pages, crashes = [], halts = [], files = [], told, asked }, allowances = []) {
  const verdict = new Verdict(allowances);
  const drafts = new Map(conversations.map(({ id, draft }) => [draft, id]));
  const { sends, changes, bursts, proofs } = collect(pages, drafts, verdict);
  const stored = judgeStored(conversations, sends, verdict);
  judgeSends(sends, stored, changes, verdict);
  judgeChanges(changes, sends, stored, verdict);
  const answers = new HookAnswers(asked);
  judgeBursts(bursts, halts, sends, stored, answers, verdict);
  judgeFiles(files, sends, verdict);
  const namesById = new Map([...changes.values()].map(({ id, name }) => [id, name]));
  const context = { sends, stored, changes, namesById, crashes, conversations: new Map(conversations.map((each) => [each.id, each])), proofs };
  for (const page of pages) judgePage(page, context, verdict);
  if (told) judgeTold(told, context, verdict);
  judgeHooked(answers, { ...context, pages, halts }, verdict);
  for (const [key, proof] of proofs) {
    if (!(proof.seenAt <= proof.toldAt + PAGE_LAG)) verdict.find('unproven', `${key} was told at ${proof.toldAt}, seen at ${proof.seenAt ?? 'no time'}`);
  }
  return verdict.close();
}

class Verdict {
  constructor(allowances) {
    for (const name of allowances) if (!(name in ALLOWANCES)) throw new Error(`unknown allowance ${name}; known: ${Object.keys(ALLOWANCES).join(', ')}`);
    this.allowances = new Set(allowances);
    this.violations = [];
    this.allowed = Object.fromEntries(allowances.map((name) => [name, 0]));
    this.counts = { sent: 0, attempts: 0, acked: 0, refused: 0, unknown: 0, stored: 0, shown: 0, pages: 0, connects: 0, recovered: 0, told: 0, edits: 0, deletions: 0, changes: 0, bursts: 0, asked: 0 };
  }

  /** Records a violation; each of `excuses` is an allowance that would cover it. */
  find(rule, text, ...excuses) {
    if (!(rule in RULES)) throw new Error(`unknown rule ${rule}`);
    const excuse = excuses.find((name) => this.allowances.has(name));
    if (excuse) this.allowed[excuse] += 1;
    else this.violations.push({ rule, text });
  }

  close() {
    const { violations, allowed, counts } = this;
    return { violations, allowed, counts };
  }
}

// ---- sent ----

/**
 * What pages asked for and were told:
 *
 * - `sends`: name → what became of it: `{user, conversation, devices, attempts, firstSentAt, ackedAt, id, refusals, unknowns, connection}`.
 * - `changes`: changes.mjs. `bursts`: the records. `proofs`: `id user` → when a sender was told, for the first time, that it is delivered.
 */
function collect(pages, drafts, verdict) {
  const [sends, changes, bursts, proofs] = [new Map(), new Map(), [], new Map()];
  for (const page of pages) {
    verdict.counts.pages += 1;
    let connections = 0;
    let isConnected = false;
    for (const record of page.records) {
      switch (record.kind) {
        case 'connect':
          connections += 1;
          isConnected = true;
          verdict.counts.connects += 1;
          if (record.recovered) verdict.counts.recovered += 1;
          break;
        case 'disconnect':
          isConnected = false;
          break;
        case 'turned away':
          verdict.find('turned away', `${page.name} got ${record.code}`);
          break;
        case 'send':
          addAttempt(sends, page, placed(record, drafts), isConnected ? `${page.name}/${connections}` : undefined);
          verdict.counts.attempts += 1;
          break;
        case 'ack':
        case 'refused':
        case 'unknown':
          addAnswer(sends, page, record, verdict);
          break;
        case 'edit':
        case 'delete':
        case 'changed':
        case 'unchanged':
          addChange(changes, record, verdict);
          break;
        case 'burst':
          bursts.push(record);
          break;
        case 'delivered':
          addProof(proofs, record);
          break;
        default:
      }
    }
  }
  verdict.counts.sent = sends.size;
  return { sends, changes, bursts, proofs };
}

/** Returns the record of a send, with the conversation's id if the send created it. */
function placed(record, drafts) {
  const id = drafts.get(record.conversation);
  return { ...record, conversation: id ?? record.conversation, isFirst: id !== undefined };
}

function addAttempt(sends, page, { name, conversation, isFirst, at, once }, connection) {
  let send = sends.get(name);
  if (!send) {
    send = { user: page.user, conversation, isFirst, devices: new Set(), pages: new Set(), attempts: 0, refusals: [], unknowns: 0, firstSentAt: at, connection, isOpen: false };
    sends.set(name, send);
  }
  send.attempts += 1;
  send.firstSentAt = Math.min(send.firstSentAt, at);
  send.devices.add(page.device);
  send.pages.add(page.name);
  if (!page.killed && !once) send.isOpen = true;
  if (send.conversation !== conversation || send.user !== page.user) throw new Error(`${name} was used for two messages: the checker is wrong`);
}

function addAnswer(sends, page, { kind, name, at, id, code }, verdict) {
  const send = sends.get(name);
  if (!send) throw new Error(`${page.name} was answered about ${name}, which it never sent: the checker is wrong`);
  if (kind === 'unknown') send.unknowns += 1;
  if (kind === 'refused') send.refusals.push(code);
  if (kind !== 'ack') return;
  if (send.id !== undefined && send.id !== id) verdict.find('two answers', `${name} was acked as ${send.id} and as ${id}`);
  send.id ??= id;
  send.ackedAt = Math.min(send.ackedAt ?? Infinity, at);
}

// ---- stored ----

/** Id and name → `{id, name, seq, conversation, version}`. */
function judgeStored(conversations, sends, verdict) {
  const byId = new Map();
  const byName = new Map();
  for (const { id: conversation, histories: [history, ...others] } of conversations) {
    for (const other of others) {
      const differs = history.length !== other.length || history.some(({ id, seq }, index) => other[index].id !== id || other[index].seq !== seq);
      if (differs) verdict.find('bad seq', `${conversation}: two members read different histories (${history.length} and ${other.length} messages)`);
    }
    let last = 0;
    for (const { id, seq, sender, name, version = 0, isHooked } of history) {
      if (!(seq > last)) verdict.find('bad seq', `${conversation}: ${seq} (${name}) comes after ${last}`);
      last = seq;
      const first = byName.get(name) ?? (byId.has(id) ? byId.get(id) : undefined);
      if (first) verdict.find('stored twice', `${name} in ${conversation} at ${seq}, and in ${first.conversation} at ${first.seq}`);
      const entry = { id, name, seq, conversation, version, isHooked };
      byId.set(id, entry);
      byName.set(name, entry);
      const send = sends.get(name);
      if (!send) verdict.find('ghost', `${name} is stored in ${conversation} and was never sent`);
      else if (send.user !== sender || send.conversation !== conversation) verdict.find('altered', `${name} of ${send.user} to ${send.conversation} is stored as of ${sender} in ${conversation}`);
      else if (send.id !== undefined && send.id !== id) verdict.find('altered', `${name} was acked as ${send.id} and is stored as ${id}`);
    }
    judgeRealTime(conversation, history, sends, verdict);
    judgeSenderOrder(conversation, history, sends, verdict);
    verdict.counts.stored += history.length;
  }
  return { byId, byName };
}

/** Checks that no message is before one that had been acked when it was first sent. */
function judgeRealTime(conversation, history, sends, verdict) {
  let earliest = { ackedAt: Infinity };
  for (const { name } of [...history].reverse()) {
    const send = sends.get(name);
    if (!send) continue;
    if (earliest.ackedAt < send.firstSentAt) verdict.find('overtaken', `${conversation}: ${earliest.name} was acked before ${name} was sent, and stands after it`);
    if (send.ackedAt < earliest.ackedAt) earliest = { name, ackedAt: send.ackedAt };
  }
}

/** Checks that messages sent once, by one connection, are in the order of sending. */
function judgeSenderOrder(conversation, history, sends, verdict) {
  const latest = new Map();
  for (const { name } of history) {
    const send = sends.get(name);
    if (send?.attempts !== 1 || !send.connection) continue;
    const before = latest.get(send.connection);
    if (before && before.send.firstSentAt > send.firstSentAt) verdict.find('sender order', `${conversation}: ${before.name} was sent after ${name} and stands before it`);
    else latest.set(send.connection, { name, send });
  }
}

// ---- answers to senders ----

const wasRefused = (send) => send.attempts > 0 && send.refusals.length === send.attempts && send.refusals.every((code) => UNSEEN.has(code));

function judgeSends(sends, stored, changes, verdict) {
  const { counts } = verdict;
  for (const [name, send] of sends) {
    const entry = stored.byName.get(name);
    if (send.id !== undefined) {
      counts.acked += 1;
      if (!entry && !mayBeDeleted(changes.get(name))) verdict.find('lost', `${name} to ${send.conversation} was acked as ${send.id} and is not stored`);
    } else if (send.refusals.length > 0) {
      counts.refused += 1;
      if (entry && wasRefused(send)) verdict.find('refused', `${name} was refused (${send.refusals}) and is stored at ${entry.seq}`);
    } else {
      counts.unknown += 1;
      if (send.isOpen) verdict.find('unanswered', `${name}: ${send.attempts} attempts, no answer`);
    }
  }
}

/**
 * Checks that the server confirms nothing without its files. A message first sent before their loss may have been
 * stored by then.
 */
function judgeFiles(files, sends, verdict) {
  for (const { at, until, unreadyAt, madeAnew } of files) {
    if (unreadyAt === undefined) verdict.find('believed', `the database's files were gone at ${at}, and the server was ready until ${until}`);
    if (madeAnew) verdict.find('believed', `the database's files were gone at ${at}, and the server made new ones`);
    for (const [name, { firstSentAt, ackedAt }] of sends) {
      if (firstSentAt > at && ackedAt < until) verdict.find('believed', `${name} was acked at ${ackedAt}, between ${at} and ${until}, when the database's files were gone`);
    }
  }
}

function addProof(proofs, { at, id, user }) {
  const proof = proofs.get(`${id} ${user}`);
  if (!proof) proofs.set(`${id} ${user}`, { toldAt: at, seenAt: undefined });
  else proof.toldAt = Math.min(proof.toldAt, at);
}

// ---- seen by pages ----

function judgePage(page, context, verdict) {
  const { sends, stored, changes, crashes, proofs } = context;
  /** Id → `{at, connection}` of the first time it was shown. */
  const seen = new Map();
  /** Conversation → number up to which the page read its history when loading. */
  const loaded = new Map();
  /** Conversation → time of that. */
  const loadedAt = new Map();
  let firstConnectAt;
  const changesSeen = new ChangesSeen(page, context, verdict);
  /** Conversation → highest number shown. */
  const reached = new Map();
  /** The same, for messages whose number is that of their first attempt. */
  const arrived = new Map();
  let connection = 0;
  for (const record of page.records) {
    const { kind, at, id, conversation, name, sender } = record;
    changesSeen.take(record);
    if (kind === 'connect') {
      connection += 1;
      firstConnectAt ??= at;
    }
    if (kind === 'loaded') {
      loaded.set(conversation, record.seq);
      loadedAt.set(conversation, at);
    }
    if (kind === 'delivered') verdict.counts.told += 1;
    if (kind !== 'got') continue;
    verdict.counts.shown += 1;

    const proof = proofs.get(`${id} ${page.user}`);
    if (proof) proof.seenAt = Math.min(proof.seenAt ?? Infinity, at);

    const send = sends.get(name);
    // A conversation that was lost in a crash with its messages is created again with another id.
    const isLost = send?.isFirst && !context.conversations.has(conversation) && !stored.byName.has(name);
    if (!send || send.user !== sender || (send.conversation !== conversation && !isLost)) {
      verdict.find('ghost', `${page.name} saw ${name} of ${sender} in ${conversation}, which was never sent`);
      continue;
    }
    if (wasRefused(send)) verdict.find('refused', `${page.name} saw ${name}, which was refused (${send.refusals})`);
    const kindOf = context.conversations.get(conversation)?.kind;
    if (kindOf === 'direct' && send.pages.size === 1 && send.pages.has(page.name)) {
      verdict.find('echo', `${page.name} was shown its own ${name}`);
    }

    const first = seen.get(id);
    if (first) {
      verdict.find('twice', `${page.name} saw ${name} at ${first.at} (connection ${first.connection}) and at ${at} (connection ${connection})`, ...excusesOfRepeat(page, first, { at, connection }, wasMoved(send, crashes)));
      continue;
    }
    seen.set(id, { at, connection });

    const entry = stored.byId.get(id);
    if (!entry) {
      const other = stored.byName.get(name);
      if (other) verdict.find('twice', `${page.name} saw ${name} as ${id}; it is stored as ${other.id}`);
      else if (!send.refusals.includes('NOT_STORED') && !mayBeDeleted(changes.get(name))) {
        const crash = crashes.some((each) => send.firstSentAt <= each.until && at <= each.until);
        verdict.find('unstored', `${page.name} saw ${name}, which is not stored`, ...(crash ? ['unstored after crash'] : []));
      }
      continue;
    }
    // A message answered with NOT_STORED and sent again has the position of its retry (P5).
    if (send.refusals.includes('NOT_STORED')) continue;
    const highest = reached.get(conversation);
    if (highest && entry.seq < highest.seq) {
      const moved = [entry, highest].some((each) => wasMoved(sends.get(each.name), crashes));
      verdict.find('out of order', `${page.name} saw ${highest.name} (${highest.seq}) before ${name} (${entry.seq}) in ${conversation}`, ...(moved ? ['moved after crash'] : []));
    } else reached.set(conversation, entry);
    // A message lost in a crash has the position of its repetition, which does not tell how far the page had got.
    if (!wasMoved(send, crashes)) arrived.set(conversation, Math.max(arrived.get(conversation) ?? 0, entry.seq));
  }
  judgeView(page, { seen, loaded, arrived }, context, verdict);
  changesSeen.close(loadedAt, firstConnectAt, new Map([...context.conversations.values()].map(({ id, members }) => [id, members])));
}

function excusesOfRepeat(page, first, again, wasMoved) {
  if (first.connection === again.connection) return [];
  return [...(wasMoved ? ['twice after crash'] : []), ...(page.offsets ? [] : ['twice without offset'])];
}

/**
 * Checks that everything stored after the loading was seen. A killed page must have seen everything before the last
 * message that it saw.
 */
function judgeView(page, { seen, loaded, arrived }, { sends, conversations }, verdict) {
  for (const { id: conversation, draft, kind, members, histories: [history] } of conversations.values()) {
    if (!members.includes(page.user) || draft) continue;
    const from = loaded.get(conversation);
    if (from === undefined && !page.killed) throw new Error(`${page.name} never loaded ${conversation}: the checker is wrong`);
    if (from === undefined) continue;
    const to = page.killed ? arrived.get(conversation) ?? 0 : Infinity;
    for (const { id, seq, name } of history) {
      if (seq <= from || seq > to || seen.has(id) || !hasToSee(page, kind, sends.get(name))) continue;
      verdict.find('missed', `${page.name} did not see ${name} (${conversation} ${seq})`);
    }
  }
}

/** Returns whether a page has to be shown this message. */
function hasToSee(page, kind, send) {
  if (!send) return false;
  if (send.user !== page.user) return true;
  // Its own device: the ack showed it. Another device: it is shown if the dialect is pinned, or in a group; a client
  // without offsets is caught up only with messages by others.
  return !send.devices.has(page.device) && page.offsets && (kind === 'group' || page.pinned);
}
