// The list of conversations, and the own name above it.
import { html, useState } from './vendor/preact.js';

import { Avatar, Icon, IconButton, Name, shortTime, whole } from './ui.js';

const SIGNS = { group: 'people', room: 'hash', ai: 'spark' };

/** The line under a conversation's name: typing, an unsent message, a draft, or the last message. */
function Preview({ chat, conversation }) {
  const { key, last, type, draft } = conversation;
  const typists = chat.typists(key);
  if (typists.length > 0) return html`<span class="typing">${type === 'group' ? html`<bdi>${chat.nameOf(typists[0])}</bdi> is typing…` : 'typing…'}</span>`;
  const waiting = chat.waiting(key).at(-1);
  if (waiting) return html`<${Icon} name=${waiting.state === 'failed' ? 'alert' : 'clock'} /><span dir="auto">${waiting.payload.content || 'A file'}</span>`;
  if (draft && key !== chat.selected) return html`<em>Draft:</em> <span dir="auto">${draft.slice(0, 200)}</span>`;
  if (!last) return html`<span>${type === 'ai' ? 'Ask anything' : 'No messages yet'}</span>`;
  const who = last.sender === chat.me.id ? 'You: ' : type === 'group' || type === 'room' ? html`<bdi>${chat.nameOf(last.sender)}</bdi>: ` : '';
  return html`${who}<span dir="auto">${last.text.slice(0, 200)}</span>`;
}

function Item({ chat, conversation, select }) {
  const { key, type, peer, unread, last, room } = conversation;
  const title = chat.titleOf(conversation);
  const isOnline = type === 'direct' && peer !== chat.me.id && chat.people.get(peer)?.isOnline;
  const isOpen = key === chat.selected;
  return html`<li>
    <a class="item ${unread > 0 ? 'unread' : ''}" href="#${encodeURIComponent(key)}" aria-current=${isOpen ? 'page' : undefined} onClick=${(event) => (event.preventDefault(), select(key))}>
      <${Avatar} id=${peer ?? room ?? key} name=${title} icon=${SIGNS[type]} isOnline=${isOnline} />
      <span class="top"><${Name}>${title || ' '}<//>${isOnline && html`<span class="hidden">, online</span>`}${last && html`<time datetime=${last.at} title=${whole(last.at)}>${shortTime(last.at)}</time>`}</span>
      <span class="bottom"><span class="preview"><${Preview} chat=${chat} conversation=${conversation} /></span>${unread > 0 && html`<span class="badge"><span aria-hidden="true">${unread > 99 ? '99+' : unread}</span><span class="hidden">${unread} unread</span></span>`}</span>
    </a>
  </li>`;
}

/** States of the connection, in words for people. */
const STATES = { connecting: 'Connecting…', online: 'Online', offline: 'Offline – looking for the server…', refused: 'Not connected' };

export function Side({ chat, select, open }) {
  const [filter, setFilter] = useState('');
  const wanted = filter.trim().toLowerCase();
  const all = chat.list();
  const shown = wanted ? all.filter((conversation) => chat.titleOf(conversation).toLowerCase().includes(wanted)) : all;
  const name = chat.me.fullName || chat.me.username;
  const { state } = chat.connection;
  return html`<aside class="side" aria-label="Conversations">
    <header class="bar">
      <${Avatar} id=${chat.me.id} name=${name} />
      <div class="who"><${Name}>${name}<//><span class="state ${state}" role="status">${STATES[state]}</span></div>
      <${IconButton} name="plus" label="New conversation" onClick=${() => open('new')} />
      <${IconButton} name="settings" label="Settings" onClick=${() => open('settings')} />
    </header>
    <div class="find"><input type="search" placeholder="Search conversations" aria-label="Search conversations" value=${filter} onInput=${({ target }) => setFilter(target.value)} /></div>
    <nav class="items" aria-label="Conversations">
      ${!chat.isListed && all.length === 0 && html`<ul aria-hidden="true">${[...'123456'].map(() => html`<li class="item ghost"><span class="avatar"></span><span class="top"></span><span class="bottom"></span></li>`)}</ul>`}
      ${shown.length > 0 && html`<ul>${shown.map((conversation) => html`<${Item} key=${conversation.key} chat=${chat} conversation=${conversation} select=${select} />`)}</ul>`}
      ${chat.isListed && all.length === 0 && html`<div class="empty"><${Icon} name="chat" /><p>No conversations yet</p><button type="button" onClick=${() => open('new')}>Find somebody</button></div>`}
      ${wanted && shown.length === 0 && html`<p class="none">No conversation is called “<bdi>${filter}</bdi>”. <button type="button" class="link" onClick=${() => open('new')}>Look among all people</button></p>`}
      ${chat.cursor && !wanted && html`<button type="button" class="plain more" onClick=${() => chat.more()}>Show more</button>`}
    </nav>
  </aside>`;
}
