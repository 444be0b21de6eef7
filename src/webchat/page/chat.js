// State of the page: conversations, messages, people. It changes by events and HTTP, and notifies the views.
import { Connection } from './parlance.js';
import { part } from './http.js';

const PAGE = 100;
const LISTED = 100;
/** Time after which a sign of typing expires. */
const TYPING_MS = 30_000;
export const MODEL = 'model';

/** Keys of conversations: `c:ID` for one that exists, `u:ID` for a direct one before its first message, `r:NAME` for a public room. */
export const keyOf = { conversation: (id) => `c:${id}`, user: (id) => `u:${id}`, room: (name) => `r:${name}` };

const byTime = (one, other) => (one.createdAt < other.createdAt ? -1 : one.createdAt > other.createdAt ? 1 : one._id < other._id ? -1 : 1);
const RANK = { sent: 0, delivered: 1, read: 2 };

/** Returns a message of a room in the shape of the others: HTTP has other names for its fields. */
function ofRoom(message) {
  if (!message.user) return { status: 'sent', ...message };
  const { user, message: content, timestamp, ...rest } = message;
  return { ...rest, content, createdAt: timestamp, updatedAt: timestamp, status: 'sent', sender: user, file: rest.file ?? null };
}

let threads = 0;

function emptyThread() {
  threads += 1;
  return { uid: threads, messages: [], ids: new Map(), older: undefined, loading: false, failed: false };
}

export class Chat {
  /** `me` is the user, `http` makes their requests, and `options` go to the connection. */
  constructor({ me, http, storage, ...options }) {
    this.me = me;
    this.http = http;
    this.storage = storage === undefined ? localStorage : storage;
    this.conversations = new Map();
    this.people = new Map([[me.id, { id: me.id, username: me.username, fullName: me.fullName, isOnline: true }]]);
    this.asked = new Set();
    this.typing = new Map();
    this.answers = new Map();
    this.listeners = new Set();
    this.selected = undefined;
    this.isListed = false;
    /** Events that came before the list. */
    this.early = [];
    this.cursor = null;
    this.notice = undefined;
    for (const room of this.storedRooms()) this.enter(room);
    this.connection = new Connection({ user: me.id, storage: this.storage, ...options })
      .on('state', (_, refusal) => this.changed((this.refusal = refusal)))
      .on('outbox', () => this.changed())
      .on('sent', (entry, answer) => this.sent(entry, answer.message))
      .on('failed', (_, { error }) => this.say(error))
      .on('reload', () => void this.reload())
      .on('event', (name, payload) => this.told(name, payload));
    this.onSeen = () => this.seen();
    document.addEventListener('visibilitychange', this.onSeen);
    addEventListener('focus', this.onSeen);
    this.sweep = setInterval(() => this.lapse(), 5_000);
  }

  close() {
    clearInterval(this.sweep);
    document.removeEventListener('visibilitychange', this.onSeen);
    removeEventListener('focus', this.onSeen);
    this.listeners.clear();
    this.connection.close();
  }

  // ---- views ----

  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Draws once for all changes of a turn. */
  changed() {
    if (this.isDrawing) return;
    this.isDrawing = true;
    queueMicrotask(() => {
      this.isDrawing = false;
      for (const listener of this.listeners) listener();
    });
  }

  /** Shows a sentence until it is dismissed or another comes. */
  say(text) {
    this.notice = text && { text: String(text), at: Date.now() };
    this.changed();
  }

  async trying(task) {
    try {
      return await task();
    } catch (error) {
      this.say(error.message);
      return undefined;
    }
  }

  // ---- people ----

  learn(user) {
    const id = user.id ?? user._id;
    const known = this.people.get(id);
    const { username, fullName = known?.fullName, isOnline = known?.isOnline, lastSeen = known?.lastSeen } = user;
    this.people.set(id, { ...known, id, username: username ?? known?.username, fullName, isOnline, lastSeen });
  }

  /** Returns the name to show. */
  nameOf(id) {
    if (id === MODEL) return 'Assistant';
    const known = this.people.get(id);
    // A message has only the username.
    if (known?.fullName === undefined) this.ask(id);
    return known ? known.fullName || known.username : '';
  }

