// The administrators' page. Nothing of what the server says is taken for HTML: texts become text nodes.

/** Number of seconds of figures that are drawn. */
const KEPT = 300;
/** Minimum time between two fetches of the lists, which are fetched with the figures. */
const LISTED_EVERY_MS = 2_000;
/** Number of entries on a page of a list. */
const PAGE = 50;
/** Time for which the outcome of an action stays in a session's row. */
const OUTCOME_MS = 8_000;
/** Longest silence of a stream before it counts as broken. */
const SILENCE_MS = 5_000;
const KEY = 'parlance-key';
const NOT_LET_IN = 'You are not let in any more: log in again, or use another key.';

const $ = (id) => document.getElementById(id);

/** Makes an element with its properties and children. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const number = (value) => (typeof value === 'number' ? value.toLocaleString('en', { maximumFractionDigits: 2 }) : String(value ?? '–'));
const words = (name) => name.replace(/([a-z])([A-Z])/g, '$1 $2').replaceAll('_', ' ').toLowerCase();

function when(text) {
  const time = new Date(text);
  return make('time', { dateTime: text, title: text }, Number.isNaN(time.getTime()) ? text : time.toLocaleString());
}

// ---- asking ----

/** A refusal, in the server's words. */
class Refused extends Error {
  constructor(status, body) {
    super(body?.message || `The server answers ${status}`);
    this.status = status;
    this.code = body?.code;
  }
}

function headers() {
  const key = sessionStorage.getItem(KEY);
  if (!key) return {};
  return /^eyJ[^.]*\.[^.]*\.[^.]*$/.test(key) ? { authorization: `Bearer ${key}` } : { 'x-api-key': key };
}

async function ask(path, { method = 'GET', body, signal } = {}) {
  const options = { method, signal, headers: headers(), credentials: 'same-origin' };
  if (body !== undefined) {
    options.headers['content-type'] = 'application/json';
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    throw signal?.aborted ? error : new Error('The server does not answer');
  }
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => undefined));
  return response;
}

const read = async (path, options) => (await ask(path, options)).json();

/** Runs a task, and shows an error at the top, or beside the thing that was done. */
async function trying(task, place = $('error')) {
  place.textContent = '';
  place.classList.remove('bad');
  try {
    await task();
  } catch (error) {
    if (error.status === 401) return leave(NOT_LET_IN);
    place.textContent = explainError(error);
    place.classList.add('bad');
  }
}

function explainError(error) {
  if (error.status === 403) return `${error.message}: give this account the role with "parlance user role NAME admin", or use a key.`;
  if (error.status === 503) return `${error.message}. Try again in a moment.`;
  return error.status === undefined && !(error instanceof Error) ? 'Something went wrong' : `${error.message}.`.replace('..', '.');
}

// ---- coming and going ----

let stream;

function say(text, kind = '') {
  if ($('state').textContent !== text) $('state').textContent = text;
  $('state').className = kind;
}

/** Returns to the login. */
function leave(reason = '') {
  sessionStorage.removeItem(KEY);
  stream?.abort();
  stream = undefined;
  $('inside').hidden = true;
  $('logout').hidden = true;
  $('door').hidden = false;
  $('error').textContent = reason;
  say('Not logged in');
}

async function enter() {
  await ask('/api/admin/stats');
  $('error').textContent = '';
  $('door').hidden = true;
  $('inside').hidden = false;
  $('logout').hidden = false;
  stream?.abort();
  stream = new AbortController();
  follow(stream.signal);
  showSessions();
  showRooms();
}

/** Logs in, or shows why not. */
async function knock(reason) {
  try {
    await enter();
    return true;
  } catch (error) {
    const text = error.status === 401 ? reason : explainError(error);
    if (error.status === 401 || error.status === 403) leave(text);
    else $('error').textContent = text;
    return false;
  }
}

function onSubmit(id, act) {
  $(id).addEventListener('submit', (event) => {
    event.preventDefault();
    act(new FormData(event.target, event.submitter), event.target);
  });
}

