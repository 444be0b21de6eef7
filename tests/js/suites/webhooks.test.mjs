// Webhooks are told of every change that was stored, at least once, in order, and of messages that reached nobody.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { makeGroup, people } from '../lib/chat.mjs';
import { closeAfter, connect } from '../lib/client.mjs';
import { makeDirect } from '../lib/conversation.mjs';
import { DATABASES } from '../lib/database.mjs';
import { onALine } from '../lib/line.mjs';
import { Reader } from '../lib/reader.mjs';
import { Receiver, WEBHOOK_SECRET } from '../lib/receiver.mjs';
import { BINARY, Server } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const KEY = 'the-key-of-the-webhooks-tests'; // WEBHOOK_URL, WEBHOOK_SECRET and WEBHOOK_EVENTS come from the receiver
const EVENTS = [
  'message.created', 'message.edited', 'message.deleted', 'message.read', 'conversation.changed', 'user.connected', 'user.disconnected',
];

/** Starts a server whose webhook is `receiver`, and removes it after the test. */
async function start(test, database, env) {
  const server = await Server.start({ database, env: { API_KEYS: KEY, RATE_LIMIT_EVENTS: '0', ...env } });
  test.after(() => server.remove());
  return server;
}

/** Asserts that the first arrivals of each conversation's messages are in the order of `seq`, without a gap. */
function assertOrder(events) {
  const last = new Map();
  const seen = new Set();
  for (const { id, type, data } of events) {
    if (type !== 'message.created' || seen.has(id)) continue;
    seen.add(id);
    const { conversationId, seq } = data.message;
    assert.equal(seq, (last.get(conversationId) ?? 0) + 1, `${conversationId}: ${seq} behind ${last.get(conversationId)}`);
    last.set(conversationId, seq);
  }
}

/** Sends `count` messages to each of these conversations in turn; returns all ids. */
async function say(sender, conversations, count, word = 'word') {
  const ids = [];
  for (let number = 1; number <= count; number++) {
    for (const conversationId of conversations) {
      const { id } = await sender.succeed('message:send', { conversationId, content: `${word} ${number}` });
      ids.push(id);
    }
  }
  return ids;
}

const admin = (server, method, path, body) => server.api(method, `/api/admin/webhooks${path}`, { headers: { 'x-api-key': KEY }, body });

