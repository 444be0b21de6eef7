// Dialogs: a new conversation, a group or room, settings.
import { html, useEffect, useState } from './vendor/preact.js';

import { MODEL } from './chat.js';
import { setTheme } from './theme.js';
import { Avatar, Dialog, Icon, IconButton, Name } from './ui.js';

/** Pause after the last key before a search. */
const SEARCH_MS = 200;

/** Search of people as one types. */
function People({ chat, label, onPick, picked = [] }) {
  const [query, setQuery] = useState('');
  const [found, setFound] = useState();
  const [error, setError] = useState('');
  useEffect(() => {
    const wanted = query.trim();
    if (!wanted) return void setFound(undefined);
    const timer = setTimeout(() => chat.search(wanted).then((users) => (setFound({ wanted, users }), setError('')), ({ message }) => setError(message)), SEARCH_MS);
    return () => clearTimeout(timer);
  }, [query]);
  const pick = (user) => {
    chat.learn(user);
    onPick(user);
  };
  // Before the first key: recent partners.
  const known = () => chat.list().filter(({ type, peer }) => type === 'direct' && peer !== chat.me.id).slice(0, 8).map(({ peer }) => chat.people.get(peer)).filter(Boolean);
  const shown = found?.users ?? (query.trim() ? [] : known());
  return html`<label>${label}<input type="search" autocomplete="off" placeholder="Name" value=${query} onInput=${({ target }) => setQuery(target.value)} /></label>
    <ul class="people found" aria-label="People">
      ${shown.map((user) => html`<li key=${user.id}><button type="button" class="person" aria-pressed=${picked.length > 0 ? picked.some(({ id }) => id === user.id) : undefined} onClick=${() => pick(user)}>
        <${Avatar} id=${user.id} name=${user.fullName || user.username} isOnline=${user.isOnline} />
        <span><${Name}>${user.fullName || user.username}<//>${user.fullName && html`<small><bdi>${user.username}</bdi></small>`}</span>
        ${picked.some(({ id }) => id === user.id) && html`<${Icon} name="tick" />`}
      </button></li>`)}
    </ul>
    <p class="none" role="status">${error || (found && found.wanted === query.trim() && found.users.length === 0 ? 'Nobody is called that.' : '')}</p>`;
}

/** Choice of a person, a group, a room or the assistant. */
export function NewConversation({ chat, select, onClose }) {
  const [kind, setKind] = useState('person');
  const [members, setMembers] = useState([]);
  const [error, setError] = useState('');
  const go = (key) => {
    onClose();
    select(key);
  };
  const toggle = (user) => setMembers(members.some(({ id }) => id === user.id) ? members.filter(({ id }) => id !== user.id) : [...members, user]);
  const makeGroup = (event) => {
    event.preventDefault();
    const name = event.target.elements.name.value.trim();
    chat.makeGroup(name, members.map(({ id }) => id)).then(go, ({ message }) => setError(message));
  };
  const joinRoom = (event) => {
    event.preventDefault();
    go(chat.join(event.target.elements.room.value.trim()));
  };
  const KINDS = { person: 'Person', group: 'Group', room: 'Room' };
  return html`<${Dialog} title="New conversation" onClose=${onClose}>
    <div class="kinds" role="group" aria-label="With">
      ${Object.entries(KINDS).map(([name, label]) => html`<button type="button" aria-pressed=${kind === name} onClick=${() => setKind(name)}>${label}</button>`)}
      <button type="button" onClick=${() => go(chat.withUser(MODEL).key)}>Assistant</button>
    </div>
    ${kind === 'person' && html`<${People} key="person" chat=${chat} label="Whom do you want to write to?" onPick=${({ id }) => go(chat.withUser(id).key)} />
      <button type="button" class="plain" onClick=${() => go(chat.withUser(chat.me.id).key)}>Write to yourself</button>`}
    ${kind === 'group' && html`<form onSubmit=${makeGroup}>
      <label>Name of the group<input name="name" required maxlength="100" autocomplete="off" dir="auto" /></label>
      ${members.length > 0 && html`<ul class="chips" aria-label="Members">${members.map((user) => html`<li key=${user.id}><bdi class="name">${user.fullName || user.username}</bdi><${IconButton} name="close" label=${`Without ${user.username}`} onClick=${() => toggle(user)} /></li>`)}</ul>`}
      <${People} key="group" chat=${chat} label="Who is in it?" picked=${members} onPick=${toggle} />
      <p class="error" role="alert">${error}</p>
      <button disabled=${members.length === 0}>Make the group</button>
    </form>`}
    ${kind === 'room' && html`<form onSubmit=${joinRoom}>
      <label>Name of the room<input name="room" required maxlength="200" autocomplete="off" dir="auto" placeholder="lobby" /></label>
      <p class="hint">Rooms are public: whoever knows the name can read and write there.</p>
      <button>Join</button>
    </form>`}
  <//>`;
}

