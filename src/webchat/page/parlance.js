/**
 * A connection to a Parlance server that loses nothing, written to be copied: docs/writing-a-front-end.md explains it.
 *
 *     const chat = new Connection({ user: me.id, token: () => myToken });
 *     chat.on('event', (name, payload) => …);          // new_message, user_typing, …
 *     chat.on('reload', () => …);                      // read your histories again, over HTTP
 *     chat.on('sent', (entry, answer) => …);           // stored: answer.message is the message as others get it
 *     chat.send('send_direct_message', { recipientId, content: 'Hello' });
 */
import { io } from './vendor/socket.io.js';

/** Maximum wait for an answer; then the request is sent again. */
const ACK_TIMEOUT_MS = 10_000;
/** Maximum silence of a living server: it sends a heartbeat every 25 seconds. */
const SILENCE_MS = 45_000;
/** Pause after a passing refusal: the first, doubled each time, and the maximum. */
const [RETRY_MS, RETRY_MAX_MS] = [1_000, 30_000];
/** Codes of passing refusals. A repeat keeps its `clientMessageId`, so the message is stored and shown once in any case. */
const PASSING = new Set(['RATE_LIMITED', 'STORAGE_UNAVAILABLE', 'NOT_STORED', 'DRAINING', 'INTERNAL']);
/** Codes of refused connections that another token may cure. */
const CURABLE = new Set(['NO_TOKEN', 'INVALID_TOKEN', 'TOKEN_EXPIRED']);

/** Returns a unique id. `randomUUID` exists only on secure pages. */
function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Returns the browser's storage, or `null` where it is forbidden: then even looking at it throws. */
function browserStorage() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}

/**
 * Messages that the server has not stored yet. Each has its own key in the storage, so that tabs do not overwrite each other's
 * entries, and a reload, a crash or a closed laptop loses none. Two tabs may send the same entry: the server takes it once.
 */
class Outbox {
  constructor(user, storage) {
    this.prefix = `parlance-outbox:${user}:`;
    this.storage = storage;
    this.entries = [];
    for (let index = 0; index < (storage?.length ?? 0); index++) {
      const key = storage.key(index);
      if (key.startsWith(this.prefix)) this.read(storage.getItem(key));
    }
    this.entries.sort((one, other) => one.at - other.at);
  }

  read(text) {
    try {
      const entry = JSON.parse(text);
      if (entry?.id && !this.find(entry.id)) this.entries.push(entry);
    } catch {
      // Foreign text under our key: left alone.
    }
  }

  find(id) {
    return this.entries.find((entry) => entry.id === id);
  }

  put(entry) {
    if (!this.find(entry.id)) this.entries.push(entry);
    try {
      this.storage?.setItem(this.prefix + entry.id, JSON.stringify(entry));
    } catch {
      // Storage is full or forbidden: the entry lives as long as the page.
    }
  }

  remove(id) {
    this.entries = this.entries.filter((entry) => entry.id !== id);
    this.storage?.removeItem(this.prefix + id);
  }
}

export class Connection {
  /**
   * @param {object} options
   * @param {string} options.user owner of the outbox
   * @param {string} [options.url] origin of the server; by default the page's own
   * @param {string} [options.path] `SOCKET_PATH`
   * @param {() => string | Promise<string>} [options.token] called at each connect; without it the cookie of a login counts
   * @param {() => boolean | Promise<boolean>} [options.renew] called for a refused token; `true`: there is a better one now
   * @param {Storage | null} [options.storage] place of the outbox; `null` for none
   */
  constructor({ user, url, path = '/socket.io', token, renew, storage = browserStorage() }) {
    this.listeners = {};
    this.outbox = new Outbox(user, storage);
    this.renew = renew;
    /** `connecting`, `online`, `offline` (comes back by itself) or `refused` (does not). */
    this.state = 'connecting';
    this.failures = 0;
    // A requested dialect also shows the messages that the user sends from other devices.
    const auth = async () => ({ dialect: 'messenger', ...(token && { token: await token() }) });
    this.socket = io(url, {
      path,
      forceNew: true,
      withCredentials: !token,
      transports: ['websocket', 'polling'],
      tryAllTransports: true,
      auth: (give) => auth().catch(() => ({ dialect: 'messenger', token: '' })).then(give),
      // The client keeps each request until it is answered: over cuts, in order, one at a time.
      retries: Infinity,
      ackTimeout: ACK_TIMEOUT_MS,
    });
    this.follow();
    this.onStorage = ({ key, newValue }) => this.changedElsewhere(key, newValue);
    this.onWake = () => this.wake();
    globalThis.addEventListener?.('storage', this.onStorage);
    for (const event of ['online', 'pageshow', 'focus']) globalThis.addEventListener?.(event, this.onWake);
    globalThis.document?.addEventListener('visibilitychange', this.onWake);
  }

  // ---- events ----

  /** Adds a listener for `state`, `event`, `reload`, `sent`, `failed` or `outbox`. */
  on(name, listener) {
    (this.listeners[name] ??= []).push(listener);
    return this;
  }

  tell(name, ...args) {
    for (const listener of this.listeners[name] ?? []) listener(...args);
  }

  become(state, reason) {
    if (this.state === state && !reason) return;
    this.state = state;
    this.tell('state', state, reason);
  }

  // ---- connecting ----

