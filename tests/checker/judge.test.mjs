// For every rule of the judge, a history that breaks it: the judge finds that, and nothing else.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { ALLOWANCES, CONTRACT, RULES, judge } from './judge.mjs';

/**
 * A sound run: ann and bob write to each other (`direct`), and with carl in `group`. The ids are the names in capitals.
 * Each record of each page has a time of its own. `change` breaks the run.
 */
function run(change = () => {}) {
  let clock = 0;
  const page = (name, user, more = {}) => ({ name, device: name.split('.')[0], user, pinned: true, offsets: true, killed: false, records: [], ...more });
  const pages = { ann: page('ann.0', 'ann'), bob: page('bob.0', 'bob'), carl: page('carl.0', 'carl') };
  const conversations = {
    direct: { id: 'direct', kind: 'direct', members: ['ann', 'bob'], histories: [[], []] },
    group: { id: 'group', kind: 'group', members: ['ann', 'bob', 'carl'], histories: [[], []] },
  };
  const log = (who, kind, fields = {}) => pages[who].records.push({ kind, at: ++clock, ...fields });
  const store = (conversation, name, sender) => {
    for (const history of conversations[conversation].histories) history.push({ id: name.toUpperCase(), seq: history.length + 1, sender, name });
  };
  const got = (who, conversation, name, sender) => log(who, 'got', { id: name.toUpperCase(), conversation, name, sender });
  for (const who of Object.keys(pages)) {
    log(who, 'connect', { recovered: false });
    for (const { id, members } of Object.values(conversations)) if (members.includes(who)) log(who, 'loaded', { conversation: id, seq: 0 });
  }
  /** One message, from sending to being seen. */
  const tell = (sender, conversation, name) => {
    log(sender, 'send', { name, conversation });
    store(conversation, name, sender);
    log(sender, 'ack', { name, id: name.toUpperCase() });
    for (const who of conversations[conversation].members) if (who !== sender || conversation === 'group') got(who, conversation, name, sender);
  };
  tell('ann', 'direct', 'a1');
  tell('bob', 'direct', 'b1');
  tell('ann', 'group', 'a2');
  tell('carl', 'group', 'c1');
  log('ann', 'delivered', { id: 'A1', user: 'bob' });
  const crashes = [];
  const halts = [];
  const files = [];
  const webhook = { told: undefined };
  const hook = { asked: undefined };
  const tools = { webhook, hook, pages, conversations, crashes, halts, files, page, log, store, got, tell, now: () => clock };
  change(tools);
  return { pages: Object.values(pages), conversations: Object.values(conversations), crashes, halts, files, told: webhook.told, asked: hook.asked };
}

const find = (records, kind, name) => records.find((record) => record.kind === kind && record.name === name);
const remove = (records, kind, name) => records.splice(records.indexOf(find(records, kind, name)), 1);

/** Takes a message out of the history and closes the gap. */
function unstore({ conversations }, conversation, name) {
  for (const history of conversations[conversation].histories) {
    history.splice(history.findIndex((entry) => entry.name === name), 1);
    history.forEach((entry, index) => {
      entry.seq = index + 1;
    });
  }
}

/** Swaps two neighbours in the history. */
function swap({ conversations }, conversation, index) {
  for (const history of conversations[conversation].histories) {
    [history[index], history[index + 1]] = [{ ...history[index + 1], seq: index + 1 }, { ...history[index], seq: index + 2 }];
  }
}

function crash({ crashes, log, now }) {
  const at = now() + 0.5;
  for (const who of ['ann', 'bob', 'carl']) log(who, 'disconnect');
  crashes.push({ at, until: now() + 0.5 });
  for (const who of ['ann', 'bob', 'carl']) log(who, 'connect', { recovered: false });
}

/** An edit of ann's message, from the request to everybody being notified but ann, who made it. */
function edit({ pages, log, conversations }, conversation, name, version, viewers = conversations[conversation].members) {
  log('ann', 'edit', { name, id: name.toUpperCase(), version });
  for (const history of conversations[conversation].histories) history.find((entry) => entry.name === name).version = version;
  log('ann', 'changed', { name, version });
  for (const who of viewers) if (pages[who].user !== 'ann') log(who, 'told edit', { id: name.toUpperCase(), conversation, name, version });
}

/** The same for a deletion. */
function erase(all, conversation, name, viewers = all.conversations[conversation].members) {
  all.log('ann', 'delete', { name, id: name.toUpperCase() });
  for (const history of all.conversations[conversation].histories) history.splice(history.findIndex((entry) => entry.name === name), 1);
  all.log('ann', 'changed', { name });
  for (const who of viewers) if (all.pages[who].user !== 'ann') all.log(who, 'told deletion', { id: name.toUpperCase(), conversation });
}