  /** Reads a profile, once. */
  ask(id) {
    if (this.asked.has(id)) return;
    this.asked.add(id);
    this.http.get(`/api/users/${part(id)}`).then(
      ({ user }) => this.changed(this.learn(user)),
      ({ status }) => {
        if (status === 404) this.changed(this.learn({ id, username: 'Deleted user' }));
        else this.asked.delete(id);
      },
    );
  }

  search(query) {
    return this.http.get(`/api/users?limit=20&query=${part(query)}`).then(({ users }) => users.filter(({ id }) => id !== this.me.id && id !== MODEL));
  }

  // ---- conversations ----

  /** Puts in a conversation from HTTP or an event. */
  take(conversation) {
    const key = keyOf.conversation(conversation.id);
    const begun = this.conversations.has(key) ? undefined : this.begun(conversation);
    const known = this.conversations.get(key) ?? begun;
    const { id, type, name, avatar, participants, admin, lastMessage, updatedAt, unreadCount = known?.unread ?? 0 } = conversation;
    const peer = this.peerOf(conversation);
    // Whoever wrote last has read the rest.
    const unread = lastMessage?.sender === this.me.id ? 0 : unreadCount;
    const taken = { thread: emptyThread(), draft: '', ...known, key, id, type, name, avatar, participants, admin, peer, updatedAt, unread };
    if (lastMessage && !(known?.last?.at > lastMessage.timestamp)) taken.last = { text: lastMessage.content, sender: lastMessage.sender, at: lastMessage.timestamp };
    this.conversations.set(key, taken);
    if (begun) {
      // It may have existed before, with a history.
      taken.thread.older = undefined;
      queueMicrotask(() => void this.older(key));
    }
    return taken;
  }

  /** Returns the other user of a conversation of two. */
  peerOf({ type, participants }) {
    if (type === 'group') return undefined;
    return type === 'ai' ? MODEL : (participants.find((user) => user !== this.me.id) ?? this.me.id);
  }

  /** Removes and returns the entry that stood for a conversation of two before its first message. */
  begun(conversation) {
    const { id, type, name } = conversation;
    if (type === 'group' || (type === 'ai' && name !== MODEL)) return undefined;
    const key = keyOf.user(this.peerOf(conversation));
    const known = this.conversations.get(key);
    if (!known) return undefined;
    this.conversations.delete(key);
    if (this.selected === key) {
      this.selected = keyOf.conversation(id);
      this.tellSelected?.(this.selected);
    }
    return known;
  }

  /** Returns the direct conversation with a user; if there is none, an entry that becomes one with the first message. */
  withUser(id) {
    for (const conversation of this.conversations.values()) if (conversation.peer === id && (conversation.type === 'direct' || conversation.name === MODEL)) return conversation;
    const key = keyOf.user(id);
    const type = id === MODEL ? 'ai' : 'direct';
    const begun = { key, type, name: id === MODEL ? MODEL : null, participants: [this.me.id, id], peer: id, thread: { ...emptyThread(), older: null }, draft: '', unread: 0, updatedAt: '' };
    this.conversations.set(key, begun);
    return begun;
  }

  titleOf({ type, name, peer, room }) {
    if (type === 'room') return `#${room}`;
    if (type === 'group') return name;
    if (type === 'ai') return name && name !== MODEL ? name : 'Assistant';
    return peer === this.me.id ? 'Notes to yourself' : this.nameOf(peer);
  }

  /** Returns the conversations to show, last active first. Empty new ones are shown only while open. */
  list() {
    const shown = [...this.conversations.values()].filter(({ key, thread }) => !key.startsWith('u:') || key === this.selected || thread.messages.length > 0 || this.waiting(key).length > 0);
    const at = ({ key, last, updatedAt }) => (key.startsWith('u:') ? '9' : (last?.at ?? updatedAt ?? ''));
    return shown.sort((one, other) => (at(one) < at(other) ? 1 : at(one) > at(other) ? -1 : 0));
  }

  unread() {
    return [...this.conversations.values()].reduce((sum, { unread }) => sum + unread, 0);
  }

  /** Keeps an unsent text. */
  keepDraft(key, draft) {
    const known = this.conversations.get(key);
    if (known) known.draft = draft;
  }