/** Who is in a group, and what its administrator may change; or the way out of a room. */
export function Info({ chat, conversation, select, onClose }) {
  const { key, room, id, name, participants, admin } = conversation;
  const [isAdding, setAdding] = useState(false);
  const isAdmin = admin === chat.me.id;
  const path = (user) => `/participants/${encodeURIComponent(user)}`;
  const leave = async () => {
    if (!confirm(room ? `Leave the room ${room}?` : `Leave the group ${name}?`)) return;
    onClose();
    if (room) chat.leaveRoom(key);
    else await chat.changeGroup('DELETE', id, path(chat.me.id));
    select(undefined);
  };
  const rename = (event) => {
    event.preventDefault();
    void chat.changeGroup('PATCH', id, '', { name: event.target.elements.name.value.trim() });
  };
  if (room) {
    return html`<${Dialog} title="Room" onClose=${onClose}><p><bdi>#${room}</bdi> is public: whoever knows the name can read and write here.</p>
      <button type="button" class="danger" onClick=${leave}>Leave the room</button><//>`;
  }
  return html`<${Dialog} title="Group" onClose=${onClose}>
    ${isAdmin ? html`<form class="rename" onSubmit=${rename}><label>Name<input name="name" required maxlength="100" defaultValue=${name} dir="auto" /></label><button>Rename</button></form>` : html`<p class="title"><${Name}>${name}<//></p>`}
    <h3>${participants.length} ${participants.length === 1 ? 'member' : 'members'}</h3>
    <ul class="people">${participants.map((user) => html`<li key=${user} class="person">
      <${Avatar} id=${user} name=${chat.nameOf(user)} isOnline=${chat.people.get(user)?.isOnline} />
      <span><${Name}>${user === chat.me.id ? 'You' : chat.nameOf(user)}<//>${user === admin && html`<small>Administrator</small>`}</span>
      ${isAdmin && user !== chat.me.id && html`<${IconButton} name="close" label=${`Remove ${chat.nameOf(user)}`} onClick=${() => confirm(`Remove ${chat.nameOf(user)}?`) && chat.changeGroup('DELETE', id, path(user))} />`}
    </li>`)}</ul>
    ${isAdmin && isAdding && html`<${People} chat=${chat} label="Whom do you want to add?" onPick=${(user) => (setAdding(false), chat.changeGroup('POST', id, '/participants', { participants: [user.id] }))} />`}
    <div class="ends">
      ${isAdmin && !isAdding && html`<button type="button" class="plain" onClick=${() => setAdding(true)}>Add somebody</button>`}
      <button type="button" class="danger" onClick=${leave}>Leave the group</button>
    </div>
  <//>`;
}

const THEMES = { auto: 'As the system', light: 'Light', dark: 'Dark' };

/** The own account, colours, and the logout. */
export function Settings({ chat, logOut, onClose }) {
  const [theme, change] = useState(localStorage.getItem('parlance-theme') ?? 'auto');
  const waiting = chat.connection.outbox.entries.length;
  const pick = (name) => {
    localStorage.setItem('parlance-theme', name);
    setTheme(name);
    change(name);
  };
  const leave = () => (waiting === 0 || confirm('Messages that are not sent yet wait here until you log in again. Log out?')) && logOut();
  return html`<${Dialog} title="Settings" onClose=${onClose}>
    <p class="person"><${Avatar} id=${chat.me.id} name=${chat.me.fullName || chat.me.username} /><span><${Name}>${chat.me.fullName || chat.me.username}<//><small><bdi>${chat.me.email ?? chat.me.username}</bdi></small></span></p>
    <fieldset><legend>Colours</legend>${Object.entries(THEMES).map(([name, label]) => html`<label class="choice"><input type="radio" name="theme" checked=${theme === name} onChange=${() => pick(name)} />${label}</label>`)}</fieldset>
    <button type="button" class="danger" onClick=${leave}>Log out</button>
  <//>`;
}