/** A request of ann's that the server has received when her connection ends. */
function leave({ log }, how) {
  log('ann', 'send', { name: 'a9', conversation: 'direct', once: true });
  log('ann', 'burst', { how, names: ['a9'] });
  log('ann', 'disconnect');
}

/** The files are lost for a while. */
function lose({ files, log, now }, act, more = {}) {
  const loss = { at: now() + 0.5, unreadyAt: now() + 0.6, ...more };
  files.push(loss);
  act();
  log('ann', 'disconnect');
  loss.until = now();
}

/** A webhook is told of all that is stored; returns its events. */
function hear({ webhook, conversations }) {
  const all = Object.values(conversations).flatMap(({ id, histories: [history] }) => history.map((entry) => ({ conversation: id, ...entry })));
  webhook.told = all.map(({ id, conversation, seq }) => ({ id: `event of ${id}`, message: id, conversation, seq }));
  return webhook.told;
}

/** A hook has allowed all that was sent, some µs before it was acked; returns the answers by title. */
function consult({ hook, pages }) {
  const sends = Object.values(pages).flatMap(({ records }) => records.filter(({ kind }) => kind === 'send'));
  hook.asked = sends.map(({ name, at }) => ({ id: `question of ${name}`, title: name, at: at + 0.1, answeredAt: at + 0.2, answer: 'allow' }));
  return Object.fromEntries(hook.asked.map((question) => [question.title, question]));
}

/** The hook has another text for ann's first message; `isShown` to bob, `isStored`. */
function reword(all, { isStored, isShown }) {
  consult(all).a1.answer = 'change';
  for (const name of ['a1', 'b1', 'a2', 'c1']) for (const { records } of Object.values(all.pages)) for (const got of records) if (got.kind === 'got' && got.name === name) got.isHooked = isShown && name === 'a1';
  for (const { histories } of Object.values(all.conversations)) for (const history of histories) for (const entry of history) entry.isHooked = isStored && entry.name === 'a1';
}

function reconnect({ log }, who) {
  log(who, 'disconnect');
  log(who, 'connect', { recovered: true });
}

