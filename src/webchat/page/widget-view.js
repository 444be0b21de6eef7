// The chat in a foreign page: a button in its corner, and one conversation behind it, in a closed shadow root. The page's styles and
// scripts do not reach in. The widget takes nothing from the page but the attributes of its `<script>`, and tells it nothing.
import { html, render, useEffect, useReducer, useState } from './vendor/preact.js';

import { Chat, keyOf } from './chat.js';
import { Http } from './http.js';
import { Thread } from './thread.js';
import { Icon } from './ui.js';

const AGAIN_MS = [2_000, 60_000];

function Widget({ chat, target, title }) {
  const [, draw] = useReducer((count) => count + 1, 0);
  const [isOpen, setOpen] = useState(false);
  useEffect(() => chat.listen(draw), []);
  const key = target(chat);
  const conversation = chat.conversations.get(isOpen ? chat.selected : key);
  const unread = conversation?.unread ?? 0;
  const show = () => {
    chat.select(key);
    setOpen(true);
  };
  const hide = () => {
    chat.select(undefined);
    setOpen(false);
  };
  const { state } = chat.connection;
  return html`<div class="widget" onKeyDown=${({ key }) => key === 'Escape' && hide()}>
    ${isOpen && html`<section class="panel" role="dialog" aria-label=${title}>
      ${conversation ? html`<${Thread} key=${conversation.thread.uid} chat=${chat} conversation=${conversation} title=${title} close=${hide} />` : html`<main class="thread none"><span class="spinner"></span></main>`}
      ${state === 'offline' && html`<p class="banner" role="status"><span class="spinner"></span>Offline. What you write is sent when the server is back.</p>`}
      ${state === 'refused' && html`<p class="banner refused" role="alert"><${Icon} name="alert" />${chat.refusal?.message ?? 'The server closed the connection'}</p>`}
      ${chat.notice && html`<div class="notices" role="alert"><p class="notice">${chat.notice.text}<button type="button" class="link" onClick=${() => chat.say(undefined)}>OK</button></p></div>`}
    </section>`}
    <button type="button" class="launcher" aria-expanded=${isOpen} aria-label=${unread > 0 ? `${title}, ${unread} unread` : title} title=${title} onClick=${isOpen ? hide : show}><${Icon} name=${isOpen ? 'close' : 'chat'} />${unread > 0 && !isOpen && html`<span class="badge">${unread}</span>`}</button>
    <div class="hidden" aria-live="polite">${chat.heard && html`<span key=${chat.heard.id}>${chat.heard.text.slice(0, 300)}</span>`}</div>
  </div>`;
}

/** Returns a function that finds the key of the wanted conversation, or `undefined` if no attribute names one. */
function targetOf({ to, conversation, room }) {
  if (room) return () => keyOf.room(room);
  if (conversation) return () => keyOf.conversation(conversation);
  if (to) return (chat) => [...chat.conversations.values()].find(({ peer, type }) => peer === to && type !== 'group')?.key ?? keyOf.user(to);
  return undefined;
}

async function styles(beside) {
  const texts = await Promise.all(['chat.css', 'widget.css'].map((name) => fetch(new URL(name, beside), { credentials: 'omit' }).then((response) => response.text())));
  return texts.map((text) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(text);
    return sheet;
  });
}

/** Puts the widget into the page; called by `widget.js`, once. */
export async function mount(script, { origin, socketPath }) {
  const { token: name, title = 'Chat', theme } = script.dataset;
  const target = targetOf(script.dataset);
  if (!name || !target) return console.error('The chat needs data-token, and one of data-to, data-conversation and data-room');
  // Looked up each time: the page may define it later.
  const token = async () => {
    if (typeof window[name] !== 'function') throw new Error(`window.${name} is no function`);
    return window[name]();
  };
  const http = new Http({ url: origin, token });
  const me = await whoAmI(http);
  const element = document.createElement('parlance-chat');
  if (theme) element.dataset.theme = theme;
  const root = element.attachShadow({ mode: 'closed' });
  root.adoptedStyleSheets = await styles(import.meta.url);
  // All scripts of the page can read its storage: unsent messages stay in memory.
  const chat = new Chat({ me, http, url: origin, path: socketPath, token, storage: null });
  render(html`<${Widget} chat=${chat} target=${target} title=${title} />`, root);
  document.body.append(element);
  return undefined;
}

/** Asks for the user until there is one: they may log in after the page was opened. */
async function whoAmI(http) {
  for (let pause = AGAIN_MS[0]; ; pause = Math.min(pause * 2, AGAIN_MS[1])) {
    try {
      return (await http.get('/api/auth/me')).user;
    } catch (error) {
      console.warn('The chat is not there yet:', error.message);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}