  change(key, changes) {
    const known = this.conversations.get(key);
    if (known) this.conversations.set(key, { ...known, ...changes });
    this.changed();
  }

  /** Reads the list and the open conversations again, after a load or a long absence. */
  async reload() {
    const early = this.isListed ? [] : this.early;
    for (const { room } of this.conversations.values()) if (room) this.connection.ask('join_room', room).catch(() => {});
    await this.trying(async () => {
      const { conversations, nextCursor } = await this.http.get(`/api/conversations?limit=${LISTED}`);
      conversations.forEach((conversation) => this.take(conversation));
      this.cursor = nextCursor;
      const { selected } = this;
      if (selected?.startsWith('c:') && !this.conversations.has(selected)) {
        await this.http.get(`/api/conversations/${part(selected.slice(2))}`).then(({ conversation }) => this.take(conversation), () => {});
      }
      this.isListed = true;
      for (const [name, payload] of early.splice(0)) this.told(name, payload);
      this.changed();
      const { users } = await this.http.get('/api/users/online?limit=200');
      for (const [id, user] of this.people) this.people.set(id, { ...user, isOnline: false });
      users.forEach((user) => this.learn({ ...user, isOnline: true }));
      this.changed();
    });
    for (const [key, { thread }] of this.conversations) if (key === this.selected || thread.messages.length > 0) await this.refresh(key);
    this.isListed = true;
    for (const [name, payload] of early.splice(0)) this.told(name, payload);
    this.changed();
  }

  async more() {
    if (!this.cursor) return;
    const cursor = this.cursor;
    this.cursor = null;
    await this.trying(async () => {
      const { conversations, nextCursor } = await this.http.get(`/api/conversations?limit=${LISTED}&before=${part(cursor)}`);
      conversations.forEach((conversation) => this.take(conversation));
      this.cursor = nextCursor;
    });
    this.changed();
  }

  /** Opens a conversation. */
  select(key) {
    this.selected = key;
    if (key?.startsWith('u:') && !this.conversations.has(key)) {
      const conversation = this.withUser(key.slice(2));
      this.selected = conversation.key;
    }
    if (key?.startsWith('r:') && !this.conversations.has(key)) this.join(key.slice(2));
    const known = this.conversations.get(this.selected);
    this.changed();
    if (known && known.thread.older === undefined) void this.older(this.selected);
    this.seen();
  }

  // ---- rooms ----

  storedRooms() {
    try {
      return JSON.parse(this.storage?.getItem(`parlance-rooms:${this.me.id}`) ?? '[]').filter((room) => typeof room === 'string');
    } catch {
      return [];
    }
  }

  storeRooms() {
    const rooms = [...this.conversations.values()].filter(({ room }) => room).map(({ room }) => room);
    try {
      this.storage?.setItem(`parlance-rooms:${this.me.id}`, JSON.stringify(rooms));
    } catch {
      // Storage is full or forbidden: the rooms are forgotten with the page.
    }
  }

  enter(room) {
    const key = keyOf.room(room);
    if (!this.conversations.has(key)) this.conversations.set(key, { key, room, type: 'room', participants: [], thread: emptyThread(), draft: '', unread: 0, updatedAt: '' });
    return key;
  }

  join(room) {
    const key = this.enter(room);
    this.storeRooms();
    this.connection.ask('join_room', room).catch(({ message }) => {
      this.conversations.delete(key);
      this.storeRooms();
      this.say(message);
    });
    return key;
  }

  leaveRoom(key) {
    const { room } = this.conversations.get(key);
    this.conversations.delete(key);
    this.storeRooms();
    this.connection.ask('leave_room', room).catch(() => {});
    this.changed();
  }

  // ---- messages ----

  path({ room, id }) {
    return room ? `/api/rooms/${part(room)}/messages` : `/api/conversations/${part(id)}/messages`;
  }

