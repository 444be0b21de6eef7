// One life of a front end, in a process of its own: a stock client that writes to its user's conversations and logs the
// events that it receives. Controlled over the process's message channel: `start` (once), `burst`, `finish`, `mark`.
import { setTimeout as pause } from 'node:timers/promises';

import { TRANSPORTS, VERSIONS } from '../js/lib/client.mjs';
import { Random } from './random.mjs';
import { LogWriter } from './records.mjs';
import { TOO_LONG, readText, textOf } from './text.mjs';

/** Time in ms after which the page repeats a request. */
const ANSWER_LIMIT = 4_000;
/** Pause in ms after a failed reading of the history. */
const READ_AGAIN = 200;
/** Time in ms for which a page waits for a sign that its connection works, or that everything was received. */
const SIGN_LIMIT = 2_000;
/** Number of its latest messages from which a page picks one to edit or delete. */
const CHANGEABLE = 60;

/** Each dialect's events. */
const WORDS = {
  messenger: {
    send: ({ id, kind, other }, name, content) => (kind === 'direct'
      ? ['send_direct_message', { recipientId: other, content, clientMessageId: name }]
      : ['send_group_message', { conversationId: id, content, clientMessageId: name }]),
    idIn: (answer) => answer.message?._id,
    messages: ['new_message', 'new_group_message'],
    read: ({ conversationId, message }) => [message._id, conversationId, message.content, message.sender._id],
    receipt: (id) => ['mark_as_read', { messageId: id }],
    typing: ({ id }) => ['typing_start', { conversationId: id }],
    delivered: 'message_delivered',
    edited: 'message_updated',
    deleted: 'message_deleted',
    gone: ({ messageId, conversationId }) => [messageId, conversationId],
  },
};

/** Refusals after which the same request may succeed. */
const TEMPORARY = new Set(['NOT_STORED', 'STORAGE_UNAVAILABLE', 'RATE_LIMITED', 'INTERNAL', 'DRAINING', 'HOOK_FAILED']);

class Page {
  constructor(plan) {
    this.plan = plan;
    this.random = new Random(`${plan.seed} ${plan.name}`);
    this.log = new LogWriter(plan.log);
    this.words = WORDS[plan.dialect];
    this.written = 0;
    this.acked = 0;
    this.seenMarks = new Set();
    this.strangers = [...plan.strangers];
    /** Own messages without a change in progress: `{name, id, version}`. */
    this.changeable = [];
    /** Names of all acked messages. */
    this.named = new Set();
    const { url, version, transport, pinned, dialect, token } = plan;
    this.socket = VERSIONS[version](url, {
      transports: TRANSPORTS[transport],
      auth: { token, ...(pinned && { dialect }) },
      forceNew: true,
      autoConnect: false,
      reconnectionDelay: 50,
      reconnectionDelayMax: 500,
      timeout: 3_000,
    });
    this.listen();
    this.socket.connect();
    setInterval(() => process.send({ acked: this.acked }), 250).unref();
  }

  listen() {
    const { socket, log, words } = this;
    socket.on('connect', () => {
      log.add('connect', socket.recovered === true, socket.io.engine.transport.name);
      this.loading ??= this.load();
    });
    socket.on('disconnect', (reason) => {
      log.add('disconnect', reason);
      // After this, the stock client does not reconnect by itself.
      if (reason === 'io server disconnect') log.add('turned away', reason);
    });
    socket.on('connect_error', (error) => {
      if (!socket.active) log.add('turned away', error.data?.code ?? error.message);
    });
    for (const event of words.messages) socket.on(event, (payload) => this.onMessage(payload));
    socket.on(words.edited, (payload) => {
      const [id, conversation, text] = words.read(payload);
      const { name, version } = readText(text);
      log.add('told edit', id, conversation, name, version);
    });
    socket.on(words.deleted, (payload) => log.add('told deletion', ...words.gone(payload)));
    socket.on(words.delivered, ({ messageId, userId }) => log.add('delivered', messageId, userId));
  }

  onMessage(payload) {
    const [id, conversation, text, sender] = this.words.read(payload);
    const { name, version, isHooked } = readText(text);
    this.log.add('got', id, conversation, name, sender, version, isHooked);
    if (this.marks?.delete(name) && this.marks.size === 0) process.send({ complete: true });
    if (name.includes('.end-')) this.seenMarks.add(name);
    if (this.socket.connected && this.random.oneIn(20)) this.socket.emit(...this.words.receipt(id));
  }

  /** Does what every front end does when it is loaded: reads the history, and notes its end. */
  async load() {
    for (const { id, isForeign } of this.plan.conversations) {
      if (!isForeign) this.log.add('loaded', id, await this.lastSeq(id));
    }
    process.send({ loaded: true });
    await this.write();
  }