  follow() {
    const { socket } = this;
    socket.on('connect', () => {
      this.isCured = false;
      this.refusal = undefined;
      this.become('online');
      // After a recovery missed messages come by themselves; else the session is new, and histories must be read again.
      if (!socket.recovered) this.tell('reload');
      this.pump();
    });
    socket.on('disconnect', (reason) => {
      if (reason === 'io client disconnect') return;
      // The server has closed the session for good, after an `error` with the reason. From anything else the client recovers.
      if (reason === 'io server disconnect') this.refused(this.refusal ?? { code: 'CLOSED', message: 'The server closed the connection' });
      else this.become('offline');
    });
    socket.on('connect_error', (error) => {
      // `active`: the server is away, and the client keeps trying. Otherwise it said no, with a reason.
      if (socket.active) this.become('offline');
      else this.refused({ code: error.data?.code ?? 'REFUSED', message: error.message });
    });
    socket.on('error', (error) => {
      this.refusal = error;
    });
    socket.onAny((name, payload) => {
      this.tell('event', name, payload);
    });
    socket.io.on('open', () => {
      this.heardAt = Date.now();
      socket.io.engine.on('packet', () => {
        this.heardAt = Date.now();
      });
    });
  }

  async refused(refusal) {
    if (CURABLE.has(refusal.code) && !this.isCured && this.renew) {
      this.isCured = true;
      this.become('offline');
      let isBetter;
      try {
        isBetter = await this.renew();
      } catch {
        isBetter = false;
      }
      if (this.isClosed) return;
      if (isBetter) return void this.socket.connect();
    }
    this.become('refused', refusal);
  }

  /** Called when the page is visible again or the network is back: ends a dead connection at once. */
  wake() {
    if (this.isClosed || globalThis.document?.visibilityState === 'hidden') return;
    const { io: manager, connected } = this.socket;
    if (connected && Date.now() - this.heardAt > SILENCE_MS) manager.engine.close();
    // Cuts the pause before the next attempt short.
    else if (!connected && this.state === 'offline') this.socket.disconnect().connect();
  }

  close() {
    this.isClosed = true;
    clearTimeout(this.timer);
    globalThis.removeEventListener?.('storage', this.onStorage);
    for (const event of ['online', 'pageshow', 'focus']) globalThis.removeEventListener?.(event, this.onWake);
    globalThis.document?.removeEventListener('visibilitychange', this.onWake);
    this.socket.disconnect();
  }

  // ---- requests ----

  /** Sends a message. Its entry stays in `outbox.entries` until it is stored, by this page or the next one. */
  send(event, payload) {
    const id = newId();
    const entry = { id, event, payload: { ...payload, clientMessageId: id }, at: Date.now(), state: 'waiting' };
    this.outbox.put(entry);
    this.tell('outbox');
    this.pump();
    return entry;
  }

  /** Sends a refused message again. */
  retry(id) {
    const entry = this.outbox.find(id);
    if (!entry) return;
    this.outbox.put(Object.assign(entry, { state: 'waiting', error: undefined }));
    this.tell('outbox');
    this.pump();
  }

  /** Drops an entry. A message that the server already has stays there. */
  discard(id) {
    this.outbox.remove(id);
    this.tell('outbox');
  }

  /** Sends any other request, in order with all others: `join_room`, `mark_as_read`, … Rejects with the refusal. */
  ask(event, payload) {
    return new Promise((resolve, reject) => {
      this.socket.emit(event, payload, (error, answer) => {
        if (error) reject(error);
        else if (answer?.success === false) reject(Object.assign(new Error(answer.error), answer));
        else resolve(answer);
      });
    });
  }

  /** Sends an event that is worthless later, such as typing; dropped while offline. */
  hint(event, payload) {
    if (this.socket.connected) this.socket.volatile.emit(event, payload);
  }

  // ---- the outbox ----

  /** Sends the next entry. One at a time, so that messages are stored in the order in which they were written. */
  pump() {
    if (this.sending || this.isClosed) return;
    const entry = this.outbox.entries.find(({ state }) => state === 'waiting');
    if (!entry) return;
    this.sending = entry;
    this.socket.emit(entry.event, entry.payload, (error, answer) => this.settle(entry, error ? { success: false, code: 'INTERNAL', error: error.message } : answer));
  }

  settle(entry, answer) {
    this.sending = undefined;
    if (this.isClosed) return;
    if (answer.success) {
      this.failures = 0;
      this.outbox.remove(entry.id);
      this.tell('sent', entry, answer);
    } else if (PASSING.has(answer.code)) {
      // Keeps its place: the entries behind it wait.
      this.sending = entry;
      const pause = answer.retryAfterMs ?? Math.min(RETRY_MS * 2 ** this.failures, RETRY_MAX_MS);
      this.failures += 1;
      this.timer = setTimeout(() => {
        this.sending = undefined;
        this.pump();
      }, pause);
      return;
    } else if (this.outbox.find(entry.id)) {
      this.outbox.put(Object.assign(entry, { state: 'failed', error: answer.error }));
      this.tell('failed', entry, answer);
    }
    this.tell('outbox');
    this.pump();
  }

  /** Follows the other tabs of this user: drops entries that they have settled. */
  changedElsewhere(key, newValue) {
    if (!key?.startsWith(this.outbox.prefix)) return;
    const id = key.slice(this.outbox.prefix.length);
    if (newValue === null && this.sending?.id !== id && this.outbox.find(id)) {
      this.outbox.entries = this.outbox.entries.filter((entry) => entry.id !== id);
      this.tell('outbox');
    }
  }
}
