// One run: a server, its database, pages in processes of their own, and the nemesis between them; then the verdict.
import { execFile, fork } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { Postgres, createDatabase } from '../js/lib/database.mjs';
import { conversationHistory } from '../js/lib/chat.mjs';
import { BINARY, Server } from '../js/lib/server.mjs';
import { epoch, newUser } from '../js/lib/token.mjs';
import { within } from '../js/lib/wait.mjs';
import { loseFiles, restoreFiles } from './files.mjs';
import { HookBackEnd } from './hooks.mjs';
import { CONTRACT, judge } from './judge.mjs';
import { Nemesis, serverFaults } from './nemesis.mjs';
import { Way } from './proxy.mjs';
import { draftsIn, now, readLog, unansweredIn } from './records.mjs';
import { readText } from './text.mjs';
import { WebhookReceiver } from './webhooks.mjs';

const PAGE = fileURLToPath(new URL('page.mjs', import.meta.url));

/**
 * Fast heartbeats and short memories, so that a short run meets situations that take minutes elsewhere; limits above
 * what pages write, but not above bursts.
 */
const SETTINGS = {
  RATE_LIMIT_EVENTS: '60',
  RATE_LIMIT_BURST: '10',
  PING_INTERVAL: '1s',
  PING_TIMEOUT: '1500ms',
  WRITE_TIMEOUT: '3s',
  PRESENCE_GRACE: '500ms',
  RECOVERY_TTL: '2s',
  PROOF_INTERVAL: '500ms',
  CATCH_UP_MAX: '1000000',
  MAX_MESSAGE_LENGTH: '30000',
  MAX_SOCKETS_PER_USER: '1000',
};

/** The devices: user, and way of connecting. */
const DEVICES = [
  { user: 'ann', transport: 'websocket', pinned: true },
  { user: 'ann', transport: 'upgrading', pinned: false },
  { user: 'bob', transport: 'polling', pinned: true },
  { user: 'bob', transport: 'websocket', pinned: true },
  { user: 'carl', transport: 'websocket', pinned: false },
  { user: 'dora', transport: 'upgrading', pinned: true },
  // Before 4.6, stock clients have no offset; this user has no other device, so nothing is missed either.
  { user: 'emil', transport: 'websocket', pinned: false, version: '4.5' },
  { user: 'fay', transport: 'polling', pinned: false },
];

const GROUPS = { everyone: ['ann', 'bob', 'carl', 'dora', 'emil', 'fay'], some: ['ann', 'carl', 'emil'], others: ['bob', 'dora', 'fay'], few: ['bob', 'emil'] };

/** Number of users who only receive messages, one from each device: a long run needs more. */
const STRANGERS = { least: 40, most: 100, perMessages: 500 };

/** Lifetime of tokens in seconds: longer than any run. */
const LASTS = 24 * 3_600;

/** Time in ms within which a server that lost its files must report it. */
const UNREADY_LIMIT = 5_000;

/** Time in µs after which a database that was away is tried again. */
const OUTAGE_TAIL = 3_000_000;

/** Faults by which the server ends, which a hook does, too. */
const ENDS = new Set(['killed server', 'stopped server', 'lost files']);

/** Time in ms for the pages to write their last messages and see each other's. */
const SETTLE_LIMIT = 60_000;

/** Time in ms for a page to report the outcome of a burst, and for a command to end. */
const BURST_LIMIT = 10_000;
const COMMAND_LIMIT = 60_000;

/** The server, and the code that kills it. */
class Host {
  static async start(databaseUrl, settings, logFile) {
    const host = new Host();
    host.server = await Server.start({ databaseUrl, env: settings, logFile });
    host.folder = host.server.folder;
    host.port = Number(new URL(host.server.url).port);
    // From here on it must restart where its clients look for it.
    host.server.env.PORT = String(host.port);
    host.crashes = [];
    /** In the judge's format. */
    host.halts = [];
    host.files = [];
    host.copies = 0;
    host.complaints = [];
    host.watch();
    return host;
  }

  watch() {
    const { server } = this;
    server.exited.then((how) => {
      if (!this.isEnding) this.complaints.push(`the server ended by itself: ${JSON.stringify(how)}\n${server.log}`);
    });
  }

  /** Records the start and end of a halt. */
  async during(what, act) {
    const halt = { what, at: now(), until: Infinity };
    this.halts.push(halt);
    await act();
    halt.until = now();
    return halt;
  }

  async kill(downMs, between) {
    const crash = { at: now(), until: Infinity };
    this.crashes.push(crash);
    await this.during('kill', () => this.restart('SIGKILL', downMs, between));
    crash.until = now();
  }