/** Waits until the state of the server's only webhook holds; returns it. */
function state(server, holds, what) {
  let last;
  return within(LIMIT, () => `${what}: ${JSON.stringify(last)}`, (async () => {
    for (;;) {
      last = (await admin(server, 'GET', '')).body;
      if (holds(last.webhooks[0], last)) return last;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })());
}

/** Runs a command that asks this server. */
function run(server, ...args) {
  const { status, stdout, stderr } = spawnSync(BINARY, args, {
    cwd: server.folder, encoding: 'utf8', env: { PATH: process.env.PATH, PARLANCE_URL: server.url, PARLANCE_KEY: KEY },
  });
  return { status, stdout, stderr };
}

for (const database of DATABASES) {
  describe(`webhooks on ${database}`, () => {
    it('are told of every change, with what it is about', async (test) => {
      const receiver = await Receiver.start(test);
      const server = await start(test, database, { ...receiver.settings(EVENTS), PRESENCE_GRACE: '0s' });
      const [alice, bob] = await people(test, server, ['alice', 'bob'], { dialect: 'conversation' });
      const came = await receiver.holds(2, ({ type }) => type === 'user.connected');
      assert.deepEqual(came.map(({ data }) => data.user.username).sort(), [alice.user.username, bob.user.username].sort());

      const conversationId = await makeDirect(server, alice, bob);
      const made = await receiver.next('conversation.changed');
      assert.equal(made.data.change, 'created');
      assert.deepEqual(made.data.conversation.participants.toSorted(), [alice.user.id, bob.user.id].sort());

      const { id } = await alice.succeed('message:send', { conversationId, content: 'hello', clientMessageId: 'one' });
      await alice.succeed('message:send', { conversationId, content: 'hello', clientMessageId: 'one' });
      const created = await receiver.next('message.created');
      assert.deepEqual([created.data.messageId, created.data.message.content, created.data.message.sender._id], [id, 'hello', alice.user.id]);
      assert.deepEqual(created.data.conversation, { id: conversationId, type: 'direct', name: null, participants: made.data.conversation.participants });

      await bob.succeed('message:read', { messageId: id });
      const read = await receiver.next('message.read');
      assert.deepEqual([read.data.messageId, read.data.reader.id], [id, bob.user.id]);
      const edited = await server.api('PATCH', `/api/messages/${id}`, { token: alice.user.token, body: { content: 'better' } });
      assert.equal(edited.status, 200, JSON.stringify(edited.body));
      assert.equal((await receiver.next('message.edited')).data.message.content, 'better');
      assert.equal((await server.api('DELETE', `/api/messages/${id}`, { token: alice.user.token })).status, 200);
      assert.equal((await receiver.next('message.deleted')).data.message.content, '');

      const group = await makeGroup(server, alice, [bob]);
      const carol = newUser('carol');
      closeAfter(test, await connect(server, carol));
      const added = await server.api('POST', `/api/conversations/${group}/participants`, { token: alice.user.token, body: { participants: [carol.id] } });
      assert.equal(added.status, 200, JSON.stringify(added.body));
      const joined = await receiver.next('conversation.changed', ({ data }) => data.change === 'joined');
      assert.deepEqual([joined.data.conversationId, joined.data.users, joined.data.conversation.type], [group, [carol.id], 'group']);
      await server.api('DELETE', `/api/conversations/${group}`, { token: alice.user.token });
      const gone = await receiver.next('conversation.changed', ({ data }) => data.change === 'deleted');
      assert.deepEqual([gone.data.conversationId, gone.data.conversation], [group, null]);

      bob.close();
      assert.equal((await receiver.next('user.disconnected')).data.userId, bob.user.id);
      const ids = receiver.events.map((event) => event.id);
      assert.equal(new Set(ids).size, ids.length, 'each has an id of its own, and a repeated send is none');
      const kinds = receiver.events.filter(({ data }) => data.messageId === id).map(({ type }) => type);
      assert.deepEqual(kinds, ['message.created', 'message.read', 'message.edited', 'message.deleted'], 'in order');
    });

    it('repeat what was refused under the same id, in order, and others do not wait for it', async (test) => {
      const receiver = await Receiver.start(test);
      const server = await start(test, database, receiver.settings('message.created'));
      const [alice, bob, carol] = await people(test, server, ['alice', 'bob', 'carol'], { dialect: 'conversation' });
      const [stuck, free] = [await makeDirect(server, alice, bob), await makeDirect(server, alice, carol)];
      let refusals = 0;
      receiver.answer = ({ data }) => (data.message.conversationId === stuck && refusals++ < 3 ? 500 : 204);
      await say(alice, [stuck, free], 5);
      await receiver.holds(10);
      assertOrder(receiver.events);
      const first = receiver.requests.filter(({ event }) => event.data.message.conversationId === stuck).slice(0, 4);
      assert.deepEqual(first.map(({ status }) => status), [500, 500, 500, 204]);
      assert.equal(new Set(first.map(({ event }) => event.id)).size, 1);
      const ofFree = receiver.events.findIndex(({ data }) => data.message.conversationId === free);
      const ofStuck = receiver.events.findIndex(({ data }) => data.message.conversationId === stuck);
      assert.ok(ofFree < ofStuck, 'the other conversation went on');
    });

    it('lose nothing and invent nothing while receiver and server are killed', async (test) => {
      const receiver = await Receiver.start(test);
      const server = await start(test, database, { ...receiver.settings('message.created'), RUST_LOG: 'error' });
      receiver.answer = () => (Math.random() < 0.1 ? 500 : 204);
      const users = ['alice', 'bob', 'carol', 'dan'].map((name) => newUser(name));
      const sent = new Set();
      let conversations;
      for (let round = 0; round < 4; round++) {
        const clients = await Promise.all(users.map((user) => connect(server, user, { dialect: 'conversation' })));
        const [alice, ...others] = clients;
        conversations ??= await Promise.all(others.map((other) => makeDirect(server, alice, other)));
        const committed = (await Promise.all(conversations.map((id) => say(alice, [id], 20, `round ${round}`)))).flat();
        committed.forEach((id) => sent.add(id));
        // Nothing is awaited: some is delivered and not deleted, some under way, some not read yet.
        await server.end('SIGKILL');
        clients.forEach((client) => client.close());
        await server.launch();
      }
      await receiver.until(() => [...sent].every((id) => receiver.events.some(({ data }) => data.messageId === id)));
      assertOrder(receiver.events);
      const ids = new Map();
      for (const { id, data } of receiver.events) ids.set(data.messageId, (ids.get(data.messageId) ?? new Set()).add(id));
      for (const [message, known] of ids) assert.equal(known.size, 1, `${message} has one id`);
      await state(server, ({ waiting }) => waiting === 0, 'nothing waits');
    });

    it('wait for a receiver that is away, and administrators see why', async (test) => {
      const receiver = await Receiver.start(test);
      const { port } = receiver;
      const server = await start(test, database, receiver.settings('message.created'));
      const [alice, bob] = await people(test, server, ['alice', 'bob'], { dialect: 'conversation' });
      const conversationId = await makeDirect(server, alice, bob);
      await receiver.close();
      const ids = await say(alice, [conversationId], 3);
      const { webhooks, waiting } = await state(server, ({ waiting: all, failure }) => all === 3 && failure !== null, 'a failure');
      assert.ok(webhooks[0].failingSince !== null && webhooks[0].waitingSince !== undefined);
      assert.deepEqual(waiting.map(({ subject }) => subject), ids);
      const { body } = await server.api('GET', `/api/admin/explain/message/${ids[0]}`, { headers: { 'x-api-key': KEY } });
      const fact = body.explanation.facts.find(({ code }) => code === 'WEBHOOK_WAITS');
      assert.match(fact.text, /^The webhook default waits to be told of it \(message\.created\): .*refused/i);
      const metrics = (await server.api('GET', '/metrics')).body;
      assert.match(metrics, /^parlance_webhook_waiting_events\{webhook="default"\} 3$/m);
      const listed = run(server, 'webhooks', 'list');
      assert.match(listed.stdout, /default .*3 wait/, listed.stderr);
      const skipped = run(server, 'webhooks', 'skip', 'default');
      assert.equal(skipped.stdout, 'skipped 0 dead letters of default; 3 events still wait for it, and can be skipped by number\n', skipped.stderr);
      assert.match(run(server, 'webhooks', 'skip', 'nobody').stderr, /Webhook not found/);

      const back = await Receiver.start(test, { port });
      run(server, 'webhooks', 'replay', 'default');
      assert.deepEqual((await back.holds(3)).map(({ data }) => data.messageId), ids);
      await state(server, ({ waiting: left, failure }) => left === 0 && failure === null, 'all is delivered');
    });

    it('are explained of who comes and goes', async (test) => {
      const receiver = await Receiver.start(test);
      const server = await start(test, database, receiver.settings('user.connected'));
      receiver.answer = () => 503;
      const [alice] = await people(test, server, ['alice']);
      await state(server, ({ waiting, failure }) => waiting === 1 && failure !== null, 'a failure');
      const { body } = await server.api('GET', `/api/admin/explain/user/${alice.user.id}`, { headers: { 'x-api-key': KEY } });
      const fact = body.explanation.facts.find(({ code }) => code === 'WEBHOOK_WAITS');
      assert.match(fact?.text ?? '', /^The webhook default waits to be told of the user \(user\.connected\): .*503\.$/, JSON.stringify(body));
    });

    it('keep what could not be delivered as dead letters, which are replayed or skipped', async (test) => {
      const receiver = await Receiver.start(test);
      const server = await start(test, database, { ...receiver.settings('message.created'), WEBHOOK_KEEP: '3s' });
      const [alice, bob] = await people(test, server, ['alice', 'bob'], { dialect: 'conversation' });
      const conversationId = await makeDirect(server, alice, bob);
      receiver.answer = () => 503;
      const [first, second, third] = await say(alice, [conversationId], 3);
      const { deadLetters } = await state(server, (webhook) => webhook?.deadLetters === 3, 'three dead letters');
      assert.deepEqual(deadLetters.map(({ subject }) => subject), [third, second, first]);
      assert.equal(deadLetters[0].failure, 'the answer is 503');
      const [, , { number }] = deadLetters;

      const skipped = run(server, 'webhooks', 'skip', String(number));
      assert.deepEqual([skipped.status, skipped.stdout], [0, 'skipped 1 event\n'], skipped.stderr);
      receiver.answer = () => 204;
      const replayed = run(server, 'webhooks', 'replay', 'default');
      assert.deepEqual([replayed.status, replayed.stdout], [0, 'replayed 2 dead letters of default\n'], replayed.stderr);
      const again = await receiver.holds(2);
      assert.deepEqual(again.map(({ data }) => data.messageId), [second, third]);
      const ids = (message) => new Set(receiver.requests.filter(({ event }) => event.data.messageId === message).map(({ event }) => event.id));
      assert.equal(ids(second).size, 1, 'under the id of the first attempt');
      assert.deepEqual(receiver.events.filter(({ data }) => data.messageId === first), []);
    });
  });

  describe(`message.unreached on ${database}`, () => {
    it('tells whom a message has not reached: connected, half-open, frozen, away, read elsewhere', async (test) => {
      const receiver = await Receiver.start(test);
      const server = await start(test, database, {
        ...receiver.settings('message.unreached'), WEBHOOK_UNREACHED_AFTER: '3s', PROOF_INTERVAL: '200ms',
      });
      const [alice, connected] = await people(test, server, ['alice', 'connected'], { dialect: 'conversation' });
      const frozen = await Reader.start(server, newUser('frozen'));
      test.after(() => {
        frozen.thaw();
        frozen.process.disconnect();
      });
      const lines = {};
      for (const name of ['unheard', 'unanswered', 'elsewhere']) lines[name] = await onALine(test, server, newUser(name), { dialect: 'conversation' });
      const away = { user: newUser('away') };
      const visitor = await connect(server, away.user);
      visitor.close();
      await visitor.disconnected();

      const { unheard, unanswered, elsewhere } = lines;
      const recipients = [connected, unheard.client, unanswered.client, elsewhere.client, frozen, away];
      const conversations = [];
      for (const recipient of recipients) conversations.push(await makeDirect(server, alice, recipient));
      const group = await makeGroup(server, alice, recipients);
      unheard.way.hold('down');
      unanswered.way.hold('up');
      elsewhere.way.hold('down');
      frozen.freeze();

      const sent = [];
      for (const conversationId of [...conversations.slice(0, -1), group, conversations.at(-1)]) {
        sent.push((await alice.succeed('message:send', { conversationId, content: 'are you there?' })).id);
      }
      const [toConnected, toUnheard, toUnanswered, toElsewhere, toFrozen, toGroup, toAway] = sent;
      elsewhere.client.tell('message:read', { messageId: toElsewhere });
      elsewhere.client.tell('message:read', { messageId: toGroup });

      // Checks are made in the order of the messages, so that the last one's tells that all were made.
      await receiver.next('message.unreached', ({ data }) => data.messageId === toAway);
      await receiver.holds(5);
      const told = new Map(receiver.events.map(({ data }) => [data.messageId, data.recipients.map(({ id }) => id)]));
      const ids = (...who) => who.map(({ user }) => user.id).toSorted();
      assert.deepEqual(told.get(toConnected), undefined, 'connected: not told');
      assert.deepEqual(told.get(toUnheard), ids(unheard.client), 'half-open, nothing reaches it: told');
      assert.deepEqual(told.get(toUnanswered), ids(unanswered.client), 'half-open, nothing comes back: told');
      assert.deepEqual(told.get(toElsewhere), undefined, 'read elsewhere: not told');
      assert.deepEqual(told.get(toFrozen), ids(frozen), 'a frozen page: told');
      assert.deepEqual(told.get(toAway), ids(away), 'away: told');
      assert.deepEqual(told.get(toGroup)?.toSorted(), ids(unheard.client, unanswered.client, frozen, away), 'of a group, those it has not reached');
      const { data } = receiver.events.find(({ data: { messageId } }) => messageId === toAway);
      assert.deepEqual([data.message.content, data.recipients[0].username, data.more], ['are you there?', away.user.username, 0]);
    });

    it('comes after a restart, too, and not to those who came back', async (test) => {
      const receiver = await Receiver.start(test);
      const server = await start(test, database, {
        ...receiver.settings('message.unreached'), WEBHOOK_UNREACHED_AFTER: '3s', PROOF_INTERVAL: '200ms',
      });
      const [alice] = await people(test, server, ['alice'], { dialect: 'conversation' });
      const [back, away] = [newUser('back'), newUser('away')];
      for (const user of [back, away]) {
        const visitor = await connect(server, user);
        visitor.close();
        await visitor.disconnected();
      }
      const [toBack, toAway] = [await makeDirect(server, alice, { user: back }), await makeDirect(server, alice, { user: away })];
      const { id: reached } = await alice.succeed('message:send', { conversationId: toBack, content: 'soon' });
      const { id: unreached } = await alice.succeed('message:send', { conversationId: toAway, content: 'later' });
      await server.end('SIGKILL');
      await server.launch();
      const client = await connect(server, back, { dialect: 'conversation' });
      closeAfter(test, client);
      await client.next('message:new', ({ id }) => id === reached);
      await receiver.next('message.unreached', ({ data }) => data.messageId === unreached);
      assert.deepEqual(receiver.events.map(({ data }) => data.messageId), [unreached]);
    });
  });
}

describe('webhooks and bad receivers', () => {
  it('count any 2xx as received, whatever its body is, and nothing else', async (test) => {
    const receiver = await Receiver.start(test);
    const elsewhere = await Receiver.start(test);
    const server = await start(test, 'sqlite', receiver.settings('message.created'));
    const [alice, bob] = await people(test, server, ['alice', 'bob'], { dialect: 'conversation' });
    const drips = [];
    test.after(() => drips.forEach(clearInterval));
    const answers = {
      rubbish: (response) => response.writeHead(200, { 'content-type': 'application/json' }).end(Buffer.from([0xff, 0xfe, 0])),
      endless: (response) => {
        response.writeHead(202, { 'content-length': String(2 ** 30) });
        drips.push(setInterval(() => response.write('x'), 1_000));
      },
      redirect: (response) => response.writeHead(307, { location: elsewhere.url }).end(),
      none: (response) => response.destroy(),
      missing: (response) => response.writeHead(404).end('<h1>Not found</h1>'),
    };
    const seen = {};
    receiver.answer = ({ data: { message } }, response) => {
      const kind = message.content;
      seen[kind] = (seen[kind] ?? 0) + 1;
      if (seen[kind] > 1 && kind !== 'rubbish' && kind !== 'endless') return 200;
      answers[kind](response);
      return undefined;
    };
    const conversationId = await makeDirect(server, alice, bob);
    for (const content of Object.keys(answers)) await alice.succeed('message:send', { conversationId, content });
    await receiver.holds(1, ({ data }) => data.message.content === 'missing');
    assert.deepEqual([seen.rubbish, seen.endless, seen.redirect, seen.missing], [1, 1, 2, 2]);
    assert.ok(seen.none >= 2);
    assert.deepEqual(elsewhere.requests, [], 'a redirect is not followed');
  });

  it('that hang hold up their own conversation alone, and keep nobody from sending', async (test) => {
    const receiver = await Receiver.start(test);
    const server = await start(test, 'sqlite', receiver.settings('message.created'));
    const [alice, bob, carol] = await people(test, server, ['alice', 'bob', 'carol'], { dialect: 'conversation' });
    const [stuck, free] = [await makeDirect(server, alice, bob), await makeDirect(server, alice, carol)];
    receiver.answer = ({ data: { message } }) => (message.conversationId === stuck ? undefined : 204);
    await alice.succeed('message:send', { conversationId: stuck, content: 'held' });
    await say(alice, [free], 50);
    await receiver.holds(50);
    assertOrder(receiver.events);
  });

  it('are told where their file is wrong, and the server does not start', async (test) => {
    const server = await start(test, 'sqlite', {});
    const file = join(server.folder, 'webhooks.toml');
    const check = (text, expected) => {
      writeFileSync(file, text);
      const env = { ...server.env, DATA_DIR: join(server.folder, 'other'), WEBHOOK_FILE: file };
      const { status, stderr } = spawnSync(BINARY, ['serve'], { cwd: server.folder, encoding: 'utf8', env, timeout: LIMIT });
      assert.equal(status, 1, stderr);
      assert.ok(stderr.includes(`${file}:${expected}`), stderr);
      assert.ok(!stderr.includes('c2VjcmV0'), stderr);
      const checked = spawnSync(BINARY, ['check'], { cwd: server.folder, encoding: 'utf8', env, timeout: LIMIT });
      assert.equal(checked.status, 1, checked.stdout);
      assert.match(checked.stdout, /webhooks/);
    };
    const entry = (secret, events) => `[[webhook]]\nname = "mail"\nurl = "http://localhost:4000"\nsecret = "${secret}"\nevents = ${events}\n`;
    check(entry(WEBHOOK_SECRET, '["message.sent"]'), '5:10: "message.sent" is unknown');
    check(entry('whsec_c2VjcmV0', '["message.created"]'), '4:10: is not whsec_');
    check('[[webhook]]\nname = mail\n', '2:8: ');
  });

  it('may be several, each with its own events', async (test) => {
    const [mail, audit] = [await Receiver.start(test), await Receiver.start(test)];
    const server = await start(test, 'sqlite', {});
    const file = join(server.folder, 'webhooks.toml');
    const entry = (name, { url }, events) => `[[webhook]]\nname = "${name}"\nurl = "${url}"\nsecret = "${WEBHOOK_SECRET}"\nevents = ${JSON.stringify(events)}\n`;
    writeFileSync(file, entry('mail', mail, ['conversation.changed']) + entry('audit', audit, ['message.created', 'conversation.changed']));
    await server.end();
    server.env.WEBHOOK_FILE = file;
    await server.launch();
    const [alice, bob] = await people(test, server, ['alice', 'bob'], { dialect: 'conversation' });
    await say(alice, [await makeDirect(server, alice, bob)], 1);
    await audit.holds(2);
    await mail.holds(1);
    assert.deepEqual(audit.events.map(({ type }) => type), ['conversation.changed', 'message.created']);
    assert.deepEqual(mail.events.map(({ type }) => type), ['conversation.changed']);
    assert.notEqual(mail.events[0].id, audit.events[0].id);

    // One that is not configured any more leaves dead letters.
    mail.answer = () => 500;
    await makeGroup(server, alice, [bob]);
    await mail.until(() => mail.requests.some(({ status }) => status === 500));
    writeFileSync(file, entry('audit', audit, ['message.created']));
    await server.end();
    await server.launch();
    const { webhooks, deadLetters } = (await admin(server, 'GET', '')).body;
    assert.deepEqual(webhooks.map(({ name }) => name), ['audit', 'mail']);
    assert.equal(deadLetters[0].webhook, 'mail');
    const refused = await admin(server, 'POST', '/replay', { webhook: 'mail' });
    assert.deepEqual([refused.status, refused.body.code], [404, 'NOT_FOUND']);
    assert.equal((await admin(server, 'POST', '/skip', { webhook: 'mail' })).body.events, deadLetters.length);
  });

  it('with a certificate that nobody vouches for are not told, and no secret is logged', async (test) => {
    const receiver = await Receiver.start(test);
    const server = await start(test, 'sqlite', {
      ...receiver.settings('message.created'), WEBHOOK_URL: receiver.url.replace('http:', 'https:'), RUST_LOG: 'debug',
    });
    const [alice, bob] = await people(test, server, ['alice', 'bob'], { dialect: 'conversation' });
    await say(alice, [await makeDirect(server, alice, bob)], 1);
    await state(server, ({ failures }) => failures > 0, 'a failure');
    assert.deepEqual(receiver.requests, []);
    assert.ok(!server.log.includes(WEBHOOK_SECRET.slice(6)), 'the secret');
  });
});