/** Histories that break each rule: `[what, rules, change, allowance that covers it?, others that do too?]`. */
const BROKEN = [
  ['a refused message that is stored, seen and acked', Array(3).fill('refused by the hook'), (all) => {
    consult(all).a1.answer = 'refuse';
  }],
  ['a refused edit that is stored, seen and answered', Array(3).fill('refused by the hook'), (all) => {
    edit(all, 'direct', 'a1', 1);
    consult(all);
    all.hook.asked.push({ id: 'question', title: 'a1~1', at: all.now() - 0.5, answeredAt: all.now() - 0.4, answer: 'refuse' });
  }],
  ['a message that the hook was never asked about', Array(3).fill('before its hook'), (all) => {
    consult(all);
    all.hook.asked.shift();
  }],
  ['a message that was acked before the hook answered', 'before its hook', (all) => {
    consult(all).a1.answeredAt = find(all.pages.ann.records, 'ack', 'a1').at + 0.1;
  }],
  ['a message that was seen before the hook answered', ['before its hook', 'before its hook'], (all) => {
    consult(all).a1.answeredAt = find(all.pages.bob.records, 'got', 'a1').at + 0.1;
  }],
  ['a message that is stored with another text than the hook gave', 'not as the hook said', (all) => reword(all, { isStored: false, isShown: true })],
  ['a message that is shown with another text than the hook gave', 'not as the hook said', (all) => reword(all, { isStored: true, isShown: false })],
  ['a question about what is stored', 'asked again', (all) => {
    consult(all);
    all.hook.asked.push({ id: 'another', title: 'a1', at: all.now() + 600_000, answeredAt: all.now() + 600_001, answer: 'allow' });
  }],
  ['a question about what the hook is being asked about', 'asked again', (all) => {
    const { a1 } = consult(all);
    all.hook.asked.unshift({ ...a1, id: 'another', at: a1.at - 0.1 });
  }],
  ['a stored message that a webhook was never told of', 'untold', (all) => hear(all).shift()],
  ['a message that a webhook was told of and that is not stored', 'told and not stored', (all) => hear(all).push({ id: 'event', message: 'X9', conversation: 'direct', seq: 9 })],
  ['an event that comes again under another id', 'told under two ids', (all) => hear(all).push({ ...all.webhook.told[0], id: 'another' })],
  ['a webhook that is told of the second message before the first', 'told out of order', (all) => hear(all).splice(0, 2, all.webhook.told[1], all.webhook.told[0])],
  ['an acked message that is not stored', ['lost', 'unstored'], (all) => unstore(all, 'direct', 'b1')],
  ['an acked message that nobody has', 'lost', ({ log }) => {
    log('ann', 'send', { name: 'a9', conversation: 'direct' });
    log('ann', 'ack', { name: 'a9', id: 'A9' });
  }],
  ['a message stored as another sender\'s', 'altered', ({ conversations }) => conversations.direct.histories.forEach((history) => {
    history[0].sender = 'bob';
  })],
  ['a message stored under another id than acked', 'altered', ({ pages, conversations }) => {
    conversations.direct.histories.forEach((history) => {
      history[0].id = 'X';
    });
    find(pages.bob.records, 'got', 'a1').id = 'X';
    pages.ann.records.pop();
  }],
  ['one name stored under two ids', ['stored twice', 'altered', 'missed', 'overtaken'], ({ conversations }) => {
    conversations.direct.histories.forEach((history) => history.push({ ...history[0], id: 'A1-again', seq: 3 }));
  }],
  ['a repeat that gets another id', 'two answers', ({ log }) => {
    log('ann', 'send', { name: 'a1', conversation: 'direct' });
    log('ann', 'ack', { name: 'a1', id: 'other' });
  }],
  ['a stored message that nobody sent', 'ghost', ({ store }) => store('direct', 'zz', 'ann')],
  ['a shown message that nobody sent', 'ghost', ({ got }) => got('bob', 'direct', 'zz', 'ann')],
  ['a message shown in a conversation that it was not sent to', ['ghost', 'ghost', 'missed'], ({ tell, pages }) => {
    tell('ann', 'direct', 'a9');
    find(pages.bob.records, 'got', 'a9').conversation = 'group';
    pages.carl.records.push({ ...find(pages.bob.records, 'got', 'a9') });
  }],
  ['a refused message that is shown', ['refused', 'unstored'], ({ log, got }) => {
    log('ann', 'send', { name: 'a9', conversation: 'group' });
    log('ann', 'refused', { name: 'a9', code: 'STORAGE_UNAVAILABLE' });
    got('bob', 'group', 'a9', 'ann');
  }],
  ['a refused message that is stored and shown', ['refused', 'refused'], ({ log, got, store }) => {
    log('ann', 'send', { name: 'a9', conversation: 'direct' });
    log('ann', 'refused', { name: 'a9', code: 'FORBIDDEN' });
    store('direct', 'a9', 'ann');
    got('bob', 'direct', 'a9', 'ann');
  }],
  ['a shown message that is not stored, without a crash', 'unstored', ({ log, got }) => {
    log('ann', 'send', { name: 'a9', conversation: 'direct' });
    log('ann', 'refused', { name: 'a9', code: 'INTERNAL' });
    got('bob', 'direct', 'a9', 'ann');
  }],
  ['a shown message that a crash lost with its conversation', 'unstored', (all) => {
    all.conversations.fresh = { id: 'fresh', draft: 'ann|bob', kind: 'direct', members: ['ann', 'bob'], histories: [[], []] };
    all.pages.ann.killed = true;
    all.log('ann', 'send', { name: 'a9', conversation: 'ann|bob' });
    all.got('bob', 'gone', 'a9', 'ann');
    crash(all);
  }, 'unstored after crash'],
  ['a message of a conversation that came up during the run, in another one', 'ghost', (all) => {
    all.conversations.fresh = { id: 'fresh', draft: 'ann|bob', kind: 'direct', members: ['ann', 'bob'], histories: [[], []] };
    all.log('ann', 'send', { name: 'a9', conversation: 'ann|bob' });
    all.store('fresh', 'a9', 'ann');
    all.log('ann', 'ack', { name: 'a9', id: 'A9' });
    all.got('bob', 'gone', 'a9', 'ann');
  }],
  ['a shown message that a crash lost', 'unstored', (all) => {
    all.pages.ann.killed = true;
    all.log('ann', 'send', { name: 'a9', conversation: 'direct' });
    all.got('bob', 'direct', 'a9', 'ann');
    crash(all);
  }, 'unstored after crash'],
  ['a hole within one connection', 'missed', ({ tell, pages }) => {
    tell('ann', 'group', 'a8');
    tell('ann', 'group', 'a9');
    remove(pages.bob.records, 'got', 'a8');
  }],
  ['a hole where the connection changed', 'missed', (all) => {
    all.tell('ann', 'group', 'a8');
    reconnect(all, 'bob');
    all.tell('ann', 'group', 'a9');
    remove(all.pages.bob.records, 'got', 'a8');
  }],
  ['a hole in what a killed page saw', 'missed', ({ tell, pages }) => {
    tell('ann', 'group', 'a8');
    tell('ann', 'group', 'a9');
    remove(pages.bob.records, 'got', 'a8');
    pages.bob.killed = true;
  }],
  ['another device that misses what its user wrote', 'missed', ({ pages, page, log, got, tell, conversations }) => {
    pages.ann2 = page('ann2.0', 'ann');
    log('ann2', 'connect');
    for (const { id, histories } of Object.values(conversations)) log('ann2', 'loaded', { conversation: id, seq: histories[0].length });
    tell('ann', 'direct', 'a8');
    tell('ann', 'direct', 'a9');
    got('ann2', 'direct', 'a9', 'ann');
  }],
  ['the same message again on one connection', 'twice', ({ got }) => got('bob', 'direct', 'a1', 'ann')],
  ['the same message again after a reconnect', 'twice', (all) => {
    reconnect(all, 'bob');
    all.got('bob', 'direct', 'a1', 'ann');
  }],
  ['the same message again for an old client', 'twice', (all) => {
    all.pages.bob.offsets = false;
    reconnect(all, 'bob');
    all.got('bob', 'direct', 'a1', 'ann');
  }, 'twice without offset'],
  ['what a crash lost, and its sender sent again', 'twice', (all) => {
    all.log('ann', 'send', { name: 'a9', conversation: 'direct' });
    all.got('bob', 'direct', 'a9', 'ann');
    crash(all);
    all.tell('ann', 'direct', 'a9');
  }, 'twice after crash'],
  ['what was acked before a crash, again after it', 'twice', (all) => {
    crash(all);
    all.got('bob', 'direct', 'a1', 'ann');
  }],
  ['the same message under another id', 'twice', ({ pages, got }) => {
    got('bob', 'direct', 'a1', 'ann');
    pages.bob.records.at(-1).id = 'other';
  }],
  ['one\'s own direct message shown to the page that wrote it', 'echo', ({ tell, got }) => {
    tell('ann', 'direct', 'a9');
    got('ann', 'direct', 'a9', 'ann');
  }],
  ['one\'s own direct message shown to the page that wrote it, on another connection', 'echo', (all) => {
    all.log('ann', 'send', { name: 'a9', conversation: 'direct' });
    reconnect(all, 'ann');
    all.store('direct', 'a9', 'ann');
    all.got('ann', 'direct', 'a9', 'ann');
    all.got('bob', 'direct', 'a9', 'ann');
    all.log('ann', 'send', { name: 'a9', conversation: 'direct' });
    all.log('ann', 'ack', { name: 'a9', id: 'A9' });
  }],
  ['a pair shown in the wrong order', 'out of order', ({ pages }) => {
    const { records } = pages.carl;
    const [one, other] = [records.indexOf(find(records, 'got', 'a2')), records.indexOf(find(records, 'got', 'c1'))];
    [records[one], records[other]] = [records[other], records[one]];
  }],
  ['a message that a crash moved', 'out of order', (all) => {
    all.log('ann', 'send', { name: 'a8', conversation: 'direct' });
    all.got('bob', 'direct', 'a8', 'ann');
    crash(all);
    all.tell('ann', 'direct', 'a9');
    all.log('ann', 'send', { name: 'a8', conversation: 'direct' });
    all.store('direct', 'a8', 'ann');
    all.log('ann', 'ack', { name: 'a8', id: 'A8' });
  }, 'moved after crash'],
  ['an edit of a message that a crash moved, of which those are not told who saw it before', 'change untold', (all) => {
    all.log('ann', 'send', { name: 'a8', conversation: 'direct' });
    all.got('bob', 'direct', 'a8', 'ann');
    crash(all);
    all.log('ann', 'send', { name: 'a8', conversation: 'direct' });
    all.store('direct', 'a8', 'ann');
    all.log('ann', 'ack', { name: 'a8', id: 'A8' });
    edit(all, 'direct', 'a8', 1, []);
  }, 'moved after crash'],
  ['numbers that fall', 'bad seq', ({ conversations }) => conversations.direct.histories.forEach((history) => {
    history[0].seq = 5;
  })],
  ['two members who read different histories', 'bad seq', ({ conversations }) => conversations.direct.histories[1].pop()],
  ['a message that overtook what was acked before it was sent', ['overtaken'], (all) => {
    const [bob, ann] = [all.pages.bob.records, all.pages.ann.records];
    remove(bob, 'got', 'a1');
    remove(ann, 'got', 'b1');
    ann.pop();
    swap(all, 'direct', 0);
    all.got('ann', 'direct', 'b1', 'bob');
    all.got('bob', 'direct', 'a1', 'ann');
  }],
  ['two messages of one connection the wrong way round', 'sender order', (all) => {
    all.log('ann', 'send', { name: 'a8', conversation: 'direct' });
    all.log('ann', 'send', { name: 'a9', conversation: 'direct' });
    for (const name of ['a9', 'a8']) {
      all.store('direct', name, 'ann');
      all.log('ann', 'ack', { name, id: name.toUpperCase() });
      all.got('bob', 'direct', name, 'ann');
    }
  }],
  ['"delivered" told before it was seen', 'unproven', ({ pages, log, tell }) => {
    tell('ann', 'direct', 'a9');
    log('ann', 'delivered', { id: 'A9', user: 'bob' });
    const [seen, told] = [find(pages.bob.records, 'got', 'a9'), pages.ann.records.at(-1)];
    told.at = seen.at - 400_000;
  }],
  ['"delivered" told of what was never seen', 'unproven', ({ log }) => log('bob', 'delivered', { id: 'B1', user: 'carl' })],
  ['a request without an answer', 'unanswered', ({ log }) => {
    log('ann', 'send', { name: 'a9', conversation: 'direct' });
    log('ann', 'unknown', { name: 'a9' });
  }],
  ['an edit that was answered and is not stored', 'change lost', (all) => {
    edit(all, 'direct', 'a1', 1, []);
    for (const history of all.conversations.direct.histories) history[0].version = 0;
  }],
  ['a deletion that was answered and is not stored', 'change lost', ({ log }) => {
    log('ann', 'delete', { name: 'a1', id: 'A1' });
    log('ann', 'changed', { name: 'a1' });
  }],
  ['a later edit that an earlier one has overwritten', 'change lost', (all) => {
    edit(all, 'direct', 'a1', 1);
    edit(all, 'direct', 'a1', 2);
    for (const history of all.conversations.direct.histories) history[0].version = 1;
    all.pages.bob.records.pop();
  }],
  ['an acked message that cannot be edited, since it is not there', 'change lost', ({ log }) => {
    log('ann', 'edit', { name: 'a1', id: 'A1', version: 1 });
    log('ann', 'unchanged', { name: 'a1', version: 1, code: 'NOT_FOUND' });
  }],
  ['a message that is gone, whose deletion was refused', ['lost', 'unstored'], (all) => {
    erase(all, 'direct', 'a1', []);
    Object.assign(all.pages.ann.records.at(-1), { kind: 'unchanged', code: 'STORAGE_UNAVAILABLE' });
  }],
  ['an edit that was refused, and is stored', ['refused', 'change untold'], (all) => {
    edit(all, 'direct', 'a1', 1, []);
    Object.assign(all.pages.ann.records.at(-1), { kind: 'unchanged', code: 'STORAGE_UNAVAILABLE' });
  }],
  ['an edit that was refused, and is told', 'refused', ({ log }) => {
    log('ann', 'edit', { name: 'a1', id: 'A1', version: 1 });
    log('ann', 'unchanged', { name: 'a1', version: 1, code: 'STORAGE_UNAVAILABLE' });
    log('bob', 'told edit', { id: 'A1', conversation: 'direct', name: 'a1', version: 1 });
  }],
  ['an edit that is told and not stored', 'unstored', ({ log }) => {
    log('ann', 'edit', { name: 'a1', id: 'A1', version: 1 });
    log('bob', 'told edit', { id: 'A1', conversation: 'direct', name: 'a1', version: 1 });
  }],
  ['an edit that nobody made', 'ghost', ({ log }) => log('bob', 'told edit', { id: 'A1', conversation: 'direct', name: 'a1', version: 1 })],
  ['a deletion that nobody made', 'ghost', ({ log }) => log('bob', 'told deletion', { id: 'A1', conversation: 'direct' })],
  ['a message shown with words that nobody wrote', 'ghost', ({ pages }) => {
    find(pages.bob.records, 'got', 'a1').version = 3;
  }],
  ['an edit that a page which knows the message is not told', 'change untold', (all) => edit(all, 'group', 'a2', 1, ['carl'])],
  ['a deletion that a page which knows the message is not told', 'change untold', (all) => erase(all, 'group', 'a2', ['bob'])],
  ['a deletion of what a page has read at its loading', 'change untold', (all) => {
    const { pages, page, log, conversations } = all;
    pages.carl1 = page('carl.1', 'carl');
    log('carl1', 'connect');
    log('carl1', 'loaded', { conversation: 'group', seq: conversations.group.histories[0].length });
    erase(all, 'group', 'a2', ['bob', 'carl']);
  }],
  ['an edit that is told twice', 'change twice', (all) => {
    edit(all, 'direct', 'a1', 1);
    reconnect(all, 'bob');
    all.log('bob', 'told edit', { id: 'A1', conversation: 'direct', name: 'a1', version: 1 });
  }],
  ['a deletion that is told twice', 'change twice', (all) => {
    erase(all, 'direct', 'a1');
    reconnect(all, 'bob');
    all.log('bob', 'told deletion', { id: 'A1', conversation: 'direct' });
  }],
  ['a deletion that is told twice to an old client', 'change twice', (all) => {
    all.pages.bob.offsets = false;
    erase(all, 'direct', 'a1');
    reconnect(all, 'bob');
    all.log('bob', 'told deletion', { id: 'A1', conversation: 'direct' });
  }, 'twice without offset'],
  ['a message shown after its deletion was told', 'outdated', (all) => {
    all.tell('ann', 'group', 'a9');
    erase(all, 'group', 'a9');
    remove(all.pages.bob.records, 'got', 'a9');
    all.got('bob', 'group', 'a9', 'ann');
  }],
  ['a message shown as it was before an edit that was told', 'outdated', (all) => {
    all.tell('ann', 'group', 'a9');
    edit(all, 'group', 'a9', 1);
    remove(all.pages.bob.records, 'got', 'a9');
    all.got('bob', 'group', 'a9', 'ann');
  }],
  ['edits told in the wrong order', 'outdated', (all) => {
    edit(all, 'direct', 'a1', 1);
    edit(all, 'direct', 'a1', 2);
    const { records } = all.pages.bob;
    records.push(records.splice(-2, 1)[0]);
  }],
  ['a request that ended with its connection', 'dropped', (all) => leave(all, 'left')],
  ['a request that a cut ended', 'dropped', (all) => leave(all, 'cut')],
  ['a request that a stop left undone, without a word', 'dropped', (all) => {
    all.halts.push({ what: 'stop', at: all.now(), until: Infinity });
    leave(all, 'stop');
  }],
  ['a request that ended with its connection, long before a kill', 'dropped', (all) => {
    leave(all, 'left');
    all.halts.push({ what: 'kill', at: all.now() + 3_500_000, until: Infinity });
  }],
  ['an ack without a file', 'believed', (all) => lose(all, () => all.tell('ann', 'direct', 'a9'))],
  ['a server that is ready without its file', 'believed', (all) => lose(all, () => {}, { unreadyAt: undefined })],
  ['a server that makes a new file', 'believed', (all) => lose(all, () => {}, { madeAnew: true })],
  ['what was acked before a command and a kill, again after both', 'twice', (all) => {
    all.tell('bob', 'direct', 'b9');
    // A command that counts as a start makes the next start take the offsets of the one before for too high.
    crash(all);
    all.got('ann', 'direct', 'b9', 'bob');
  }],
  ['a client that was turned away', 'turned away', ({ log }) => log('ann', 'turned away', { code: 'INVALID_TOKEN' })],
];

