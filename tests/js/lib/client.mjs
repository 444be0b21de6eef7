// Stock clients that record the events they receive.
import assert from 'node:assert/strict';

import { io as io40 } from 'sio40';
import { io as io45 } from 'sio45';
import { io as io48 } from 'sio48';

import { spokenAs } from './dialects.mjs';
import { checkAck, checkTold } from './documents.mjs';
import { LIMIT, steadily, within } from './wait.mjs';

/** The client's releases. */
export const VERSIONS = { 4.8: io48, 4.5: io45, '4.0': io40 };

/** Transports of a client. */
export const TRANSPORTS = { polling: ['polling'], websocket: ['websocket'], upgrading: ['polling', 'websocket'] };

/** Settings of a server whose clients confirm events soon. */
export const PROVING = { PING_INTERVAL: '50ms', STRICT_EVENTS: 'true' };

/** Makes a client. `options` go to the stock client unchanged; nothing is awaited. */
export function open(server, { version = '4.8', transport = 'websocket', ...options } = {}) {
  const socket = VERSIONS[version](server.url, { transports: TRANSPORTS[transport], forceNew: true, reconnection: false, ...options });
  return new Client(socket);
}

/** Returns an admitted client of this user. `dialect` pins it. */
export async function connect(server, user, { dialect, ...options } = {}) {
  const client = open(server, { auth: { token: user.token, ...(dialect && { dialect: spokenAs(dialect) }) }, ...options });
  client.user = user;
  if (dialect) client.spoken = [dialect].flat();
  await client.connected();
  return client;
}

/** Returns the reason for a refusal: the error of `connect_error`. */
export async function refusal(server, options) {
  const client = open(server, options);
  try {
    return await within(LIMIT, 'connect_error', new Promise((resolve, reject) => {
      client.socket.once('connect_error', resolve);
      client.socket.once('connect', () => reject(new Error('was admitted')));
    }));
  } finally {
    client.close();
  }
}

const OFFSET = /^([em][0-9a-z]+(\.[0-9a-z]+){2}\.(z|[0-9a-z]{2,})\.[0-9a-z]+|c[0-9a-z]+(\.[0-9a-z]+){2}\.(z|[0-9a-z]{2,})|u[0-9a-z]+(\.[0-9a-z]+){2}\.(z|[0-9a-z]{2,})\.[0-9a-z]+)(\.[0-9a-z]+(\.[0-9a-z]{2,})?)?$/;
/** Volatile events and answers to requests: they have no number. */
const UNPLACED = new Set([
  'user_online', 'user_offline', 'user_typing', 'user_stopped_typing', 'user:online', 'user:offline', 'typing:start', 'typing:stop',
  'userSetup', 'joinedRoom', 'leftRoom', 'joinedCommonChat', 'leftCommonChat',
  'guest', 'notification:receive', 'connection:receive', 'conversation:receive', 'ai-response-chunk', 'answer_piece',
]);

/** Events that also answer some requests. */
const EITHER = new Set(['connected', 'error', 'ai-response', 'ai-error']);

/**
 * Removes the offset from an event's arguments. All events have one except unnumbered ones, whose last argument must
 * not even look like one.
 */
export function takeOffset(event, args) {
  const last = args.at(-1);
  const isAnswer = UNPLACED.has(event) || (event === 'message:receive' && last?.success === false);
  if (isAnswer) {
    assert.notEqual(typeof last, 'string', `${event} ends in a text`);
    return undefined;
  }
  if (EITHER.has(event) && typeof last !== 'string') return undefined;
  assert.match(String(last), OFFSET, `the offset of ${event}`);
  return args.pop();
}

/** A stock client and the events that it received, in order. */
export class Client {
  constructor(socket) {
    this.socket = socket;
    /** `{event, args}` not yet taken by a `next`. */
    this.inbox = [];
    this.waiting = [];
    /** The last offset received. */
    this.offset = undefined;
    /** The dialects that it pinned; events and answers are checked against the AsyncAPI document. */
    this.spoken = undefined;
    socket.onAny((event, ...args) => {
      this.offset = takeOffset(event, args) ?? this.offset;
      this.check(() => checkTold(event, args[0], this.spoken));
      if (event === 'recovery:seed') return;
      this.inbox.push({ event, args });
      this.waiting = this.waiting.filter((look) => !look());
    });
    this.gone = new Promise((resolve) => socket.on('disconnect', resolve));
  }