  /** Reads the page of history before the oldest known message. */
  async older(key) {
    const { thread } = this.conversations.get(key) ?? {};
    if (!thread || thread.loading || thread.older === null) return;
    thread.loading = true;
    this.changed();
    const conversation = this.conversations.get(key);
    try {
      const before = thread.older ? `&before=${part(thread.older)}` : '';
      const { messages, nextCursor } = await this.http.get(`${this.path(conversation)}?limit=${PAGE}${before}`);
      this.insert(thread, messages.map(ofRoom));
      thread.older = nextCursor;
      thread.failed = false;
    } catch (error) {
      thread.failed = true;
      if (error.status === 404 || error.status === 403) thread.older = null;
      else this.say(error.message);
    }
    thread.loading = false;
    this.changed();
    this.seen();
  }

  /** Reads the newest page. If it does not touch the known messages, forgets them: there is a gap between. */
  async refresh(key) {
    const conversation = this.conversations.get(key);
    if (!conversation || key.startsWith('u:')) return;
    try {
      const { messages, nextCursor } = await this.http.get(`${this.path(conversation)}?limit=${PAGE}`);
      const { thread } = conversation;
      const newest = messages.map(ofRoom);
      const touches = thread.messages.length === 0 || nextCursor === null || newest.some(({ _id }) => thread.ids.has(_id));
      if (!touches || thread.older === undefined) thread.older = nextCursor;
      if (!touches) {
        const oldest = newest[0]?.createdAt ?? '';
        thread.messages = thread.messages.filter(({ createdAt }) => createdAt >= oldest);
        thread.ids = new Map(thread.messages.map((message) => [message._id, message]));
      }
      this.insert(thread, newest);
      thread.loading = false;
    } catch (error) {
      if (error.status !== 404 && error.status !== 403) this.say(error.message);
    }
    this.changed();
    this.seen();
  }

  /** Inserts messages in order, each once, with its furthest status. Returns `true` if any is new. */
  insert(thread, messages) {
    const fresh = [];
    for (const message of messages) {
      const known = thread.ids.get(message._id);
      const status = RANK[known?.status] > RANK[message.status] ? known.status : message.status;
      const taken = { ...message, status, isEdited: message.isEdited ?? known?.isEdited };
      thread.ids.set(message._id, taken);
      if (known) thread.messages[thread.messages.indexOf(known)] = taken;
      else fresh.push(taken);
      this.learn(message.sender);
    }
    if (fresh.length === 0) {
      thread.messages = [...thread.messages];
      return false;
    }
    fresh.sort(byTime);
    const [first, last] = [thread.messages[0], thread.messages.at(-1)];
    if (!last || byTime(last, fresh[0]) < 0) thread.messages = [...thread.messages, ...fresh];
    else if (byTime(fresh.at(-1), first) < 0) thread.messages = [...fresh, ...thread.messages];
    else thread.messages = [...thread.messages, ...fresh].sort(byTime);
    return true;
  }

  /** Puts in a message. */
  async arrived(key, message, isLive) {
    let conversation = this.conversations.get(key);
    if (!conversation) {
      // The first message of an unknown conversation.
      const found = await this.trying(() => this.http.get(`/api/conversations/${part(message.conversationId)}`));
      if (!found) return;
      conversation = this.conversations.get(key) ?? this.take(found.conversation);
    }
    const isNew = this.insert(conversation.thread, [message]);
    const isOwn = message.sender._id === this.me.id;
    const last = conversation.last?.at > message.createdAt ? conversation.last : { text: message.content || message.file?.filename || '', sender: message.sender._id, at: message.createdAt };
    // The server's count includes all up to the last message that it listed. A message of one's own means that the rest is read.
    const isCounted = conversation.last?.at >= message.createdAt;
    const unread = isOwn ? 0 : conversation.unread + (isNew && isLive && !isCounted ? 1 : 0);
    this.change(key, { last, unread, updatedAt: message.updatedAt });
    this.stoppedTyping(key, message.sender._id);
    if (isNew && isLive && !isOwn) this.heard = { id: message._id, text: `${this.nameOf(message.sender._id)}: ${message.content || message.file?.filename}` };
    if (message.sender._id === MODEL) this.answers.delete(key);
    this.seen();
  }

