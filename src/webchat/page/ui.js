// Small parts of several views. Texts of people become text nodes, never HTML.
import { html, render, useEffect, useReducer, useRef } from './vendor/preact.js';

/** Number of characters above which only the beginning of a text is shown at first. */
const LONG = 2_000;
const LINK = /https?:\/\/[^\s<>"'`]+[^\s<>"'`.,:;!?)\]}]/gi;
const HUES = 10;

const ICONS = {
  back: 'M15 5l-7 7 7 7',
  plus: 'M12 5v14M5 12h14',
  send: 'M4 12l16-8-5 17-3.5-7z',
  clip: 'M20 11l-8.5 8.5a5 5 0 0 1-7-7L13 4a3.4 3.4 0 0 1 5 5l-8.5 8.5a1.8 1.8 0 0 1-2.5-2.5l7.5-7.6',
  close: 'M6 6l12 12M18 6L6 18',
  down: 'M6 10l6 6 6-6',
  info: 'M12 11v6M12 7.5v.5M3 12a9 9 0 1 0 18 0a9 9 0 1 0-18 0',
  edit: 'M4 20l1-4.5L16 4.5l3.5 3.5L8.500 19z',
  bin: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
  clock: 'M12 7v5l3 2M3 12a9 9 0 1 0 18 0a9 9 0 1 0-18 0',
  alert: 'M12 8v5M12 16v.5M12 3L2 20h20z',
  file: 'M6 3h8l4 4v14H6zM14 3v4h4',
  tick: 'M5 13l4 4L19 7',
  ticks: 'M2 13l4 4L15 7M11 15.500l1.500 1.500L22 7',
  settings: 'M4 7h9M19 7h1M16 4.5v5M4 17h1M11 17h9M8 14.5v5',
  people: 'M9 11a3.500 3.500 0 1 0 0-7a3.500 3.500 0 0 0 0 7M2.500 20a6.500 6.500 0 0 1 13 0M16 4.500a3.500 3.500 0 0 1 0 6.500M18 14.500a6.500 6.500 0 0 1 3.500 5.500',
  spark: 'M12 3l1.800 5.200L19 10l-5.200 1.800L12 17l-1.800-5.200L5 10l5.200-1.800zM19 16v5M16.500 18.500h5',
  hash: 'M9 4L7 20M17 4l-2 16M4 9h16M4 15h16',
  chat: 'M4 5h16v11H10l-5 4v-4H4z',
};

/** Draws a view in place of the one before, at first of the sign that the page is loading. */
export function draw(view) {
  const root = document.getElementById('root');
  root.querySelector('.boot')?.remove();
  render(view, root);
}

export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${ICONS[name]} /></svg>`;

/** A button with an icon and a label for screen readers. */
export const IconButton = ({ name, label, ...rest }) => html`<button type="button" class="icon-button" aria-label=${label} title=${label} ...${rest}><${Icon} name=${name} /></button>`;

/** Returns a hue, always the same for an id. */
function hue(id) {
  let sum = 7;
  for (const character of String(id)) sum = (sum * 31 + character.codePointAt(0)) % 9973;
  return sum % HUES;
}

function initials(name) {
  const words = String(name).replace(/[^\p{L}\p{N}\s]/gu, ' ').trim().split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...word][0]).join('').toUpperCase() || '?';
}

/** Initials on a colour: pictures of other hosts are not fetched. `isOnline` adds a dot. */
export const Avatar = ({ id, name, icon, isOnline }) => html`<span class="avatar hue-${hue(id)}" aria-hidden="true">${icon ? html`<${Icon} name=${icon} />` : initials(name)}${isOnline && html`<i class="dot"></i>`}</span>`;

/** A name of any direction and length. */
export const Name = ({ children }) => html`<bdi class="name">${children}</bdi>`;

/** Splits a text into texts and links. */
export function linked(text) {
  const parts = [];
  let end = 0;
  for (const { 0: link, index } of text.matchAll(LINK)) {
    parts.push(text.slice(end, index), html`<a href=${link} target="_blank" rel="noopener noreferrer nofollow">${link}</a>`);
    end = index + link.length;
  }
  parts.push(text.slice(end));
  return parts;
}

export function Text({ text }) {
  const [isWhole, show] = useReducer(() => true, false);
  const characters = text.length > LONG && !isWhole ? `${text.slice(0, LONG / 2)}…` : text;
  const isPicture = text.length < 20 && /^(\p{Extended_Pictographic}(\uFE0F|\p{Emoji_Modifier}|\u200D\p{Extended_Pictographic})*){1,3}$/u.test(text);
  return html`<p class="text ${isPicture ? 'large' : ''}" dir="auto">${linked(characters)}${characters !== text && html` <button type="button" class="link" onClick=${show}>Show all</button>`}</p>`;
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const WEEKDAY = new Intl.DateTimeFormat(undefined, { weekday: 'short' });
const DATE = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

export const time = (text) => TIME.format(new Date(text));
export const whole = (text) => WHOLE.format(new Date(text));

const midnight = (time) => new Date(time.getFullYear(), time.getMonth(), time.getDate()).getTime();
const daysAgo = (text) => Math.round((midnight(new Date()) - midnight(new Date(text))) / 86_400_000);

/** Returns the time for today, the weekday for this week, else the date. */
export function shortTime(text) {
  const days = daysAgo(text);
  if (days <= 0) return time(text);
  return days < 7 ? WEEKDAY.format(new Date(text)) : DATE.format(new Date(text));
}

export function day(text) {
  const days = daysAgo(text);
  return days <= 0 ? 'Today' : days === 1 ? 'Yesterday' : DAY.format(new Date(text));
}

export function size(bytes) {
  if (bytes < 1_000) return `${bytes} bytes`;
  return bytes < 1_000_000 ? `${Math.round(bytes / 1_000)} KB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** A modal dialog, open as long as it is drawn. */
export function Dialog({ title, onClose, children }) {
  const dialog = useRef();
  useEffect(() => {
    dialog.current.showModal();
  }, []);
  const onClick = ({ target }) => target === dialog.current && dialog.current.close();
  return html`<dialog ref=${dialog} aria-labelledby="dialog-title" onClose=${onClose} onClick=${onClick}>
    <div class="sheet">
      <header><h2 id="dialog-title">${title}</h2><${IconButton} name="close" label="Close" onClick=${() => dialog.current.close()} /></header>
      ${children}
    </div>
  </dialog>`;
}