  /** Runs a check; a failure ends the test, wherever it happens. */
  check(look) {
    try {
      look();
    } catch (error) {
      process.nextTick(() => { throw error; });
    }
  }

  async connected() {
    if (this.socket.connected) return;
    await within(LIMIT, 'connect', new Promise((resolve, reject) => {
      this.socket.once('connect', resolve);
      this.socket.once('connect_error', reject);
    }));
  }

  /** Waits until an upgrading client is on its WebSocket. */
  async upgraded() {
    const { engine } = this.socket.io;
    if (engine.transport.name === 'websocket') return;
    await within(LIMIT, 'the upgrade', new Promise((resolve) => engine.once('upgrade', resolve)));
  }

  /** Waits until the server has confirmation of everything that has come by now. Requires a server with `PROVING`. */
  async proven() {
    await within(LIMIT, 'a ping', new Promise((resolve) => this.socket.io.once('ping', resolve)));
    await this.ask('no such event');
  }

  /** Takes the first event of this name whose first argument `matches` out of the inbox, waiting for it if need be. */
  async next(event, matches = () => true, limit = LIMIT) {
    return (await this.nextArgs(event, matches, limit))[0];
  }

  /** Same as `next`, with all arguments. */
  nextArgs(event, matches = () => true, limit = LIMIT) {
    const found = new Promise((resolve) => {
      const look = () => {
        const place = this.inbox.findIndex((entry) => entry.event === event && matches(...entry.args));
        if (place < 0) return false;
        resolve(this.inbox.splice(place, 1)[0].args);
        return true;
      };
      if (!look()) this.waiting.push(look);
    });
    const soFar = () => this.inbox.slice(-20).map((entry) => `${entry.event} ${JSON.stringify(entry.args).slice(0, 150)}`).join('\n');
    return within(limit, () => `${event}; so far:\n${soFar()}`, found);
  }

  /** Waits until this number of untaken events `match`; the limit is the time from one event to the next. */
  async holds(count, matches = () => true) {
    const found = () => this.inbox.filter(matches).length;
    const soFar = () => this.inbox.slice(-20).map(({ event }) => event).join(', ');
    await steadily(LIMIT, () => `${count} events; so far ${found()}: … ${soFar()}`, (step) => new Promise((resolve) => {
      const look = () => {
        step();
        return found() >= count && (resolve(), true);
      };
      if (!look()) this.waiting.push(look);
    }));
  }

  /** Returns first arguments of the untaken events of this name. */
  told(event) {
    return this.inbox.filter((entry) => entry.event === event).map((entry) => entry.args[0]);
  }

  /** Emits a request; returns its ack. */
  ask(event, ...args) {
    return this.askWithin(LIMIT, event, ...args);
  }

  askWithin(limit, event, ...args) {
    return within(limit, `the ack of ${event} ${JSON.stringify(args).slice(0, 200)}`, new Promise((resolve) => {
      this.socket.emit(event, ...args, (answer) => {
        this.check(() => checkAck(event, answer, this.spoken));
        resolve(answer);
      });
    }));
  }

  /** Same as `ask`, and asserts a success. */
  async succeed(event, ...args) {
    const answer = await this.ask(event, ...args);
    assert.equal(answer?.success, true, `${event}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Same as `ask`, and asserts a refusal with this code. */
  async refused(code, event, ...args) {
    const answer = await this.ask(event, ...args);
    assertRefusal(answer, code);
    assert.equal(answer.success, false);
    return answer;
  }

  /** Emits without asking for an ack. */
  tell(event, ...args) {
    this.socket.emit(event, ...args);
  }

  /** Waits for the disconnect; returns its reason. */
  disconnected(limit = LIMIT) {
    return within(limit, 'the disconnect', this.gone);
  }

  close() {
    this.socket.disconnect();
  }
}

/** Asserts the shape of a refusal. */
export function assertRefusal(answer, code) {
  assert.equal(answer?.code, code, JSON.stringify(answer));
  assert.equal(typeof answer.error, 'string');
  assert.ok(answer.error.length > 0);
  if (code === 'RATE_LIMITED') assert.ok(answer.retryAfterMs > 0, JSON.stringify(answer));
}

/** Closes these clients when the test is over. */
export function closeAfter(test, ...clients) {
  test.after(() => clients.forEach((client) => client.close()));
}