onSubmit('login', async (form, element) => {
  sessionStorage.removeItem(KEY);
  try {
    await ask('/api/auth/login', { method: 'POST', body: { login: form.get('login'), password: form.get('password') } });
  } catch (error) {
    $('error').textContent = error.code === 'INVALID_CREDENTIALS' ? 'Name or password is wrong.' : explainError(error);
    return;
  }
  if (await knock('The login was not accepted.')) {
    element.reset();
    $('main').focus();
  }
});

onSubmit('key', async (form, element) => {
  sessionStorage.setItem(KEY, form.get('key').trim());
  if (await knock('The server does not know this key: it must be one of the API_KEYS that it was started with.')) {
    element.reset();
    $('main').focus();
  }
});

$('logout').addEventListener('click', async () => {
  const hadKey = sessionStorage.getItem(KEY);
  if (!hadKey) await ask('/api/auth/logout', { method: 'POST', body: {} }).catch(() => {});
  leave();
});

// ---- the stream ----

/** Follows the figures, and reconnects when the server returns. */
async function follow(signal) {
  let wasLost = false;
  for (let pause = 500; !signal.aborted; pause = Math.min(pause * 1.5, 5_000)) {
    try {
      for await (const figures of lines(signal)) {
        pause = 500;
        say(wasLost ? 'Live again' : 'Live', 'live');
        show(figures);
        refreshLists();
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401 || error.status === 403) return leave(NOT_LET_IN);
    }
    if (signal.aborted) return;
    wasLost = true;
    before = undefined;
    say('The server went away; looking for it…', 'away');
    await sleep(pause);
  }
}