  async stop(downMs, between) {
    await this.during('stop', async () => {
      const { code, signal } = await this.restart('SIGTERM', downMs, between);
      if (code !== 0) this.complaints.push(`SIGTERM ended with ${code ?? signal}`);
    });
  }

  async outage(act) {
    const halt = await this.during('outage', act);
    halt.until += OUTAGE_TAIL;
  }

  /** Runs `parlance` with the settings of the server, wherever that is; it must succeed. */
  async command(args) {
    const { server: { env, folder } } = this;
    const words = args.map((word) => (word === 'FILE' ? join(folder, `copy-${++this.copies}`) : word));
    await promisify(execFile)(BINARY, words, { cwd: folder, env, timeout: COMMAND_LIMIT, maxBuffer: 1 << 26 })
      .catch(({ code, stderr }) => this.complaints.push(`parlance ${words.join(' ')} ended with ${code}: ${stderr}`));
    for (const word of words) if (word.startsWith(folder)) rmSync(word, { force: true });
  }

  /**
   * Takes the database's files from the server, and restarts it some time later on their state at that moment. Work in
   * progress is lost as in a crash.
   */
  async loseFiles(loss, lastsMs) {
    const lost = { at: now(), until: Infinity };
    this.files.push(lost);
    const crash = { at: lost.at, until: Infinity };
    this.crashes.push(crash);
    await this.during('files', async () => {
      const kept = await loseFiles(this.server, loss);
      lost.at = now();
      lost.unreadyAt = await this.unready();
      await pause(lastsMs);
      this.isEnding = true;
      await this.server.end('SIGTERM');
      lost.madeAnew = restoreFiles(this.server, loss, kept);
      await this.server.launch();
      this.isEnding = false;
      this.watch();
    });
    lost.until = now();
    crash.until = lost.until;
  }

  /** Returns the time at which it reports that it is not ready, if it does. */
  async unready() {
    for (const until = Date.now() + UNREADY_LIMIT; Date.now() < until; await pause(50)) {
      const { status } = await fetch(`${this.server.url}/readyz`, { signal: AbortSignal.timeout(UNREADY_LIMIT) }).catch(() => ({}));
      if (status === 503) return now();
    }
    return undefined;
  }

  async restart(signal, downMs, between) {
    this.isEnding = true;
    const how = await this.server.end(signal);
    await between?.();
    await pause(downMs);
    await this.server.launch();
    this.isEnding = false;
    this.watch();
    return how;
  }

  async remove() {
    this.isEnding = true;
    await this.server.remove();
  }
}

/** One device: its pages, one after the other, and its connection. */
class Device {
  constructor(name, plan, way, folder) {
    Object.assign(this, { name, plan, way, folder });
    /** `{name, log, killed}` of each page so far. */
    this.pages = [];
    this.acked = 0;
  }

