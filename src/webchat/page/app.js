// The chat at `/`: login, then the list and one open conversation. Preact draws it as a whole when something changes.
import { html, useEffect, useReducer, useState } from './vendor/preact.js';

import { Chat } from './chat.js';
import { Info, NewConversation, Settings } from './dialogs.js';
import { Door } from './door.js';
import { Http } from './http.js';
import { Side } from './side.js';
import { setTheme } from './theme.js';
import { Thread } from './thread.js';
import { Icon, IconButton, draw } from './ui.js';

const TOKEN = 'parlance-token';
/** Marks a reload after the end of a login. */
const ENDED = 'parlance-ended';
/** Interval at which an open page renews its login. */
const RENEW_MS = 6 * 60 * 60 * 1_000;
const AGAIN_MS = 2_000;
const NOTICE_MS = 8_000;

const { socketPath, mayRegister } = JSON.parse(document.querySelector('meta[name=parlance]').content);

/** Decodes a part of an address; `undefined` if it is malformed. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Returns the token of a host that logs people in itself. It comes as `#token=…`, leaves the address at once, and lives as long as the tab. */
function hostsToken() {
  const given = /^#token=(.+)$/.exec(location.hash);
  if (given) {
    sessionStorage.setItem(TOKEN, decoded(given[1]) ?? '');
    history.replaceState(null, '', location.pathname + location.search);
  }
  return sessionStorage.getItem(TOKEN) ?? undefined;
}

const token = hostsToken();
const http = new Http({ token: token && (() => token) });

/** Returns the key of the conversation in the address. */
const keyInAddress = () => decoded(location.hash.slice(1)) || undefined;

/** A sentence, shown until it is dismissed or for a while. */
function Notice({ chat }) {
  const { notice } = chat;
  useEffect(() => {
    if (!notice) return undefined;
    const timer = setTimeout(() => chat.say(undefined), NOTICE_MS);
    return () => clearTimeout(timer);
  }, [notice]);
  return html`<div class="notices" role="alert">${notice && html`<p class="notice" key=${notice.at}><${Icon} name="alert" /><span dir="auto">${notice.text}</span><${IconButton} name="close" label="Dismiss" onClick=${() => chat.say(undefined)} /></p>`}</div>`;
}

function Main({ chat, logOut }) {
  const [, redraw] = useReducer((count) => count + 1, 0);
  const [dialog, open] = useState();
  useEffect(() => chat.listen(redraw), []);
  const select = (key) => {
    if (key === chat.selected) return;
    const state = key ? `#${encodeURIComponent(key)}` : location.pathname + location.search;
    // "Back" leads to the list, however many conversations were opened meanwhile.
    if (key && !chat.selected) history.pushState(null, '', state);
    else history.replaceState(null, '', state);
    chat.select(key);
  };
  useEffect(() => {
    chat.tellSelected = (key) => history.replaceState(null, '', `#${encodeURIComponent(key)}`);
    const follow = () => chat.select(keyInAddress());
    const press = (event) => {
      if (!event.altKey || (event.key !== 'ArrowUp' && event.key !== 'ArrowDown')) return;
      event.preventDefault();
      const all = chat.list();
      const next = all[all.findIndex(({ key }) => key === chat.selected) + (event.key === 'ArrowDown' ? 1 : -1)];
      if (next) select(next.key);
    };
    addEventListener('popstate', follow);
    addEventListener('keydown', press);
    follow();
    return () => {
      removeEventListener('popstate', follow);
      removeEventListener('keydown', press);
    };
  }, []);
  const unread = chat.unread();
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) Chat` : 'Chat';
  }, [unread]);
  const conversation = chat.conversations.get(chat.selected);
  const close = () => open(undefined);
  const { state } = chat.connection;
  return html`<div class="app ${conversation ? 'reading' : ''}">
    <${Side} chat=${chat} select=${select} open=${open} />
    ${conversation ? html`<${Thread} key=${conversation.thread.uid} chat=${chat} conversation=${conversation} back=${() => select(undefined)} open=${open} />` : html`<main class="thread none"><div class="empty">${chat.isListed && html`<p>${chat.selected ? 'There is no such conversation' : chat.list().length > 0 ? 'Choose a conversation, or begin one' : 'Write to somebody, make a group, join a room, or ask the assistant'}</p>`}</div></main>`}
    ${state === 'offline' && html`<p class="banner" role="status"><span class="spinner"></span>You are offline. What you write is kept, and sent when the server is back.</p>`}
    ${state === 'refused' && html`<p class="banner refused" role="alert"><${Icon} name="alert" /><span>${chat.refusal?.message ?? 'The server closed the connection'}</span><button type="button" onClick=${() => location.reload()}>Connect again</button></p>`}
    <${Notice} chat=${chat} />
    <div class="hidden" aria-live="polite">${chat.heard && html`<span key=${chat.heard.id}>${chat.heard.text.slice(0, 300)}</span>`}</div>
    ${dialog === 'new' && html`<${NewConversation} chat=${chat} select=${select} onClose=${close} />`}
    ${dialog === 'settings' && html`<${Settings} chat=${chat} logOut=${logOut} onClose=${close} />`}
    ${dialog === 'info' && conversation && html`<${Info} chat=${chat} conversation=${conversation} select=${select} onClose=${close} />`}
  </div>`;
}

function showDoor(reason) {
  draw(html`<${Door} key="door" http=${new Http()} mayRegister=${mayRegister} reason=${reason} enter=${enter} />`);
}

/** Tells whether the cookie or the host's token still counts, and renews the cookie. */
async function renew() {
  try {
    if (!token) await http.post('/api/auth/refresh').catch(({ status }) => status);
    await http.get('/api/auth/me');
    return true;
  } catch ({ status }) {
    if (status === 401) {
      sessionStorage.setItem(ENDED, 'yes');
      location.reload();
    }
    return false;
  }
}

function enter(me) {
  const chat = new Chat({ me, http, path: socketPath, token: http.token, renew });
  const logOut = async () => {
    if ((await chat.trying(() => http.post('/api/auth/logout'))) === undefined) return;
    sessionStorage.removeItem(TOKEN);
    chat.close();
    location.assign('/');
  };
  setInterval(() => !token && http.post('/api/auth/refresh').catch(() => {}), RENEW_MS);
  draw(html`<${Main} key="main" chat=${chat} logOut=${logOut} />`);
}

async function begin() {
  try {
    enter((await http.get('/api/auth/me')).user);
  } catch ({ status, message }) {
    if (status === 401 || status === 403) {
      const [isHosts, isOver] = [TOKEN, ENDED].map((name) => sessionStorage.getItem(name) !== null);
      for (const name of [TOKEN, ENDED]) sessionStorage.removeItem(name);
      return showDoor(isHosts ? 'Your token is not valid any more: come again from where you came.' : isOver ? 'Your login has ended: log in again.' : undefined);
    }
    draw(html`<main class="door" key="away"><div class="card"><span class="sign"><${Icon} name="alert" /></span><h1>One moment</h1><p role="status">${message}. Trying again…</p></div></main>`);
    setTimeout(begin, AGAIN_MS);
  }
}

setTheme(localStorage.getItem('parlance-theme'));
void begin();
