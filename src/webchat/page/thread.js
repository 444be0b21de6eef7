// An open conversation: its messages, and the field for a new one.
import { Component, html, useEffect, useLayoutEffect, useRef, useState } from './vendor/preact.js';

import { MODEL } from './chat.js';
import { Avatar, Icon, IconButton, Name, Text, day, size, time, whole } from './ui.js';

/** Numbers of drawn messages: at first, more per step of scrolling, and at most, however long the history is. */
const [FIRST, STEP, MOST] = [40, 20, 90];
/** Distance to an end, in pixels, at which more is drawn or read. */
const NEAR = 900;
/** Maximum distance of messages in one block. */
const BLOCK_MS = 5 * 60_000;
/** Interval of `typing_start`, and the pause after the last key that ends typing. */
const [TYPING_EVERY_MS, TYPING_ENDS_MS] = [10_000, 5_000];

const TICKS = {
  waiting: ['clock', 'Not sent yet'],
  failed: ['alert', 'Not sent'],
  sent: ['tick', 'Sent'],
  delivered: ['ticks', 'Delivered'],
  read: ['ticks', 'Read'],
};

const Ticks = ({ status }) => html`<span class="ticks ${status}" title=${TICKS[status][1]}><${Icon} name=${TICKS[status][0]} /><span class="hidden">${TICKS[status][1]}</span></span>`;

/** Tells whether a file is an upload of this server: no message makes the page ask another host. */
const isOurs = (url) => /^\/uploads\/[\w.-]+$/.test(url);

function File({ file, url }) {
  const { filename, size: bytes, mimetype = '', messageType } = file;
  if (!isOurs(file.url)) return html`<p class="text"><bdi>${filename}</bdi></p>`;
  const href = url + file.url;
  if (messageType === 'image' && mimetype !== 'image/svg+xml') return html`<a class="picture" href=${href} target="_blank" rel="noopener"><img src=${href} alt=${filename} loading="lazy" decoding="async" /></a>`;
  if (messageType === 'video') return html`<video class="picture" src=${href} controls preload="metadata" aria-label=${filename}></video>`;
  if (messageType === 'audio') return html`<audio src=${href} controls preload="metadata" aria-label=${filename}></audio>`;
  return html`<a class="file" href=${href} target="_blank" rel="noopener" download=${filename}><${Icon} name="file" /><span><bdi class="name">${filename}</bdi><small>${size(bytes)}</small></span></a>`;
}

/** A message, drawn again only when it has changed. */
class Row extends Component {
  shouldComponentUpdate(next) {
    return ['message', 'begins', 'newDay', 'name', 'isShared', 'isRoom'].some((field) => next[field] !== this.props[field]);
  }