/** Runs that look odd and break no rule. */
const SOUND = {
  'a webhook that is told of everything, and of some twice': (all) => hear(all).push(all.webhook.told[0]),
  'a webhook that is told of a message before it is deleted': (all) => {
    hear(all);
    erase(all, 'direct', 'a1');
  },
  'edits and a deletion that all are told': (all) => {
    edit(all, 'direct', 'a1', 1);
    edit(all, 'direct', 'a1', 2);
    erase(all, 'group', 'a2');
  },
  'a message that is shown as edited to somebody who was away': (all) => {
    all.tell('ann', 'direct', 'a9');
    edit(all, 'direct', 'a9', 1, []);
    find(all.pages.bob.records, 'got', 'a9').version = 1;
  },
  'an edit during a catch-up, which came with the message and then by itself': (all) => {
    edit(all, 'direct', 'a1', 1);
    find(all.pages.bob.records, 'got', 'a1').version = 1;
  },
  'a deletion before anybody who was away saw the message': (all) => {
    all.tell('ann', 'direct', 'a9');
    remove(all.pages.bob.records, 'got', 'a9');
    erase(all, 'direct', 'a9', []);
  },
  'a deletion without an answer, done or not': (all) => {
    erase(all, 'direct', 'a1');
    remove(all.pages.ann.records, 'changed', 'a1');
    all.log('ann', 'delete', { name: 'a2', id: 'A2' });
  },
  'an edit that was refused': ({ log }) => {
    log('ann', 'edit', { name: 'a1', id: 'A1', version: 1 });
    log('ann', 'unchanged', { name: 'a1', version: 1, code: 'STORAGE_UNAVAILABLE' });
  },
  'a killed page and an old client that are told of no change': (all) => {
    all.pages.bob.killed = true;
    all.pages.carl.offsets = false;
    edit(all, 'group', 'a2', 1, []);
  },
  'a change before the page was loaded': (all) => {
    const { pages, page, log, conversations } = all;
    edit(all, 'group', 'a2', 1);
    pages.carl1 = page('carl.1', 'carl');
    log('carl1', 'connect');
    log('carl1', 'loaded', { conversation: 'group', seq: conversations.group.histories[0].length });
  },
  'a request that was carried out after its connection': (all) => {
    leave(all, 'left');
    all.store('direct', 'a9', 'ann');
    all.got('bob', 'direct', 'a9', 'ann');
  },
  'a request that a stop refused': (all) => {
    leave(all, 'stop');
    all.log('ann', 'refused', { name: 'a9', code: 'STORAGE_UNAVAILABLE' });
  },
  'requests that ended with their connections, and the server too': (all) => {
    leave(all, 'cut');
    all.halts.push({ what: 'stop', at: all.now() + 1_000_000, until: Infinity });
  },
  'a file that was lost, and refusals until it was back': (all) => {
    all.log('ann', 'send', { name: 'a8', conversation: 'direct' });
    lose(all, () => {
      all.store('direct', 'a8', 'ann');
      all.log('ann', 'ack', { name: 'a8', id: 'A8' });
      all.got('bob', 'direct', 'a8', 'ann');
      all.log('ann', 'send', { name: 'a9', conversation: 'direct' });
      all.log('ann', 'refused', { name: 'a9', code: 'STORAGE_UNAVAILABLE' });
    });
  },
  'a conversation that came up during the run': (all) => {
    const { conversations, log, store } = all;
    conversations.fresh = { id: 'fresh', draft: 'ann|dan', kind: 'direct', members: ['ann', 'dan'], histories: [[], []] };
    log('ann', 'send', { name: 'a9', conversation: 'ann|dan' });
    store('fresh', 'a9', 'ann');
    log('ann', 'ack', { name: 'a9', id: 'A9' });
  },
  'a deletion while a page that has read the message has no offset yet': (all) => {
    const { pages, page, log, conversations } = all;
    pages.carl1 = page('carl.1', 'carl');
    log('carl1', 'connect');
    log('carl1', 'loaded', { conversation: 'group', seq: conversations.group.histories[0].length });
    erase(all, 'group', 'a2', ['bob', 'carl']);
    log('carl1', 'disconnect');
    log('carl1', 'connect');
  },
  'all is well': () => {},
  'a hook that allows all': consult,
  'a hook that has another text': (all) => reword(all, { isStored: true, isShown: true }),
  'a question that was lost with the hook, and asked again': (all) => {
    const { a1 } = consult(all);
    all.hook.asked.unshift({ id: 'another', title: 'a1', at: a1.at - 0.1 });
    all.halts.push({ what: 'hook', at: a1.at - 0.05, until: a1.at - 0.02 });
  },
  'a question that was never answered, and asked again when its time was over': (all) => {
    const { a1 } = consult(all);
    all.hook.asked.unshift({ id: 'another', title: 'a1', at: a1.at - 1_500_000 });
  },
  'what a connection left behind, and the hook refused': (all) => {
    leave(all, 'left');
    consult(all).a9.answer = 'refuse';
  },
  'a repeat that was answered as the first': ({ log }) => {
    log('ann', 'send', { name: 'a1', conversation: 'direct' });
    log('ann', 'ack', { name: 'a1', id: 'A1' });
  },
  'a refused message that nobody saw': ({ log }) => {
    log('ann', 'send', { name: 'a9', conversation: 'group' });
    log('ann', 'refused', { name: 'a9', code: 'FORBIDDEN' });
  },
  'seen, answered NOT_STORED, and given up': ({ log, got }) => {
    log('ann', 'send', { name: 'a9', conversation: 'direct' });
    got('bob', 'direct', 'a9', 'ann');
    log('ann', 'refused', { name: 'a9', code: 'NOT_STORED' });
  },
  'answered NOT_STORED, and stored by a retry at a later place': (all) => {
    all.log('ann', 'send', { name: 'a8', conversation: 'direct' });
    all.got('bob', 'direct', 'a8', 'ann');
    all.log('ann', 'refused', { name: 'a8', code: 'NOT_STORED' });
    all.tell('ann', 'direct', 'a9');
    all.log('ann', 'send', { name: 'a8', conversation: 'direct' });
    all.store('direct', 'a8', 'ann');
    all.log('ann', 'ack', { name: 'a8', id: 'A8' });
  },
  'a page that was loaded later, and the rest of a killed one': ({ pages, page, log, conversations, tell }) => {
    pages.bob.killed = true;
    pages.bob1 = page('bob.1', 'bob');
    log('bob1', 'connect');
    for (const { id, histories } of Object.values(conversations)) log('bob1', 'loaded', { conversation: id, seq: histories[0].length });
    conversations.direct.members = ['ann', 'bob1'];
    tell('ann', 'direct', 'a9');
    pages.bob1.records.at(-1).at += 0.1;
    conversations.direct.members = ['ann', 'bob'];
  },
  'a killed page, and what it saw that a crash lost and that was sent again behind others': ({ pages, log, got, crashes, conversations, tell, now }) => {
    pages.bob.killed = true;
    log('ann', 'send', { name: 'a9', conversation: 'group' });
    got('bob', 'group', 'a9', 'ann');
    crashes.push({ at: now() + 0.1, until: now() + 0.2 });
    conversations.group.members = ['ann', 'carl'];
    tell('carl', 'group', 'c9');
    tell('ann', 'group', 'a9');
    conversations.group.members = ['ann', 'bob', 'carl'];
  },
  'what a killed page had sent, never answered': ({ pages, log }) => {
    pages.ann.killed = true;
    log('ann', 'send', { name: 'a9', conversation: 'direct' });
  },
  'a second device that is not pinned, and a message of its own user': ({ pages, page, log, conversations, tell }) => {
    pages.ann2 = page('ann2.0', 'ann', { pinned: false });
    log('ann2', 'connect');
    for (const { id, histories } of Object.values(conversations)) log('ann2', 'loaded', { conversation: id, seq: histories[0].length });
    tell('ann', 'direct', 'a9');
  },
};