/** Yields the objects of a stream of server-sent events. EventSource could not send a key. */
async function* lines(signal) {
  const silence = new AbortController();
  const both = AbortSignal.any([signal, silence.signal]);
  let timer;
  const listen = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_MS);
  };
  listen();
  try {
    const response = await ask('/api/admin/stats/stream', { signal: both });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      listen();
      const events = (text + value).split('\n\n');
      text = events.pop();
      for (const event of events) {
        if (event.startsWith('data: ')) yield JSON.parse(event.slice(6));
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

// ---- figures ----

let before;

const get = (figures, path) => path.split('.').reduce((value, name) => value?.[name], figures);

const TILES = [
  ['Sockets', (now) => get(now, 'chat.sockets')],
  ['Users online', (now) => get(now, 'chat.onlineUsers')],
  ['Messages', (now) => get(now, 'chat.messages')],
  ['Messages a second', (now) => now.messagesPerSecond],
  ['May come back', (now) => get(now, 'chat.parked')],
  ['Writes waiting', (now) => get(now, 'store.queued')],
  ['Refused', (now) => get(now, 'chat.refused')],
  ['Up since', (now) => duration(now.uptimeSeconds)],
];

function duration(seconds = 0) {
  const [days, hours, minutes] = [seconds / 86_400, (seconds / 3_600) % 24, (seconds / 60) % 60].map(Math.floor);
  if (days) return `${days} d ${hours} h`;
  return hours ? `${hours} h ${minutes} min` : minutes ? `${minutes} min` : `${seconds} s`;
}

/** Number of messages waiting in the mailboxes of all actors. */
function waiting(now) {
  const depths = Object.values(now.actors ?? {}).map((actor) => actor?.mailbox).filter(Number.isFinite);
  return depths.length ? depths.reduce((sum, depth) => sum + depth, 0) : get(now, 'store.queued') ?? 0;
}

/** Mean duration of the commits since the last figures, in ms. */
function commitMs(now, old) {
  const read = (figures) => {
    const spent = get(figures, 'store.commitSeconds');
    return typeof spent === 'object' && spent ? [spent.sum, spent.count] : [spent, get(figures, 'store.batches')];
  };
  if (!old) return 0;
  const [[spent, count], [spentBefore, countBefore]] = [read(now), read(old)];
  return count > countBefore ? ((spent - spentBefore) / (count - countBefore)) * 1_000 : 0;
}

const PLOTS = [
  ['Messages a second', '', (now) => now.messagesPerSecond],
  ['Sessions', '', (now) => get(now, 'chat.sockets')],
  ['Waiting in mailboxes', '', waiting],
  ['Mean commit', ' ms', commitMs],
].map(([name, unit, value]) => ({ name, unit, value, points: [] }));

const SVG = 'http://www.w3.org/2000/svg';

function preparePlots() {
  for (const plot of PLOTS) {
    plot.svg = document.createElementNS(SVG, 'svg');
    plot.svg.setAttribute('viewBox', `0 0 ${KEPT} 100`);
    plot.svg.setAttribute('preserveAspectRatio', 'none');
    plot.svg.setAttribute('role', 'img');
    [plot.area, plot.line] = ['area', 'line'].map((kind) => {
      const path = document.createElementNS(SVG, 'path');
      path.setAttribute('class', kind);
      plot.svg.append(path);
      return path;
    });
    plot.output = make('span', { className: 'value' });
    $('plots').append(make('figure', {}, make('figcaption', {}, make('span', { textContent: plot.name }), plot.output), plot.svg));
  }
}

function draw(plot) {
  const most = Math.max(1, ...plot.points);
  const start = KEPT - plot.points.length;
  const path = plot.points.map((value, place) => `${place ? 'L' : 'M'}${start + place},${(97 - (value / most) * 92).toFixed(1)}`).join('');
  plot.line.setAttribute('d', path);
  plot.area.setAttribute('d', `${path}L${KEPT - 1},100L${start},100Z`);
  const text = `${number(plot.points.at(-1))}${plot.unit} (up to ${number(Math.max(...plot.points))}${plot.unit})`;
  plot.output.textContent = text;
  plot.svg.setAttribute('aria-label', `${plot.name} over the last ${duration(plot.points.length)}: ${text}`);
}

function show(figures) {
  $('tiles').replaceChildren(...TILES.map(([name, value]) => make('div', {},
    make('dt', { textContent: name }), make('dd', { textContent: number(value(figures)) }))));
  for (const plot of PLOTS) {
    const value = plot.value(figures, before);
    plot.points.push(Number.isFinite(value) ? value : 0);
    plot.points.splice(0, plot.points.length - KEPT);
    draw(plot);
  }
  before = figures;
  if ($('figures').parentElement.open) showAll(figures);
}

/** Shows all figures of the server, group by group. */
function showAll(figures) {
  const groups = [['server', Object.entries(figures).filter(([, value]) => typeof value !== 'object')]];
  for (const [name, value] of Object.entries(figures)) {
    // A list's rows are told apart by their first text.
    const rows = Array.isArray(value) ? value.map((row) => [Object.values(row).find((part) => typeof part === 'string') ?? '', row]) : undefined;
    if (value && typeof value === 'object') groups.push([name, flat(rows ? Object.fromEntries(rows) : value)]);
  }
  $('figures').replaceChildren(...groups.map(([name, entries]) => make('div', {},
    make('h3', { textContent: words(name) }),
    make('dl', {}, ...entries.flatMap(([key, value]) => [make('dt', { textContent: words(key) }), make('dd', { textContent: number(value) })])))));
}

function flat(value, path = '') {
  return Object.entries(value).flatMap(([name, inner]) => {
    const key = path ? `${path} ${name}` : name;
    if (Array.isArray(inner)) return [];
    return inner && typeof inner === 'object' ? flat(inner, key) : [[key, inner]];
  });
}

// ---- sessions and rooms ----

/** A table whose cells know their column's name, for narrow screens. */
function table(caption, columns, rows) {
  const head = make('tr', {}, ...columns.map((name) => make('th', { scope: 'col', textContent: name })));
  const body = rows.map((cells) => make('tr', {}, ...cells.map((cell, place) => {
    const element = make('td', {}, ...[cell].flat());
    element.dataset.label = columns[place];
    if (Array.isArray(cell)) element.className = 'acts';
    return element;
  })));
  const made = make('table', {}, make('thead', {}, head), make('tbody', {}, ...body));
  made.setAttribute('aria-label', caption);
  return made;
}

const button = (text, label, act) => {
  const made = make('button', { type: 'button', className: 'plain', textContent: text });
  made.setAttribute('aria-label', label);
  made.addEventListener('click', act);
  return made;
};

/** Replaces elements; the focus moves to the button of the same name. */
function replace(place, ...children) {
  const held = place.contains(document.activeElement) && document.activeElement.getAttribute('aria-label');
  place.replaceChildren(...children);
  if (held) place.querySelector(`[aria-label="${CSS.escape(held)}"]`)?.focus();
}

let sessions = [];
/** Number of entries to show, if there are that many. */
let wanted = PAGE;
/** Outcomes of actions on sessions, by the sockets' ids: `{session, text, isBad, until}`. */
const outcomes = new Map();
let [isListing, listedAt, listing] = [false, 0, 0];

/** Fetches the lists again, while somebody is looking. */
async function refreshLists() {
  if (isListing || document.hidden || Date.now() - listedAt < LISTED_EVERY_MS) return;
  isListing = true;
  try {
    await Promise.all([showSessions(), showRooms()]);
  } finally {
    [isListing, listedAt] = [false, Date.now()];
  }
}

function missing(place, error) {
  const text = error.status === 404 && error.message === 'Not found' ? 'This server does not list them.' : explainError(error);
  $(place).replaceChildren(make('p', { className: 'hint', textContent: text }));
}

async function showSessions() {
  // What was asked for last is shown, whichever answer comes last.
  const turn = ++listing;
  const search = new FormData($('search')).get('search').trim();
  try {
    const found = [];
    let next;
    do {
      const query = new URLSearchParams({ limit: PAGE, ...(search && { search }), ...(next && { after: next }) });
      const page = await read(`/api/admin/sockets?${query}`);
      found.push(...page.sockets);
      next = page.next;
    } while (next && found.length < wanted);
    if (turn !== listing) return;
    sessions = found;
    $('more').hidden = !next;
    drawSessions(search);
  } catch (error) {
    if (turn !== listing) return;
    $('more').hidden = true;
    missing('sessions', error);
  }
}

function drawSessions(search = '') {
  for (const [id, { until }] of outcomes) if (until < Date.now()) outcomes.delete(id);
  const shown = [...sessions.filter(({ socketId }) => !outcomes.has(socketId)), ...[...outcomes.values()].map(({ session }) => session)];
  shown.sort((one, other) => (one.socketId < other.socketId ? -1 : 1));
  if (!shown.length) {
    const textContent = search ? `Of those whom "${search}" finds nobody is here.` : 'Nobody is here.';
    return $('sessions').replaceChildren(make('p', { className: 'hint', textContent }));
  }
  const rows = shown.map((session) => [
    session.username ?? session.userId,
    session.socketId,
    session.dialects.length && session.dialectsFrom !== 'not yet' ? session.dialects.join(', ') : 'not known yet',
    session.transport ?? session.state,
    when(session.since),
    outcomes.has(session.socketId) ? [outcomeOf(session)] : [
      button('Details', `Details of ${session.socketId}`, () => trying(() => showSession(session.socketId))),
      button('Kick', `Kick ${session.socketId}`, () => kick(session)),
    ],
  ]);
  replace($('sessions'), table('Sessions', ['User', 'Socket', 'Dialects', 'By', 'Since', 'Acts'], rows));
}

function outcomeOf({ socketId }) {
  const { text, isBad } = outcomes.get(socketId);
  const made = make('span', { role: 'status', tabIndex: -1, className: isBad ? 'outcome bad' : 'outcome', textContent: text });
  made.setAttribute('aria-label', `${socketId}: ${text}`);
  return made;
}

async function showSession(id) {
  const { socket } = await read(`/api/admin/sockets/${encodeURIComponent(id)}`);
  $('detail-list').replaceChildren(...Object.entries(socket).flatMap(([name, value]) => [
    make('dt', { textContent: words(name) }),
    make('dd', { textContent: Array.isArray(value) ? value.join(', ') || '–' : number(value) }),
  ]));
  $('detail').showModal();
}

async function kick(session) {
  const { socketId } = session;
  if (!confirm(`Put out the socket ${socketId} of ${session.username ?? session.userId}?`)) return;
  let [text, isBad] = ['Put out', false];
  try {
    await ask(`/api/admin/sockets/${encodeURIComponent(socketId)}/kick`, { method: 'POST', body: {} });
  } catch (error) {
    if (error.status === 401) return leave(NOT_LET_IN);
    [text, isBad] = [explainError(error), true];
  }
  outcomes.set(socketId, { session, text, isBad, until: Date.now() + OUTCOME_MS });
  drawSessions();
  $('sessions').querySelector(`[aria-label^="${CSS.escape(socketId)}"]`)?.focus();
}

async function showRooms() {
  const query = new URLSearchParams({ sort: new FormData($('sort')).get('sort'), limit: 20 });
  try {
    const { rooms } = await read(`/api/admin/rooms?${query}`);
    if (!rooms.length) return $('rooms').replaceChildren(make('p', { className: 'hint', textContent: 'Nobody is in a room.' }));
    const rows = rooms.map(({ room, members, messagesPerMinute }) => [room, number(members), number(messagesPerMinute)]);
    replace($('rooms'), table('Rooms', ['Room', 'Members', 'Messages a minute'], rows));
  } catch (error) {
    missing('rooms', error);
  }
}

onSubmit('search', () => {
  wanted = PAGE;
  trying(() => showSessions());
});
$('more').addEventListener('click', () => {
  wanted += PAGE;
  trying(() => showSessions());
});
onSubmit('sort', () => trying(() => showRooms()));

// ---- explaining, and accounts ----

/** Asks about a user, or, if there is no such user, about a message. */
async function explanation(who) {
  try {
    return await read(`/api/admin/explain/user/${encodeURIComponent(who)}`);
  } catch (error) {
    if (error.status !== 404 || error.message === 'Not found') throw error;
    return read(`/api/admin/explain/message/${encodeURIComponent(who)}`);
  }
}

onSubmit('explain', (form) => trying(async () => {
  const who = form.get('who').trim();
  $('explanation').replaceChildren();
  try {
    const { explanation: { verdict, facts } } = await explanation(who);
    const items = facts.map(({ text, at }) => make('li', {}, text, ...(at ? [' ', when(at)] : [])));
    $('explanation').replaceChildren(make('p', { className: 'verdict', textContent: verdict }), make('ul', {}, ...items));
  } catch (error) {
    if (error.status !== 404) throw error;
    const text = error.message === 'Not found' ? 'This server does not explain.' : `There is neither a user nor a message "${who}".`;
    $('explanation').replaceChildren(make('p', { textContent: text }));
  }
}));

onSubmit('account', (form, element) => trying(async () => {
  const [name, disabled] = [form.get('user').trim(), form.get('act') === 'disable'];
  if (disabled && !confirm(`Disable the account ${name}? Its sockets are closed.`)) return;
  const change = (id) => ask(`/api/admin/users/${encodeURIComponent(id)}`, { method: 'PATCH', body: { disabled } });
  try {
    await change(name);
  } catch (error) {
    if (error.status !== 404) throw error;
    // It may be a name or an e-mail address.
    const { user } = await read(`/api/admin/explain/user/${encodeURIComponent(name)}`);
    await change(user.id);
  }
  element.reset();
  $('account-outcome').textContent = `The account ${name} is ${disabled ? 'disabled' : 'enabled'}`;
  showSessions();
}, $('account-outcome')));

preparePlots();
await knock('');
if ($('inside').hidden && $('door').hidden) {
  // The server did not even say no.
  $('door').hidden = false;
  say('The server does not answer', 'away');
}
