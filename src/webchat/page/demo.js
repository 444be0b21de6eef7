// The demo at `/`: two people side by side, each with a front end of another dialect, and their traffic.
import { Component, html } from './vendor/preact.js';
import { io } from './vendor/socket.io.js';

import { DIALECTS, ofHistory } from './dialects.js';
import { setTheme } from './theme.js';
import { Http } from './http.js';
import { Avatar, Icon, Name, Text, draw, time } from './ui.js';

/** Maximum number of kept lines of traffic. */
const LINES = 200;
/** Pause after the last key that ends typing. */
const TYPING_MS = 3_000;
const FIRST = { 0: 'messenger', 1: 'conversation' };
const RANK = { sent: 0, delivered: 1, read: 2 };
const WORDS = { sent: 'Sent', delivered: 'Delivered', read: 'Read' };

const { socketPath } = JSON.parse(document.querySelector('meta[name=parlance]').content);
const newId = () => [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** Returns a packet with its event's name marked. */
function marked(text) {
  const [, before, name, rest] = /^(4[2356][\d-]*\[)("[^"]*")([^]*)$/.exec(text) ?? [];
  return name ? [before, html`<b>${name}</b>`, rest] : text;
}

/** One person with a front end. */
class Pane extends Component {
  constructor(props) {
    super(props);
    const messages = new Map(props.history.map((message) => [message.id, message]));
    this.state = { dialect: FIRST[props.place], messages, lines: [], isTyping: false, isConnected: false };
  }

  componentDidMount() {
    this.connect();
  }

  componentWillUnmount() {
    this.socket.disconnect();
  }

  componentDidUpdate() {
    for (const box of [this.box, this.wire]) box.scrollTop = box.scrollHeight;
  }

  get words() {
    return DIALECTS[this.state.dialect];
  }

  connect() {
    const { me, token } = this.props;
    this.socket?.disconnect();
    const socket = io({ path: socketPath, forceNew: true, transports: ['websocket'], auth: { token, dialect: this.state.dialect }, retries: 10, ackTimeout: 5_000 });
    this.socket = socket;
    socket.io.on('open', () => {
      socket.io.engine.on('packet', (packet) => this.note('in', packet));
      socket.io.engine.on('packetCreate', (packet) => this.note('out', packet));
    });
    socket.on('connect', () => {
      this.setState({ isConnected: true });
      this.props.ready(this);
    });
    socket.on('disconnect', () => socket === this.socket && this.setState({ isConnected: false, isTyping: false }));
    socket.on('connect_error', ({ message }) => socket.active || this.setState({ refusal: message }));
    socket.on('error', ({ message }) => this.setState({ refusal: message }));
    socket.onAny((name, payload) => {
      const told = this.words.hear[name]?.(payload);
      if (told) this.hear(told, me);
    });
  }

  /** Adds a line of traffic; heartbeats are left out. */
  note(way, { type, data }) {
    if (type !== 'message' || typeof data !== 'string') return;
    this.lineCount = (this.lineCount ?? 0) + 1;
    const line = { id: this.lineCount, way, text: `4${data}` };
    // The token stays hidden.
    if (data.startsWith('0{') && way === 'out') line.text = line.text.replace(/"token":"[^"]*"/, '"token":"…"');
    this.setState(({ lines }) => ({ lines: [...lines, line].slice(-LINES) }));
  }

  hear({ message, typing, delivered, read, active }) {
    const { other } = this.props;
    if (message) {
      this.put(message);
      if (message.from === other.id) {
        this.setState({ isTyping: false });
        const request = this.words.read(message.id);
        if (request) this.socket.emit(...request);
      }
    }
    if (typing === other.id) this.setState({ isTyping: active });
    if (delivered) this.reached(delivered, 'delivered');
    if (read) this.reached(read, 'read');
  }

  put(message) {
    this.setState(({ messages }) => {
      const known = messages.get(message.id);
      const status = RANK[known?.status] > RANK[message.status] ? known.status : message.status;
      return { messages: new Map(messages).set(message.id, { ...known, ...message, status }) };
    });
  }

  reached(id, status) {
    this.setState(({ messages }) => {
      const known = messages.get(id);
      if (!known || RANK[known.status] >= RANK[status]) return null;
      return { messages: new Map(messages).set(id, { ...known, status }) };
    });
  }

  send(content) {
    const { me, other, conversation } = this.props;
    const [event, payload] = this.words.send({ other, conversation }, content, newId());
    const { words } = this;
    this.socket.emit(event, payload, (error, answer) => {
      if (error || answer.success === false) return this.setState({ refusal: (error ?? answer).message ?? answer.error });
      this.setState({ refusal: undefined });
      return this.put(words.sent(answer, { content, me }));
    });
  }

  type(active) {
    if (this.isTyping === active) return;
    this.isTyping = active;
    const request = this.words.type({ conversation: this.props.conversation }, active);
    if (request) this.socket.volatile.emit(...request);
  }

  input() {
    clearTimeout(this.timer);
    this.type(true);
    this.timer = setTimeout(() => this.type(false), TYPING_MS);
  }

  submit(event) {
    event.preventDefault();
    const { field } = event.target.elements;
    const content = field.value.trim();
    if (!content) return;
    field.value = '';
    clearTimeout(this.timer);
    this.type(false);
    this.send(content);
  }

  choose(dialect) {
    this.type(false);
    this.setState({ dialect, isTyping: false }, () => this.connect());
  }

  render({ me, other, place }, { dialect, messages, lines, isTyping, isConnected, refusal }) {
    const name = me.fullName;
    const sorted = [...messages.values()].sort((one, two) => (one.at < two.at ? -1 : 1));
    return html`<section class="pane" aria-label=${`${name}, who speaks ${dialect}`}>
      <header class="bar">
        <${Avatar} id=${me.id} name=${name} isOnline=${isConnected} />
        <div class="who"><h2><${Name}>${name}<//></h2><span class="sub">${isTyping ? `${other.fullName} is typing…` : isConnected ? 'Connected' : 'Connecting…'}</span></div>
        <label class="dialect"><span>speaks</span><select value=${dialect} onChange=${({ target }) => this.choose(target.value)}>${Object.keys(DIALECTS).map((word) => html`<option value=${word}>${word}</option>`)}</select></label>
      </header>
      <div class="scroll" tabindex="0" role="region" aria-label=${`Messages of ${name}`} ref=${(box) => (this.box = box)}>
        <ol class="rows">${sorted.map((message, index) => {
          const isOwn = message.from === me.id;
          const begins = sorted[index - 1]?.from !== message.from;
          return html`<li key=${message.id} class="row ${isOwn ? 'own' : ''} ${begins ? 'begins' : ''}"><div class="bubble"><${Text} text=${message.text} /><span class="meta"><time datetime=${message.at}>${time(message.at)}</time>${isOwn && html`<span class="ticks ${message.status}" title=${WORDS[message.status]}><${Icon} name=${message.status === 'sent' ? 'tick' : 'ticks'} /><span class="hidden">${WORDS[message.status]}</span></span>`}</span></div></li>`;
        })}</ol>
      </div>
      <form class="composer" onSubmit=${(event) => this.submit(event)}>
        ${refusal && html`<p class="refused" role="alert">${refusal}</p>`}
        <div class="line"><input name="field" autocomplete="off" placeholder=${`Write as ${name}`} aria-label=${`Write as ${name}`} dir="auto" onInput=${() => this.input()} /><button class="send" aria-label=${`Send as ${name}`}><${Icon} name="send" /></button></div>
      </form>
      <div class="wire" tabindex="0" role="region" aria-label=${`Traffic of ${name}`} ref=${(wire) => (this.wire = wire)}>
        <p class="wire-title">On the wire <small>${DIALECTS[dialect].about}</small></p>
        <ol>${lines.map(({ id, way, text }) => html`<li key=${id} class=${way}><span aria-hidden="true">${way === 'out' ? '↑' : '↓'}</span><span class="hidden">${way === 'out' ? 'sent' : 'received'}</span><code>${marked(text)}</code></li>`)}</ol>
      </div>
    </section>`;
  }
}

/** Returns what a pane calls when it is connected: if nothing was said before, each says hello once. */
function greet(people, history) {
  const panes = [];
  return (pane) => {
    panes[pane.props.place] = pane;
    if (history.length > 0 || panes.isGreeted || !panes[0] || !panes[1]) return;
    panes.isGreeted = true;
    panes[0].send(`Hello ${people[1].user.fullName}! I speak ${panes[0].state.dialect}.`);
    const answer = setInterval(() => {
      if (panes[1].state.messages.size === 0) return;
      clearInterval(answer);
      panes[1].send(`Hello ${people[0].user.fullName}! My front end speaks ${panes[1].state.dialect}, and understood you.`);
    }, 300);
  };
}

async function begin() {
  try {
    const { people } = await new Http().post('/api/demo');
    const http = new Http({ token: () => people[0].token });
    const { conversation } = await http.post('/api/conversations', { type: 'direct', participantId: people[1].user.id });
    const { messages } = await http.get(`/api/conversations/${conversation.id}/messages?limit=50`);
    const history = messages.map(ofHistory);
    const ready = greet(people, history);
    draw(html`<div class="demo">
      <header class="intro">
        <h1>Two people, two front ends, one conversation</h1>
        <p>Each side speaks Socket.IO with event names of its own, its dialect. The server understands both and translates: choose dialects, write, and watch the wire.</p>
        <p class="links"><a class="button" href="/?chat">Open the chat</a> <small>The demo is for this machine, and ends when somebody makes an account.</small></p>
      </header>
      <main class="panes">${people.map(({ user, token }, place) => html`<${Pane} key=${user.id} place=${place} me=${user} other=${people[1 - place].user} token=${token} conversation=${conversation.id} history=${history} ready=${ready} />`)}</main>
    </div>`);
  } catch ({ status, message }) {
    // Somebody has registered meanwhile: the demo is over.
    if (status === 404 || status === 403) return location.assign('/?chat');
    draw(html`<main class="door"><div class="card"><h1>One moment</h1><p role="status">${message}. Trying again…</p></div></main>`);
    setTimeout(begin, 2_000);
  }
}

setTheme(localStorage.getItem('parlance-theme'));
void begin();