  async lastSeq(conversation) {
    for (;;) {
      try {
        const response = await fetch(`${this.plan.server}/api/conversations/${conversation}/messages?limit=1`, {
          headers: { authorization: `Bearer ${this.plan.token}` },
          signal: AbortSignal.timeout(ANSWER_LIMIT),
        });
        if (response.ok) return (await response.json()).messages.at(-1)?.seq ?? 0;
      } catch {
        // The server is being restarted.
      }
      await pause(READ_AGAIN);
    }
  }

  /** Writes until told to stop; starts with requests to which the previous page got no answer. */
  async write() {
    const { outbox, lanes, conversations } = this.plan;
    const find = (id) => conversations.find((conversation) => conversation.id === id) ?? draftOf(id);
    const left = outbox.filter(() => !this.random.oneIn(4));
    const lane = async () => {
      for (let next; !this.isFinishing && (next = left.pop());) await this.deliver(find(next.conversation), next.name);
      while (!this.isFinishing) {
        await this.writeOne();
        await pause(this.random.number() * 2 * this.plan.pauseMs);
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    process.send({ idle: true });
  }

  /** Picks a conversation that does not exist yet: with a stranger to whom this user's devices have not written. */
  pickNew() {
    const other = this.strangers.pop();
    return other && draftOf(`${this.plan.user}|${other}`);
  }

  newName() {
    return `${this.plan.name}.${++this.written}`;
  }

  async writeOne() {
    if (this.plan.edits && this.random.oneIn(15)) await this.changeOne();
    const conversation = (this.random.oneIn(300) && this.pickNew()) || this.random.pick(this.plan.conversations);
    const name = this.newName();
    // A group without the user must refuse it; every other conversation must refuse a text that is too long.
    if (conversation.isForeign && !this.random.oneIn(10)) return;
    if (this.random.oneIn(80)) await this.deliver(conversation, name, `${name} ${'-'.repeat(TOO_LONG)}`);
    else if (this.random.oneIn(30)) await Promise.all([this.deliver(conversation, name), this.deliver(conversation, name)]);
    // The sender is shown what it sends to a group in either way, so both ways look the same.
    else if (this.plan.posts && conversation.kind === 'group' && this.random.oneIn(4)) await Promise.all([this.deliver(conversation, name), this.post(conversation, name)]);
    else await this.deliver(conversation, name);
    if (this.socket.connected && this.random.oneIn(20)) this.socket.emit(...this.words.typing(conversation));
  }

  /** Sends a message repeatedly until it is answered; one that is refused for now is given up in the end, unless `insists`. */
  async deliver(conversation, name, text = textOf(name), insists = false) {
    for (;;) {
      this.log.add('send', name, conversation.id, false);
      const answer = await this.ask(...this.words.send(conversation, name, text));
      if (!answer) {
        this.log.add('unknown', name);
        continue;
      }
      if (answer.success) {
        this.acked += 1;
        const id = this.words.idIn(answer);
        this.log.add('ack', name, id);
        return this.noteAcked(name, id);
      }
      this.log.add('refused', name, answer.code);
      if (!TEMPORARY.has(answer.code) || (!insists && this.random.oneIn(4))) return undefined;
      await pause(READ_AGAIN);
    }
  }

  /** Sends a message once, over HTTP: unlike a repeat on the socket, it does not wait behind that. */
  async post({ id }, name) {
    this.log.add('send', name, id, true);
    try {
      const response = await fetch(`${this.plan.server}/api/conversations/${id}/messages`, {
        method: 'POST',
        headers: { authorization: `Bearer ${this.plan.token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ content: textOf(name), clientMessageId: name }),
        signal: AbortSignal.timeout(ANSWER_LIMIT),
      });
      const { message, code } = await response.json();
      if (response.ok) this.log.add('ack', name, message._id);
      else this.log.add('refused', name, code);
    } catch {
      // No answer: the outcome is unknown.
    }
  }

  /** Records an ack. A repeated message is acked twice, and may be changed before the second ack. */
  noteAcked(name, id) {
    if (this.named.has(name)) return;
    this.named.add(name);
    this.noteChangeable({ name, id, version: 0 });
  }

  noteChangeable(message) {
    this.changeable.push(message);
    if (this.changeable.length > CHANGEABLE) this.changeable.shift();
  }

  /** Edits or deletes one of its messages, over HTTP. One whose outcome is unknown is not touched again. */
  async changeOne() {
    if (this.changeable.length === 0) return;
    const [{ name, id, version }] = this.changeable.splice(this.random.between(0, this.changeable.length - 1), 1);
    const next = this.random.oneIn(3) ? undefined : version + 1;
    if (next) this.log.add('edit', name, id, next);
    else this.log.add('delete', name, id);
    try {
      const response = await fetch(`${this.plan.server}/api/messages/${id}`, {
        method: next ? 'PATCH' : 'DELETE',
        headers: { authorization: `Bearer ${this.plan.token}`, 'content-type': 'application/json' },
        body: next && JSON.stringify({ content: textOf(name, next) }),
        signal: AbortSignal.timeout(ANSWER_LIMIT),
      });
      const { code } = await response.json();
      if (response.ok) this.log.add('changed', name, next);
      else this.log.add('unchanged', name, next, code);
      if (next && (response.ok || code === 'STORAGE_UNAVAILABLE')) this.noteChangeable({ name, id, version: next });
    } catch {
      // No answer: the outcome is unknown.
    }
  }

  /**
   * Writes many messages at once, each of them once, and then, by `how`:
   * `left`: closes its connection, and comes back after `backMs`; `cut`, `stop`: says when the server has them; `kill`: says when they are written.
   */
  async burst({ how, count, news, backMs }) {
    const { socket, log } = this;
    const done = (isReceived) => process.send({ burst: { isReceived } });
    if (!socket.connected || !(await this.isHeard())) return done(false);
    const connection = socket.id;
    const own = this.plan.conversations.filter(({ isForeign }) => !isForeign);
    const drafts = Array.from({ length: news }, () => this.pickNew()).filter(Boolean);
    // Sends to new users come first, two each: further ones wait behind the reads of these.
    const places = [...drafts, ...drafts, ...Array.from({ length: count }, () => this.random.pick(own))];
    const names = places.map((place) => this.sendOnce(place));
    const stays = () => socket.connected && socket.id === connection;
    if (how === 'kill') return done(true);
    if (how === 'left') {
      const isOurs = await this.leave();
      if (isOurs) log.add('burst', how, names);
      setTimeout(() => socket.connect(), backMs);
      return done(isOurs);
    }
    const isReceived = (await this.isHeard()) && stays();
    if (isReceived) log.add('burst', how, names);
    return done(isReceived);
  }

  /** Sends a message that is not repeated; returns its name. */
  sendOnce(conversation) {
    const name = this.newName();
    this.log.add('send', name, conversation.id, true);
    this.ask(...this.words.send(conversation, name, textOf(name))).then((answer) => {
      if (!answer) return;
      if (answer.success) this.log.add('ack', name, this.words.idIn(answer));
      else this.log.add('refused', name, answer.code);
    });
    return name;
  }

  /**
   * Returns whether the server has received everything written so far: it answers a CONNECT for an unknown namespace at
   * once.
   */
  isHeard() {
    const { socket } = this;
    this.signs = (this.signs ?? 0) + 1;
    const probe = socket.io.socket(`/nowhere-${this.signs}`);
    const answered = new Promise((resolve) => {
      probe.once('connect_error', (error) => resolve(/namespace/i.test(error.message)));
      socket.once('disconnect', () => resolve(false));
    });
    probe.connect();
    return Promise.race([answered, pause(SIGN_LIMIT, false)]).finally(() => {
      probe.disconnect();
      delete socket.io.nsps[probe.nsp];
    });
  }

  /**
   * Closes the connection in one of the ways that front ends have; returns whether it was closed by us after everything
   * was written.
   */
  async leave() {
    const { engine } = this.socket.io;
    const closed = new Promise((resolve) => engine.once('close', resolve));
    if (this.random.oneIn(2)) this.socket.disconnect();
    else engine.close();
    const reason = await Promise.race([closed, pause(SIGN_LIMIT)]);
    return reason === 'forced close';
  }

  /** Returns the answer; `undefined` if none came. */
  ask(event, payload) {
    return new Promise((resolve) => {
      this.socket.timeout(ANSWER_LIMIT).emit(event, payload, (error, answer) => resolve(error ? undefined : answer));
    });
  }

  finish() {
    this.isFinishing = true;
  }

  /**
   * Writes a last message to each conversation, and waits until it has seen all of the others' last messages that it is
   * shown.
   */
  async mark(pages) {
    const { name, device, user, pinned, version, conversations } = this.plan;
    const own = conversations.filter(({ isForeign }) => !isForeign);
    const shown = own.flatMap(({ id, kind, members }) => pages
      .filter((page) => page.device !== device && members.includes(page.user))
      .filter((page) => page.user !== user || (version === '4.8' && (kind === 'group' || pinned)))
      .map((page) => markOf(page.name, id)));
    this.marks = new Set(shown.filter((mark) => !this.seenMarks.has(mark)));
    if (this.marks.size === 0) process.send({ complete: true });
    for (const conversation of own) await this.deliver(conversation, markOf(name, conversation.id), undefined, true);
    process.send({ marked: true });
  }
}

/** A conversation with a new user, by the name that it has until it exists. */
const draftOf = (id) => ({ id, kind: 'direct', other: id.split('|')[1] });

const markOf = (page, conversation) => `${page}.end-${conversation}`;

let page;
process.on('message', ({ start, burst, finish, mark }) => {
  if (start) page = new Page(start);
  if (burst) page.burst(burst);
  if (finish) page.finish();
  if (mark) page.mark(mark);
});
// The controlling process is gone.
process.on('disconnect', () => process.exit());