  /** Marks the open conversation as read if it is visible, focused and scrolled to its end. */
  seen() {
    const conversation = this.conversations.get(this.selected);
    if (!conversation || document.visibilityState === 'hidden' || !document.hasFocus() || !this.isAtEnd) return;
    const newest = conversation.thread.messages.findLast(({ sender }) => sender._id !== this.me.id);
    if (conversation.unread > 0) this.change(conversation.key, { unread: 0 });
    if (!newest || conversation.room || conversation.readTo === newest._id || newest.readBy?.some(({ user }) => user === this.me.id)) return;
    this.change(conversation.key, { readTo: newest._id });
    this.connection.ask('mark_as_read', { messageId: newest._id }).catch(() => {});
  }

  // ---- actions ----

  /** Returns the unsent messages of a conversation, but for those whose event was faster than their ack. */
  waiting(key) {
    const conversation = this.conversations.get(key);
    if (!conversation || this.connection.outbox.entries.length === 0) return [];
    const names = new Set();
    const { messages } = conversation.thread;
    for (let place = messages.length - 1; place >= Math.max(0, messages.length - 200); place--) names.add(messages[place].clientMessageId);
    return this.connection.outbox.entries.filter(({ id, payload }) => this.isFor(conversation, payload) && !names.has(id));
  }

  isFor({ id, room, type, peer }, { recipientId, conversationId, roomId }) {
    if (roomId !== undefined) return roomId === room;
    if (conversationId !== undefined) return conversationId === id;
    return recipientId !== undefined && recipientId === peer && type !== 'room';
  }

  send(key, content, file) {
    const { type, id, room, peer } = this.conversations.get(key);
    const said = { content, ...(file && { file }) };
    if (room) this.connection.send('send_room_message', { roomId: room, ...said });
    else if (type === 'group') this.connection.send('send_group_message', { conversationId: id, ...said });
    else if (type === 'ai') this.connection.send(...(id ? ['send_group_message', { conversationId: id, ...said, stream: true }] : ['send_direct_message', { recipientId: peer, ...said, stream: true }]));
    else this.connection.send('send_direct_message', { recipientId: peer, ...said });
    this.change(key, { unread: 0 });
  }

  sent(entry, message) {
    const { roomId, recipientId } = entry.payload;
    if (roomId !== undefined) return void this.arrived(keyOf.room(roomId), ofRoom(message));
    if (recipientId !== undefined && this.conversations.has(keyOf.user(recipientId))) {
      this.take({ id: message.conversationId, type: recipientId === MODEL ? 'ai' : 'direct', name: recipientId === MODEL ? MODEL : null, avatar: null, participants: [this.me.id, recipientId], admin: null, lastMessage: null, updatedAt: message.updatedAt });
    }
    void this.arrived(keyOf.conversation(message.conversationId), message);
  }

  edit(message, content) {
    return this.trying(async () => {
      const { message: edited } = await this.http.ask('PATCH', `/api/messages/${part(message._id)}`, { content });
      this.edited(edited);
    });
  }

  remove(message) {
    return this.trying(async () => {
      await this.http.ask('DELETE', `/api/messages/${part(message._id)}`);
      this.deleted({ messageId: message._id, conversationId: message.conversationId });
    });
  }

  type(key, active) {
    const { id } = this.conversations.get(key) ?? {};
    if (id) this.connection.hint(active ? 'typing_start' : 'typing_stop', { conversationId: id });
  }

  makeGroup(name, participants) {
    return this.http.post('/api/conversations', { type: 'group', name, participants }).then(({ conversation }) => this.take(conversation).key);
  }

  /** Changes the name or the members of a group. */
  changeGroup(method, id, rest, body) {
    return this.trying(async () => {
      const { conversation } = await this.http.ask(method, `/api/conversations/${part(id)}${rest}`, body);
      if (conversation) this.changed(this.take(conversation));
      else if (method === 'DELETE') this.gone({ conversationId: id, user: rest.split('/').at(-1) });
    });
  }

  // ---- events ----