  restart() {
    const before = this.pages.at(-1);
    const name = `${this.name}.${this.pages.length}`;
    const page = { name, log: join(this.folder, `${name}.log`), killed: false, acked: 0 };
    // It may be killed before it writes its first line.
    writeFileSync(page.log, '');
    this.pages.push(page);
    const child = fork(PAGE, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.child = child;
    this.page = page;
    for (const word of ['loaded', 'idle', 'marked', 'complete']) {
      page[word] = new Promise((resolve) => child.on('message', (message) => message[word] && resolve()));
    }
    page.exited = new Promise((resolve) => child.on('exit', (code, signal) => {
      if (signal !== 'SIGKILL') this.complain(`page ${name} ended by itself: ${code ?? signal}`);
      resolve();
    }));
    child.on('message', ({ acked }) => {
      page.acked = acked ?? page.acked;
    });
    child.on('error', () => {});
    child.send({ start: { ...this.plan, name, device: this.name, url: this.way.url, log: page.log, outbox: before ? unansweredIn(readLog(before.log)) : [] } });
    // It got the order to finish while it was away.
    if (this.isFinishing) this.tell({ finish: true });
  }

  tell(message) {
    this.child.send(message, () => {});
  }

  finish() {
    this.isFinishing = true;
    this.tell({ finish: true });
  }

  freeze() {
    this.child.kill('SIGSTOP');
  }

  thaw() {
    this.child.kill('SIGCONT');
  }

  async kill() {
    this.page.killed = true;
    this.child.kill('SIGKILL');
    await this.page.exited;
  }

  /** Makes the page write more than is answered at once; returns whether it is in the state that `how` asks for. */
  async burst(plan) {
    const { child } = this;
    const done = new Promise((resolve) => {
      child.on('exit', () => resolve(false));
      const listen = ({ burst }) => burst && (child.off('message', listen), resolve(burst.isReceived));
      child.on('message', listen);
    });
    this.tell({ burst: plan });
    return Promise.race([done, pause(BURST_LIMIT, false)]);
  }

  acks() {
    return this.pages.reduce((sum, { acked }) => sum + acked, 0);
  }
}

/** Makes the conversations: every pair of users, and the groups. */
async function makeConversations(server, users) {
  const conversations = [];
  const make = async (admin, body, kind, members) => {
    const answer = await server.api('POST', '/api/conversations', { token: users[admin].token, body });
    if (!answer.body.success) throw new Error(`no conversation: ${JSON.stringify(answer.body)}`);
    conversations.push({ id: answer.body.conversation.id, kind, members: members.map((member) => users[member].id), token: users[admin].token });
  };
  const names = Object.keys(users);
  for (const [name, members] of Object.entries(GROUPS)) {
    await make(members[0], { type: 'group', name, participants: members.map((member) => users[member].id) }, 'group', members);
  }
  for (const [index, one] of names.entries()) {
    for (const other of names.slice(index + 1)) await make(one, { type: 'direct', participantId: users[other].id }, 'direct', [one, other]);
  }
  return conversations;
}

/** Returns the conversations that a device of this user writes to. */
function writtenTo(conversations, user) {
  return conversations
    .filter(({ kind, members }) => kind === 'group' || members.includes(user.id))
    .map(({ id, kind, members }) => ({ id, kind, members, other: members.find((member) => member !== user.id), isForeign: !members.includes(user.id) }));
}

/** Reads every conversation's history as its first and its last member. */
async function readHistories(server, conversations, tokens) {
  const judged = [];
  for (const { id, draft, kind, members } of conversations) {
    const histories = [];
    for (const member of [members[0], members.at(-1)]) {
      const messages = await conversationHistory(server, tokens.get(member), id);
      histories.push(messages.map(({ _id, seq, sender, content }) => ({ id: _id, seq, sender: sender._id, ...readText(content) })));
    }
    judged.push({ id, draft, kind, members, histories });
  }
  return judged;
}

/** Makes the users who only receive messages: `[{id, token}]`. */
async function makeStrangers(server, count) {
  const strangers = Array.from({ length: count }, () => newUser('stranger', { exp: epoch(LASTS) }));
  for (const { token } of strangers) await server.api('GET', '/api/auth/me', { token });
  return strangers;
}

/** Returns the conversations created during the run, in the form of those made before it. */
async function findNew(server, drafts, tokens) {
  const found = [];
  for (const draft of drafts) {
    const members = draft.split('|');
    const answer = await server.api('POST', '/api/conversations', { token: tokens.get(members[0]), body: { type: 'direct', participantId: members[1] } });
    found.push({ id: answer.body.conversation.id, draft, kind: 'direct', members });
  }
  return found;
}

/**
 * Runs once: `{violations, allowed, counts, faults, seconds, folder}`.
 *
 * It lasts `seconds`, or where `messages` is given until so many are acked. `kills` of the server are spread over it.
 */
export async function runOnce({ seed, database, delivery, seconds, messages, kills, lanes, pauseMs, allow, kinds, env, keep, say, webhooks, hooks }) {
  const folder = mkdtempSync(join(tmpdir(), 'parlance-checker-'));
  const undo = [() => keep || rmSync(folder, { recursive: true, force: true })];
  const killChildren = () => undo.forEach((each) => each.isChild && each());
  process.on('exit', killChildren);
  try {
    const postgres = database === 'postgres' ? await Postgres.start() : undefined;
    if (postgres) undo.push(() => postgres.remove());
    const receiver = webhooks ? await WebhookReceiver.start(folder) : undefined;
    if (receiver) undo.push(Object.assign(() => receiver.remove(), { isChild: true }));
    const hook = hooks ? await HookBackEnd.start(folder) : undefined;
    if (hook) undo.push(Object.assign(() => hook.remove(), { isChild: true }));
    const host = await Host.start(postgres && createDatabase(postgres.url), { ...SETTINGS, DELIVERY: delivery, ...receiver?.settings(), ...hook?.settings(), ...env }, keep && join(folder, 'server.log'));
    undo.push(() => host.remove());
    const { server } = host;

    const users = Object.fromEntries([...new Set(DEVICES.map(({ user }) => user))].map((name) => [name, newUser(name, { exp: epoch(LASTS) })]));
    const tokens = new Map(Object.values(users).map(({ id, token }) => [id, token]));
    // Users exist for the server from the first use of their token.
    for (const token of tokens.values()) await server.api('GET', '/api/auth/me', { token });
    const conversations = await makeConversations(server, users);

    const strangers = await makeStrangers(server, Math.min(STRANGERS.most, Math.max(STRANGERS.least, Math.floor((messages ?? 0) / STRANGERS.perMessages))));
    for (const { id, token } of strangers) tokens.set(id, token);

    const devices = new Map();
    for (const [index, { user, version = '4.8', ...how }] of DEVICES.entries()) {
      const name = `${user}${index}`;
      const way = await Way.open(() => host.port);
      const plan = { seed, user: users[user].id, token: users[user].token, server: server.url, version, dialect: 'messenger', lanes, pauseMs, conversations: writtenTo(conversations, users[user]), edits: kinds.has('edits'), posts: hooks, strangers: [], ...how };
      // Each user writes to each of these from one device only, so that no other device can send the first message.
      const own = DEVICES.map((other, place) => (other.user === user ? place : -1)).filter((place) => place >= 0);
      plan.strangers = strangers.filter((_, place) => place % own.length === own.indexOf(index)).map(({ id }) => id);
      const device = new Device(name, plan, way, folder);
      device.complain = (text) => host.complaints.push(text);
      devices.set(name, device);
      undo.push(Object.assign(() => device.child?.kill('SIGKILL'), { isChild: true }), () => way.close());
      device.restart();
    }
    const each = (act) => Promise.all([...devices.values()].map(act));
    const acks = () => [...devices.values()].reduce((sum, device) => sum + device.acks(), 0);

    await within(SETTLE_LIMIT, 'all pages to be loaded', each((device) => device.page.loaded));

    // Phase of faults.
    const begun = Date.now();
    const nemesis = new Nemesis({ devices, host, postgres, kinds, say });
    const stop = new AbortController();
    const lines = nemesis.tormentLines(seed, stop.signal);
    const progress = () => (messages ? acks() / messages : (Date.now() - begun) / (seconds * 1000));
    const isOver = () => progress() >= 1 || host.complaints.length > 0;
    const faults = serverFaults(seed, database, kills, kinds);
    while (!isOver()) {
      if (faults.length > 0 && progress() >= faults[0].at) {
        const fault = faults.shift();
        // All may be away at the same time. A hook that was away is not asked for ten seconds, unless the server is another.
        const absence = hook && ENDS.has(fault.what) && host.during('hook', () => hook.kill(fault.lastsMs));
        await Promise.all([nemesis.onServer(fault), receiver?.kill(fault.lastsMs), absence]);
      } else await pause(50);
    }
    stop.abort();
    await lines;
    await nemesis.heal();

    // Quiet phase: all send their last messages, and wait for each other's.
    const late = [];
    const settle = (what, promise) => within(SETTLE_LIMIT, what, promise).catch((error) => late.push(error.message));
    await each((device) => device.finish());
    await settle('all pages to be answered', each((device) => device.page.idle));
    const present = [...devices.values()].map(({ page, name, plan }) => ({ name: page.name, device: name, user: plan.user }));
    await each((device) => device.tell({ mark: present }));
    await settle('the last words to be answered', each((device) => device.page.marked));
    await settle('all pages to see the last words', each((device) => device.page.complete));
    if (receiver) await settle('the webhook to be told of all', receiver.told(server));
    await each((device) => (device.kill(), device.page.killed = false, device.page.exited));

    const pages = [...devices.values()].flatMap(({ name: device, plan: { user, pinned, version }, pages: all }) => all.map(({ name, killed, log }) => (
      { name, device, user, pinned, offsets: version === '4.8', killed, records: readLog(log) })));
    const drafts = new Set(pages.flatMap(({ records }) => draftsIn(records)));
    const histories = await readHistories(server, [...conversations, ...await findNew(server, drafts, tokens)], tokens);
    const { crashes, halts, files } = host;
    const verdict = judge({ conversations: histories, pages, crashes, halts, files, told: receiver?.lines(), asked: hook?.questions() }, [...CONTRACT[delivery], ...allow]);
    for (const text of [...host.complaints, ...late]) verdict.violations.unshift({ rule: 'run', text });
    return { ...verdict, faults: nemesis.done, seconds: (Date.now() - begun) / 1000, folder, serverLog: server.log };
  } finally {
    process.off('exit', killChildren);
    for (const each of undo.reverse()) await each();
  }
}