const rulesOf = (verdict) => verdict.violations.map(({ rule }) => rule).sort();

describe('the judge', () => {
  for (const [what, change] of Object.entries(SOUND)) {
    it(`finds nothing: ${what}`, () => assert.deepEqual(judge(run(change)).violations, []));
  }

  for (const [what, rules, change, allowance, others = []] of BROKEN) {
    it(`finds ${what}`, () => {
      const verdict = judge(run(change));
      assert.deepEqual(rulesOf(verdict), [rules].flat().sort(), JSON.stringify(verdict.violations, undefined, 1));
    });
    it(`${allowance ? 'excuses' : 'has no excuse for'} ${what}`, () => {
      const useless = Object.keys(ALLOWANCES).filter((name) => name !== allowance && !others.includes(name));
      assert.notDeepEqual(judge(run(change), useless).violations, [], 'other allowances do not cover it');
      if (!allowance) return;
      const verdict = judge(run(change), [allowance]);
      assert.deepEqual(verdict.violations, []);
      assert.equal(verdict.allowed[allowance], 1, 'and it is counted');
    });
  }

  it('has a broken history for every rule and every allowance', () => {
    assert.deepEqual([...new Set(BROKEN.flatMap(([, rules]) => rules))].sort(), Object.keys(RULES).sort());
    assert.deepEqual([...new Set(BROKEN.flatMap(([, , , allowance]) => allowance ?? []))].sort(), Object.keys(ALLOWANCES).sort());
    for (const names of Object.values(CONTRACT)) for (const name of names) assert.ok(name in ALLOWANCES, name);
  });

  it('counts', () => {
    const { counts } = judge(run());
    assert.deepEqual(counts, { sent: 4, attempts: 4, acked: 4, refused: 0, unknown: 0, stored: 4, shown: 8, pages: 3, connects: 3, recovered: 0, told: 1, edits: 0, deletions: 0, changes: 0, bursts: 0, asked: 0 });
  });
});