  render({ chat, message, begins, newDay, name, isOwn, isShared, isRoom, edit }) {
    const { _id, sender, content, file, status, createdAt, isEdited, error, truncated } = message;
    const isStored = status !== 'waiting' && status !== 'failed';
    return html`
      ${newDay && html`<li class="day"><span>${newDay}</span></li>`}
      <li class="row ${isOwn ? 'own' : ''} ${begins ? 'begins' : ''} ${status}" data-id=${_id}>
        ${isShared && !isOwn && (begins ? html`<${Avatar} id=${sender._id} name=${name} icon=${sender._id === MODEL ? 'spark' : undefined} />` : html`<span class="avatar none"></span>`)}
        <div class="bubble">
          ${begins && html`<span class=${isShared && !isOwn ? 'author' : 'hidden'}><${Name}>${isOwn ? 'You' : name}<//></span>`}
          ${file && html`<${File} file=${file} url=${chat.http.url} />`}
          ${content && html`<${Text} text=${content} />`}
          ${truncated && html`<p class="hint">The answer was cut short.</p>`}
          <span class="meta">${isEdited && html`<span>edited</span>`}<time datetime=${createdAt} title=${whole(createdAt)}>${time(createdAt)}</time>${isOwn && html`<${Ticks} status=${isRoom && isStored ? 'sent' : status} />`}</span>
        </div>
        ${isOwn && isStored && !isRoom && html`<span class="acts">
          ${content && html`<${IconButton} name="edit" label="Edit" onClick=${() => edit(message)} />`}
          <${IconButton} name="bin" label="Delete" onClick=${() => confirm('Delete this message for everybody?') && chat.remove(message)} />
        </span>`}
        ${status === 'failed' && html`<p class="refused" role="alert">${error} <button type="button" class="link" onClick=${() => chat.connection.retry(_id)}>Try again</button> <button type="button" class="link" onClick=${() => chat.connection.discard(_id)}>Discard</button></p>`}
      </li>`;
  }
}

const days = new WeakMap();

/** Returns the day of a message, cached: calendars are slow. */
function dayOf(message) {
  if (!days.has(message)) days.set(message, new Date(message.createdAt).toDateString());
  return days.get(message);
}

/** Returns an entry of the outbox as a message. */
function ofEntry({ id, payload, at, state, error }, me) {
  return { _id: id, sender: { _id: me.id, username: me.username }, content: payload.content, file: payload.file, status: state, error, createdAt: new Date(at).toISOString() };
}

/**
 * The messages. Only a window is drawn: `count` messages, without the `hidden` newest. The visible ones stay where they are, whatever
 * is added above or below.
 */
class Messages extends Component {
  constructor(props) {
    super(props);
    this.state = { hidden: 0, count: FIRST, last: undefined };
    this.isAtEnd = true;
    this.entries = new Map();
  }

  /** Keeps the window in place when messages arrive below it. */
  static getDerivedStateFromProps({ conversation: { thread } }, { hidden, last }) {
    const newest = thread.messages.at(-1)?._id;
    if (newest === last) return null;
    const place = hidden > 0 ? thread.messages.findLastIndex(({ _id }) => _id === last) : -1;
    return { last: newest, hidden: place < 0 ? hidden : hidden + thread.messages.length - 1 - place };
  }

  componentDidMount() {
    this.observer = new ResizeObserver(() => this.stay());
    this.observer.observe(this.box);
    this.toEnd();
  }

  componentWillUnmount() {
    this.observer.disconnect();
  }

  getSnapshotBeforeUpdate() {
    return this.isAtEnd ? null : this.look();
  }

  componentDidUpdate(_, __, seen) {
    const { box } = this;
    if (this.isAtEnd && this.state.hidden === 0) box.scrollTop = box.scrollHeight;
    else if (seen) {
      const row = box.querySelector(`[data-id="${CSS.escape(seen.id)}"]`);
      if (row) box.scrollTop += row.getBoundingClientRect().top - seen.top;
    }
    this.seen = this.isAtEnd ? null : this.look();
    this.fill();
  }

  /** Returns the first visible message and its position. */
  look() {
    const top = this.box.getBoundingClientRect().top;
    for (const row of this.box.querySelectorAll('[data-id]')) {
      const { bottom, top: at } = row.getBoundingClientRect();
      if (bottom > top) return { id: row.dataset.id, top: at };
    }
    return null;
  }

  /** Stays at the end when the size changes, by a keyboard or a window. */
  stay() {
    if (this.isAtEnd) this.box.scrollTop = this.box.scrollHeight;
  }

  toEnd() {
    this.isAtEnd = true;
    this.props.chat.isAtEnd = true;
    this.setState({ hidden: 0, count: FIRST });
    this.props.chat.seen();
  }

  scrolled() {
    const { box, state, props } = this;
    const left = box.scrollHeight - box.clientHeight - box.scrollTop;
    const isAtEnd = state.hidden === 0 && left < 60;
    if (isAtEnd !== this.isAtEnd) {
      this.isAtEnd = isAtEnd;
      props.chat.isAtEnd = isAtEnd;
      if (isAtEnd) props.chat.seen();
      this.setState({});
    }
    this.fill();
  }

  /** Draws more near an end of the window, and reads more near the end of the known history. */
  fill() {
    const { box, state: { hidden, count }, props: { chat, conversation: { key, thread } } } = this;
    const left = box.scrollHeight - box.clientHeight - box.scrollTop;
    const before = thread.messages.length - hidden - count;
    if (box.scrollTop < NEAR && before > 0) {
      const more = Math.min(STEP, before);
      const away = Math.max(0, count + more - MOST);
      this.setState({ count: count + more - away, hidden: hidden + away });
    } else if (box.scrollTop < NEAR && thread.older && !thread.loading && !thread.failed) void chat.older(key);
    else if (left < NEAR && hidden > 0) {
      const more = Math.min(STEP, hidden);
      this.setState({ hidden: hidden - more, count: Math.min(count + more, MOST) });
    }
  }

  render({ chat, conversation, edit }, { hidden, count }) {
    const { key, thread, type, room } = conversation;
    const end = thread.messages.length - hidden;
    const shown = thread.messages.slice(Math.max(0, end - count), end);
    // The same entry gives the same object, so that an unchanged row is not drawn again.
    const waiting = hidden > 0 ? [] : chat.waiting(key).map((entry) => {
      const known = this.entries.get(entry.id);
      if (known?.status === entry.state) return known;
      this.entries.set(entry.id, ofEntry(entry, chat.me));
      return this.entries.get(entry.id);
    });
    const isShared = type === 'group' || type === 'room' || type === 'ai';
    let before = thread.messages[Math.max(0, end - count) - 1];
    const rows = [...shown, ...waiting].map((message) => {
      const newDay = before && dayOf(before) === dayOf(message) ? undefined : day(message.createdAt);
      const begins = Boolean(newDay) || before?.sender._id !== message.sender._id || Date.parse(message.createdAt) - Date.parse(before.createdAt) > BLOCK_MS;
      before = message;
      const isOwn = message.sender._id === chat.me.id;
      const name = isOwn ? 'You' : chat.nameOf(message.sender._id) || message.sender.username;
      return html`<${Row} key=${(isOwn && message.clientMessageId) || message._id} chat=${chat} message=${message} begins=${begins} newDay=${newDay} name=${name} isOwn=${isOwn} isShared=${isShared} isRoom=${Boolean(room)} edit=${edit} />`;
    });
    const answer = chat.answers.get(key);
    const isEmpty = rows.length === 0 && thread.older === null && !thread.loading;
    return html`<div class="history">
      <div class="scroll" ref=${(box) => (this.box = box)} onScroll=${() => this.scrolled()} tabindex="0" role="region" aria-label="Messages">
        ${thread.loading && html`<p class="loading"><span class="spinner"></span><span class="hidden">Loading…</span></p>`}
        ${thread.failed && html`<p class="loading"><button type="button" class="plain" onClick=${() => (thread.failed = false, chat.older(key))}>Load earlier messages</button></p>`}
        ${isEmpty && html`<div class="empty"><${Icon} name=${type === 'ai' ? 'spark' : 'chat'} /><p>${type === 'ai' ? 'Ask anything. The answer appears as it is written.' : room ? 'Nobody has written here yet' : 'Nothing here yet. Say hello!'}</p></div>`}
        <ol class="rows">${rows}
          ${answer !== undefined && html`<li class="row begins streaming" key="answer"><${Avatar} id=${MODEL} icon="spark" /><div class="bubble"><span class="author">Assistant</span><p class="text" dir="auto">${answer}<span class="caret" aria-hidden="true"></span></p></div></li>`}
        </ol>
      </div>
      ${!this.isAtEnd && html`<button type="button" class="to-end" onClick=${() => this.toEnd()} aria-label="To the newest messages" title="To the newest messages"><${Icon} name="down" />${conversation.unread > 0 && html`<span class="badge">${conversation.unread}</span>`}</button>`}
    </div>`;
  }
}

function subtitle(chat, { type, key, peer, participants, room }) {
  const typists = chat.typists(key);
  if (typists.length > 0) return type === 'group' ? `${typists.map((id) => chat.nameOf(id)).join(', ')} ${typists.length > 1 ? 'are' : 'is'} typing…` : 'typing…';
  if (type === 'group') return `${participants.length} ${participants.length === 1 ? 'member' : 'members'}`;
  if (room) return 'Public room';
  if (type === 'ai') return 'An AI model: it can be wrong';
  if (peer === chat.me.id) return 'Only you see this';
  const known = chat.people.get(peer);
  if (!known) return '';
  return known.isOnline ? 'Online' : known.lastSeen ? `Last seen ${whole(known.lastSeen)}` : 'Offline';
}

function Composer({ chat, conversation, edited, edit }) {
  const field = useRef();
  const picker = useRef();
  const typing = useRef({});
  const [file, setFile] = useState();
  const [isEmpty, setEmpty] = useState(!conversation.draft);
  const { key } = conversation;

  const stop = () => {
    clearTimeout(typing.current.timer);
    if (typing.current.at) chat.type(key, false);
    typing.current = {};
  };
  useEffect(() => stop, []);
  // With the drawing, not after it: else it comes over what is typed meanwhile.
  useLayoutEffect(() => {
    field.current.value = edited ? edited.content : conversation.draft;
    setEmpty(!field.current.value);
    // On a phone the keyboard would cover the messages.
    if (edited || matchMedia('(hover: hover)').matches) field.current.focus();
  }, [edited]);

  const input = () => {
    const { value } = field.current;
    if (!edited) chat.keepDraft(key, value);
    setEmpty(!value.trim());
    if (!value) return stop();
    if (!(Date.now() - typing.current.at < TYPING_EVERY_MS)) {
      chat.type(key, true);
      typing.current.at = Date.now();
    }
    clearTimeout(typing.current.timer);
    typing.current.timer = setTimeout(stop, TYPING_ENDS_MS);
  };

  const attach = async (chosen) => {
    if (!chosen) return;
    setFile({ filename: chosen.name, isComing: true });
    const answer = await chat.trying(() => chat.http.upload(chosen));
    setFile(answer?.file);
    field.current?.focus();
  };

  const submit = async (event) => {
    event?.preventDefault();
    const content = field.current.value.trim();
    if (file?.isComing || (!content && !file)) return;
    stop();
    if (edited) {
      edit();
      if (content !== edited.content) await chat.edit(edited, content);
      return;
    }
    field.current.value = '';
    chat.keepDraft(key, '');
    setFile(undefined);
    setEmpty(true);
    chat.toEnd?.();
    chat.send(key, content, file);
    field.current.focus();
  };

  const press = (event) => {
    if (event.key === 'Escape' && edited) edit();
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    void submit();
  };

  const paste = (event) => {
    const [pasted] = event.clipboardData?.files ?? [];
    if (!pasted) return;
    event.preventDefault();
    void attach(pasted);
  };

  return html`<form class="composer" onSubmit=${submit} onDragOver=${(event) => event.preventDefault()} onDrop=${(event) => (event.preventDefault(), attach(event.dataTransfer.files[0]))}>
    ${edited && html`<p class="chip"><${Icon} name="edit" /><span>Editing your message</span><${IconButton} name="close" label="Stop editing" onClick=${() => edit()} /></p>`}
    ${file && html`<p class="chip">${file.isComing ? html`<span class="spinner"></span>` : html`<${Icon} name="file" />`}<bdi class="name">${file.filename}</bdi>${!file.isComing && html`<${IconButton} name="close" label="Remove the file" onClick=${() => setFile()} />`}</p>`}
    <div class="line">
      ${!edited && html`<${IconButton} name="clip" label="Attach a file" onClick=${() => picker.current.click()} /><input ref=${picker} type="file" class="hidden" tabindex="-1" aria-hidden="true" onChange=${({ target }) => (attach(target.files[0]), (target.value = ''))} />`}
      <textarea ref=${field} rows="1" placeholder="Write a message" aria-label="Message" enterkeyhint="send" dir="auto" onInput=${input} onKeyDown=${press} onPaste=${paste} onBlur=${stop}></textarea>
      <button class="send" aria-label="Send" title="Send" disabled=${file?.isComing || (isEmpty && !file)}><${Icon} name="send" /></button>
    </div>
  </form>`;
}

/** The open conversation. */
export function Thread({ chat, conversation, title = chat.titleOf(conversation), back, open, close }) {
  const [edited, edit] = useState();
  const { type, peer, room, key } = conversation;
  const icon = { group: 'people', room: 'hash', ai: 'spark' }[type];
  const isOnline = type === 'direct' && peer !== chat.me.id && chat.people.get(peer)?.isOnline;
  const messages = useRef();
  chat.toEnd = () => messages.current?.toEnd();
  return html`<main class="thread" aria-label=${`Conversation: ${title}`}>
    <header class="bar">
      ${back && html`<${IconButton} name="back" label="Back to the list" class="icon-button back" onClick=${back} />`}
      <${Avatar} id=${peer ?? room ?? key} name=${title} icon=${icon} isOnline=${isOnline} />
      <div class="who"><h1><${Name}>${title || ' '}<//></h1><span class="sub">${subtitle(chat, conversation) || ' '}</span></div>
      ${close && html`<${IconButton} name="close" label="Close" onClick=${close} />`}
      ${open && (type === 'group' || room) && html`<${IconButton} name="info" label=${room ? 'About this room' : 'About this group'} onClick=${() => open('info')} />`}
    </header>
    <${Messages} ref=${messages} chat=${chat} conversation=${conversation} edit=${edit} />
    <${Composer} chat=${chat} conversation=${conversation} edited=${edited} edit=${edit} />
  </main>`;
}
