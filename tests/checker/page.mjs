// One life of a front end, in a process of its own: a stock client that writes to its user's conversations and logs what it is told.
// Driven over the process's message channel: `start` (once), `finish`, `mark`.
import { setTimeout as pause } from 'node:timers/promises';

import { TRANSPORTS, VERSIONS } from '../js/lib/client.mjs';
import { Random } from './random.mjs';
import { LogWriter } from './records.mjs';
import { TOO_LONG, nameIn, textOf } from './text.mjs';

/** How long a request may take before the page asks again, ms. */
const ANSWER_LIMIT = 4_000;
/** A reading of the history that fails is tried again after this, ms. */
const READ_AGAIN = 200;

/** How a front end of each dialect says it. */
const WORDS = {
  messenger: {
    send: ({ id, kind, other }, name, content) => (kind === 'direct'
      ? ['send_direct_message', { recipientId: other, content, clientMessageId: name }]
      : ['send_group_message', { conversationId: id, content, clientMessageId: name }]),
    idIn: (answer) => answer.message._id,
    messages: ['new_message', 'new_group_message'],
    read: ({ conversationId, message }) => [message._id, conversationId, message.content, message.sender._id],
    receipt: (id) => ['mark_as_read', { messageId: id }],
    typing: ({ id }) => ['typing_start', { conversationId: id }],
    delivered: 'message_delivered',
  },
};

/** Refusals after which the same request may succeed. */
const TEMPORARY = new Set(['NOT_STORED', 'STORAGE_UNAVAILABLE', 'RATE_LIMITED', 'INTERNAL']);

class Page {
  constructor(plan) {
    this.plan = plan;
    this.random = new Random(`${plan.seed} ${plan.name}`);
    this.log = new LogWriter(plan.log);
    this.words = WORDS[plan.dialect];
    this.written = 0;
    this.acked = 0;
    this.seenMarks = new Set();
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
      // The stock client does not come back from this by itself.
      if (reason === 'io server disconnect') log.add('turned away', reason);
    });
    socket.on('connect_error', (error) => {
      if (!socket.active) log.add('turned away', error.data?.code ?? error.message);
    });
    for (const event of words.messages) socket.on(event, (payload) => this.onMessage(payload));
    socket.on(words.delivered, ({ messageId, userId }) => log.add('delivered', messageId, userId));
  }

  onMessage(payload) {
    const [id, conversation, text, sender] = this.words.read(payload);
    const name = nameIn(text);
    this.log.add('got', id, conversation, name, sender);
    if (this.marks?.delete(name) && this.marks.size === 0) process.send({ complete: true });
    if (name.includes('.end-')) this.seenMarks.add(name);
    if (this.socket.connected && this.random.oneIn(20)) this.socket.emit(...this.words.receipt(id));
  }

  /** What every front end does when it is loaded: it reads the history. Here, up to where it goes. */
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

  /** Writes until it is told to stop; first, what the page before this one got no answer to. */
  async write() {
    const { outbox, lanes, conversations } = this.plan;
    const find = (id) => conversations.find((conversation) => conversation.id === id);
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

  async writeOne() {
    const conversation = this.random.pick(this.plan.conversations);
    const name = `${this.plan.name}.${++this.written}`;
    // A group that the user is not in has to refuse it; so has every other for a text that is too long.
    if (conversation.isForeign && !this.random.oneIn(10)) return;
    if (this.random.oneIn(80)) await this.deliver(conversation, name, `${name} ${'-'.repeat(TOO_LONG)}`);
    else if (this.random.oneIn(30)) await Promise.all([this.deliver(conversation, name), this.deliver(conversation, name)]);
    else await this.deliver(conversation, name);
    if (this.socket.connected && this.random.oneIn(20)) this.socket.emit(...this.words.typing(conversation));
  }

  /** Sends a message, again and again until it is answered. */
  async deliver(conversation, name, text = textOf(name)) {
    for (;;) {
      this.log.add('send', name, conversation.id);
      const answer = await this.ask(...this.words.send(conversation, name, text));
      if (!answer) {
        this.log.add('unknown', name);
        continue;
      }
      if (answer.success) {
        this.acked += 1;
        return this.log.add('ack', name, this.words.idIn(answer));
      }
      this.log.add('refused', name, answer.code);
      if (!TEMPORARY.has(answer.code) || this.random.oneIn(4)) return undefined;
      await pause(READ_AGAIN);
    }
  }

  /** The answer; `undefined` where none came. */
  ask(event, payload) {
    return new Promise((resolve) => {
      this.socket.timeout(ANSWER_LIMIT).emit(event, payload, (error, answer) => resolve(error ? undefined : answer));
    });
  }

  finish() {
    this.isFinishing = true;
  }

  /** Writes a last message to each conversation, and waits until it has seen all the others' last ones that it is shown. */
  async mark(pages) {
    const { name, device, user, pinned, version, conversations } = this.plan;
    const own = conversations.filter(({ isForeign }) => !isForeign);
    const shown = own.flatMap(({ id, kind, members }) => pages
      .filter((page) => page.device !== device && members.includes(page.user))
      .filter((page) => page.user !== user || (version === '4.8' && (kind === 'group' || pinned)))
      .map((page) => markOf(page.name, id)));
    this.marks = new Set(shown.filter((mark) => !this.seenMarks.has(mark)));
    if (this.marks.size === 0) process.send({ complete: true });
    for (const conversation of own) await this.deliver(conversation, markOf(name, conversation.id));
    process.send({ marked: true });
  }
}

const markOf = (page, conversation) => `${page}.end-${conversation}`;

let page;
process.on('message', ({ start, finish, mark }) => {
  if (start) page = new Page(start);
  if (finish) page.finish();
  if (mark) page.mark(mark);
});
// The one who drives it is gone.
process.on('disconnect', () => process.exit());