  told(name, payload) {
    const told = {
      new_message: ({ conversationId, message }) => this.arrived(keyOf.conversation(conversationId), message, true),
      new_group_message: ({ conversationId, message }) => this.arrived(keyOf.conversation(conversationId), message, true),
      new_room_message: ({ roomId, message }) => this.conversations.has(keyOf.room(roomId)) && this.arrived(keyOf.room(roomId), message, true),
      message_updated: ({ message }) => this.edited(message),
      message_deleted: (gone) => this.deleted(gone),
      message_delivered: ({ messageId, conversationId }) => this.reached(conversationId, messageId, 'delivered'),
      message_read: ({ messageId, conversationId }) => this.reached(conversationId, messageId, 'read'),
      user_online: ({ userId, username }) => this.learn({ id: userId, username, isOnline: true }),
      user_offline: ({ userId, lastSeen }) => this.learn({ id: userId, isOnline: false, lastSeen }),
      user_typing: ({ userId, username, conversationId }) => this.startedTyping(keyOf.conversation(conversationId), userId, username),
      user_stopped_typing: ({ userId, conversationId }) => this.stoppedTyping(keyOf.conversation(conversationId), userId),
      conversation_updated: ({ conversation }) => this.take(conversation),
      conversation_deleted: ({ conversationId }) => this.dropped(conversationId),
      answer_piece: ({ chat, delta }) => this.piece(chat, delta),
      error: ({ message }) => this.failedAnswer(message),
    }[name];
    if (!told || !payload) return;
    // The list would jump if it grew while it is read.
    if (!this.isListed) return void this.early.push([name, payload]);
    told(payload);
    this.changed();
  }

  edited(message) {
    const conversation = this.conversations.get(keyOf.conversation(message.conversationId));
    if (conversation?.thread.ids.has(message._id)) this.insert(conversation.thread, [{ ...message, isEdited: true }]);
    if (conversation?.last?.at === message.createdAt) this.change(conversation.key, { last: { ...conversation.last, text: message.content } });
    this.changed();
  }

  deleted({ messageId, conversationId }) {
    const conversation = this.conversations.get(keyOf.conversation(conversationId));
    const gone = conversation?.thread.ids.get(messageId);
    if (!gone) return;
    const { thread } = conversation;
    thread.ids.delete(messageId);
    thread.messages = thread.messages.filter(({ _id }) => _id !== messageId);
    const newest = thread.messages.at(-1);
    if (conversation.last?.at === gone.createdAt) {
      this.change(conversation.key, { last: newest && { text: newest.content, sender: newest.sender._id, at: newest.createdAt } });
    }
    this.changed();
  }

  /** Raises the status of an own message, and in a conversation of two of all before it. */
  reached(conversationId, messageId, status) {
    const { thread, type } = this.conversations.get(keyOf.conversation(conversationId)) ?? {};
    const reached = thread?.ids.get(messageId);
    if (!reached) return;
    for (let place = thread.messages.indexOf(reached); place >= 0; place--) {
      const message = thread.messages[place];
      if (message.sender._id !== this.me.id) continue;
      // Everything further up has been raised before.
      if (RANK[message.status] >= RANK[status] && message !== reached) break;
      if (RANK[message.status] < RANK[status]) {
        const further = { ...message, status };
        thread.ids.set(message._id, further);
        thread.messages[place] = further;
      }
      if (type !== 'direct') break;
    }
    thread.messages = [...thread.messages];
  }

  gone({ conversationId, user }) {
    if (user === part(this.me.id) || user === '') this.dropped(conversationId);
  }

  dropped(conversationId) {
    this.conversations.delete(keyOf.conversation(conversationId));
    this.changed();
  }

  startedTyping(key, user, username) {
    this.learn({ id: user, username });
    if (!this.typing.has(key)) this.typing.set(key, new Map());
    this.typing.get(key).set(user, Date.now() + TYPING_MS);
  }

  stoppedTyping(key, user) {
    this.typing.get(key)?.delete(user);
  }

  typists(key) {
    return [...(this.typing.get(key)?.keys() ?? [])].filter((user) => user !== this.me.id);
  }

  lapse() {
    for (const typists of this.typing.values()) {
      for (const [user, until] of typists) if (until < Date.now()) this.changed(typists.delete(user));
    }
  }

  /** Adds a piece of the model's answer; `chat` is `model` or the conversation's id. */
  piece(chat, delta) {
    const key = chat === MODEL ? this.withUser(MODEL).key : keyOf.conversation(chat);
    this.answers.set(key, (this.answers.get(key) ?? '') + delta);
  }

  failedAnswer(message) {
    this.answers.clear();
    this.say(message);
  }
}
