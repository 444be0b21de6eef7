// The `assistant` front end: one user talks with an AI model. It knows one event, `ai-response`, and shows its
// `content`. So without an answer its user sees AI_ERROR_TEXT in the chat; after a refused connect, only that there is
// no connection.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { APOLOGY, assertFailure, device, stored, WORDS } from '../lib/assistant.mjs';
import { assertHttpError, assertMessage, assertTime } from '../lib/chat.mjs';
import { connect, PROVING, refusal, TRANSPORTS } from '../lib/client.mjs';
import { assertNew } from '../lib/conversation.mjs';
import { DATABASES } from '../lib/database.mjs';
import { KEY, Model, PROVIDER_NAMES } from '../lib/model.mjs';
import { OUTAGES } from '../lib/outage.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { epoch, newUser, sign } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const FAILED = 'The model could not answer, try again';
const TIMEOUT = 'The model did not answer in time, try again';
const BUSY = 'Too many questions wait for the model, try again later';

/** Ways in which a connection comes to speak `assistant`. */
const WAYS = {
  learned: { options: {}, env: {} },
  pinned: { options: { dialect: 'assistant' }, env: {} },
  alone: { options: {}, env: { DIALECTS: 'assistant' } },
};

/** Returns a server and the model that it asks; both end with the test. */
async function serverAndModel(test, { provider = 'gemini', env, ...options } = {}) {
  const model = await Model.start(provider);
  test.after(() => model.kill());
  const server = await Server.start({ env: { RATE_LIMIT_EVENTS: '0', ...model.env, ...env }, ...options });
  test.after(() => server.remove());
  return { server, model };
}

function assertAsked(asked, turns, stream) {
  const { actual, expected } = asked.isFor(turns, stream);
  assert.deepEqual(actual, expected);
}

/** Asserts that only this dialect's events were received, and none is left. */
function assertNothingElse(...clients) {
  for (const { inbox } of clients) assert.deepEqual(inbox.filter(({ event }) => event !== 'recovery:seed'), []);
}

for (const database of DATABASES) {
  for (const provider of PROVIDER_NAMES) {
    for (const [way, { options, env }] of Object.entries(WAYS)) {
      describe(`assistant, ${way}, ${provider}, on ${database}`, () => {
        for (const transport of provider === 'gemini' ? Object.keys(TRANSPORTS) : ['websocket']) {
          it(`an ordinary day, ${transport}`, async (test) => {
            const { server, model } = await serverAndModel(test, { database, provider, env: { ...PROVING, ...env } });
            await day(test, server, model, { transport, ...options });
          });
        }
      });
    }
  }
}

/** An ordinary day of the front end, with two devices. */
async function day(test, server, model, options) {
  const phone = await device(test, server, undefined, options);
  const { user } = phone;
  const laptop = await device(test, server, user, options);
  const stranger = await device(test, server, undefined, options);
  const all = [phone, laptop, stranger];
  // Every connection sends something, and from then on receives only its own dialect.
  for (const client of all) {
    const question = client.ask('ai-message', { chatId: `hello-${client.socket.id}`, content: 'Hello' });
    (await model.next()).answer('Hi');
    assert.deepEqual(await question, { success: true, chat: `hello-${client.socket.id}` });
  }
  for (const [client, others] of [[phone, [phone, laptop]], [laptop, [phone, laptop]], [stranger, [stranger]]]) {
    const chat = `hello-${client.socket.id}`;
    for (const other of others) assert.deepEqual(await other.next('ai-response', (told) => told.chat === chat), { chat, content: 'Hi' });
  }
  for (const client of all) client.inbox = client.inbox.filter(({ event }) => WORDS.includes(event));
  if (options.transport === 'upgrading') await Promise.all(all.map((client) => client.upgraded()));

  // As in the front end's documentation: `{chatId, content, chat}`, no ack.
  const content = 'Why is the sky blue? \u{1F30D}\n"quoted" \\ </script>';
  phone.tell('ai-message', { chatId: 'c-1', content, chat: 'c-1' });
  let asked = await model.next();
  assertAsked(asked, [['user', content]]);
  asked.answer('Because.\n\u{1F308}');
  for (const client of [phone, laptop]) assert.deepEqual(await client.next('ai-response'), { chat: 'c-1', content: 'Because.\n\u{1F308}' });

  // `chat` may be any JSON, and comes back unchanged.
  const turns = [['user', content], ['model', 'Because.\n\u{1F308}']];
  for (const [index, chat] of [{ id: 7, tags: ['a', null, 1.50] }, [], 0, false, '', 'x'].entries()) {
    const ack = laptop.ask('ai-message', { chatId: 'c-1', content: `and ${index}?`, chat });
    turns.push(['user', `and ${index}?`]);
    asked = await model.next();
    assertAsked(asked, turns);
    assert.deepEqual(await ack, { success: true, chat }, 'acked before there is an answer');
    asked.answer(`so ${index}`);
    turns.push(['model', `so ${index}`]);
    for (const client of [phone, laptop]) assert.deepEqual(await client.next('ai-response'), { chat, content: `so ${index}` });
  }

  // Without `chat`, `chatId` is echoed; without `chatId`, `chat` is the id if it is a text. A number counts as its
  // decimal text.
  for (const [request, chat] of [[{ chatId: 'c-2' }, 'c-2'], [{ chat: 'c-2' }, 'c-2'], [{ chatId: 17, chat: null }, '17']]) {
    phone.tell('ai-message', { ...request, content: 'Hm?' });
    (await model.next()).answer('Hm.');
    for (const client of [phone, laptop]) assert.deepEqual(await client.next('ai-response'), { chat, content: 'Hm.' });
  }
  const twice = [['user', 'Hm?'], ['model', 'Hm.']];
  assert.deepEqual(await stored(server, user, 'c-2'), [...twice, ...twice], 'one chat');

  // The same id sent by another user is another chat.
  stranger.tell('ai-message', { chatId: 'c-1', content: 'Mine?', chat: 'c-1' });
  asked = await model.next();
  assertAsked(asked, [['user', 'Mine?']]);
  asked.answer('Yours.');
  assert.deepEqual(await stranger.next('ai-response'), { chat: 'c-1', content: 'Yours.' });

  // In pieces, to a client that asks for them.
  phone.tell('ai-message', { chatId: 'c-3', content: 'Slowly.', chat: 'three', stream: true });
  asked = await model.next();
  assertAsked(asked, [['user', 'Slowly.']], true);
  for (const delta of ['One ', '\u{1F40C} ', 'three']) {
    await asked.piece(delta);
    assert.deepEqual(await phone.next('ai-response-chunk'), { chat: 'three', delta, done: false });
  }
  await asked.finish();
  assert.deepEqual(await phone.next('ai-response-chunk'), { chat: 'three', delta: '', done: true });
  for (const client of [phone, laptop]) assert.deepEqual(await client.next('ai-response'), { chat: 'three', content: 'One \u{1F40C} three' });

  // The ack was lost: repeated under its own id, it is the same question, and gets the stored answer.
  const named = { chatId: 'c-4', content: 'Once?', clientMessageId: 'q-1' };
  await phone.succeed('ai-message', named);
  (await model.next()).answer('Once.');
  for (const client of [phone, laptop]) assert.deepEqual(await client.next('ai-response'), { chat: 'c-4', content: 'Once.' });
  assert.deepEqual(await phone.ask('ai-message', { ...named, chat: 4 }), { success: true, chat: 4 });
  assert.deepEqual(await phone.next('ai-response'), { chat: 4, content: 'Once.' });
  assert.deepEqual(await stored(server, user, 'c-4'), [['user', 'Once?'], ['model', 'Once.']]);

  // At most the last twenty messages.
  for (let index = 6; index < 12; index++) {
    phone.tell('ai-message', { chatId: 'c-1', content: `and ${index}?` });
    turns.push(['user', `and ${index}?`]);
    asked = await model.next();
    assertAsked(asked, turns.slice(-20));
    asked.answer(`so ${index}`);
    turns.push(['model', `so ${index}`]);
    for (const client of [phone, laptop]) await client.next('ai-response');
  }
  assert.equal(turns.length, 26);
  assert.deepEqual(await stored(server, user, 'c-1'), turns);

  // A user who was away gets the answer on return.
  await Promise.all([laptop, phone].map((client) => client.proven()));
  laptop.close();
  phone.close();
  const other = await device(test, server, user, options);
  other.tell('ai-message', { chatId: 'c-5', content: 'Later?', chat: { five: 5 } });
  asked = await model.next();
  other.close();
  await within(LIMIT, 'all gone', (async () => {
    while ((await server.api('GET', '/api/users/online', { token: stranger.user.token })).body.users.some(({ id }) => id === user.id));
  })());
  asked.answer('Later.');
  await within(LIMIT, 'the answer', (async () => {
    while ((await stored(server, user, 'c-5')).length < 2);
  })());
  const back = await device(test, server, user, options);
  assert.deepEqual(await back.next('ai-response'), { chat: { five: 5 }, content: 'Later.' });
  assertNothingElse(phone, laptop, stranger);
  assert.deepEqual(back.told('ai-response'), [], 'once');
}

/** The model is asked again, and fails again. */
const twice = (fail) => async (asked, model) => {
  fail(asked);
  fail(await model.next());
};

/** `[what, what the model does, code, sentence, more]`: the answers to the client. */
const FAILURES = [
  ['it refuses', (asked) => asked.refuse(500), 'MODEL_FAILED', FAILED],
  ['it does not know the key', (asked) => asked.refuse(401), 'MODEL_FAILED', FAILED],
  ['it is busy for long', (asked) => asked.refuse(429, { 'retry-after': '600' }), 'MODEL_BUSY', BUSY, { retryAfterMs: 600_000 }],
  ['it is away for long', (asked) => asked.refuse(503, { 'retry-after': '600' }), 'MODEL_BUSY', BUSY, { retryAfterMs: 600_000 }],
  ['it sends us elsewhere', (asked) => asked.refuse(307, { location: 'http://127.0.0.1:1/' }), 'MODEL_FAILED', FAILED],
  ['it says nothing', (asked) => asked.answer(''), 'MODEL_FAILED', FAILED],
  ['it says half of it', (asked) => asked.halfAnswer('Half an answer'), 'MODEL_FAILED', FAILED],
  ['it speaks another language', (asked) => asked.send(200, '<html>It works!</html>', { 'content-type': 'text/html' }), 'MODEL_FAILED', FAILED],
  ['it says that there is an error', (asked) => asked.send(200, asked.provider.error(200, 'X')), 'MODEL_FAILED', FAILED],
  ['a filter broke it off', (asked) => asked.answer('Half an answer', asked.provider.reasons.broken[0]), 'MODEL_FAILED', FAILED],
  ['it is compressed', (asked) => asked.send(200, 'x', { 'content-encoding': 'gzip' }), 'MODEL_FAILED', FAILED],
  ['the line is cut twice before it says anything', twice((asked) => asked.cut()), 'MODEL_FAILED', FAILED],
  ['the line is cut twice in the middle', twice((asked) => asked.cutAnswer('Half an answer')), 'MODEL_FAILED', FAILED],
  ['its proxy does not reach it, twice', twice((asked) => asked.refuse(502)), 'MODEL_FAILED', FAILED],
  ['it is away, twice', twice((asked) => asked.refuse(503)), 'MODEL_FAILED', FAILED],
  ['it takes too long', () => {}, 'MODEL_TIMEOUT', TIMEOUT],
];

/** The same while it answers in pieces, after the first one. */
const BROKEN_STREAMS = [
  ['the line is cut', (asked) => asked.cut(), 'MODEL_FAILED', FAILED],
  ['half a line, and the end', (asked) => asked.line('data: {"candidates":[{"content":{"par').then(() => asked.end()), 'MODEL_FAILED', FAILED],
  ['half a line', (asked) => asked.event('{"candidates":[{"content":{"par'), 'MODEL_FAILED', FAILED],
  ['an error', (asked) => asked.event(asked.provider.error(500, 'X')), 'MODEL_FAILED', FAILED],
  ['a filter', (asked) => asked.piece('Half', asked.provider.reasons.broken[0]), 'MODEL_FAILED', FAILED],
];

for (const database of DATABASES) {
  for (const provider of PROVIDER_NAMES) {
    describe(`assistant: no answer, ${provider}, on ${database}`, () => {
      for (const [way, { options }] of Object.entries(WAYS)) {
        it(`is told with its code; the question stays, and asking again works, ${way}`, async (test) => {
          const env = { AI_TIMEOUT: '3s', RUST_LOG: 'debug', DIALECTS: way === 'alone' ? 'assistant' : '' };
          if (way !== 'alone') delete env.DIALECTS;
          const { server, model } = await serverAndModel(test, { database, provider, env });
          const client = await device(test, server, undefined, options);
          const expected = [];
          let heard = '';
          client.socket.onAny((...args) => {
            heard += JSON.stringify(args);
          });
          const ask = async (question, what, stream) => {
            await client.succeed('ai-message', question);
            const asked = await model.next();
            assert.equal(asked.path, model.provider.path(stream), what);
            return asked;
          };
          for (const [stream, failures] of [[false, FAILURES], [true, BROKEN_STREAMS]]) {
            for (const [what, fail, code, sentence, more] of failures) {
              const question = { chatId: `c-${stream}`, content: what, chat: what, clientMessageId: `${what} ${stream}`, stream };
              const asked = await ask(question, what, stream);
              client.inbox = client.inbox.filter(({ event }) => WORDS.includes(event));
              if (stream) {
                await asked.piece('One');
                assert.deepEqual(await client.next('ai-response-chunk'), { chat: what, delta: 'One', done: false });
              }
              await fail(asked, model);
              await assertFailure(client, what, code, sentence, more);
              const again = await ask(question, what, stream);
              if (stream) {
                await again.piece('Two');
                await again.finish();
                assert.deepEqual(await client.next('ai-response-chunk'), { chat: what, delta: 'Two', done: false });
                assert.deepEqual(await client.next('ai-response-chunk'), { chat: what, delta: '', done: true });
              } else {
                again.answer('Two');
              }
              assert.deepEqual(await client.next('ai-response'), { chat: what, content: 'Two' });
              expected.push(['user', what], ['model', 'Two']);
            }
            assert.deepEqual(await stored(server, client.user, `c-${stream}`), expected.splice(0));
          }
          assertNothingElse(client);
          assert.ok(server.log.includes('model'), 'the log says something');
          for (const text of [server.log, heard]) assert.ok(!text.includes(KEY), 'the key is in no log and no answer');
        });
      }

      it('it wants us to wait a moment: we do', async (test) => {
        const { server, model } = await serverAndModel(test, { database, provider });
        const client = await device(test, server, undefined, { dialect: 'assistant' });
        for (const headers of [{ 'retry-after': '1' }, {}]) {
          client.tell('ai-message', { chatId: 'c', content: 'Now?' });
          (await model.next()).refuse(429, headers);
          (await model.next()).answer('Now.');
          assert.deepEqual(await client.next('ai-response'), { chat: 'c', content: 'Now.' });
        }
        assertNothingElse(client);
      });
    });
  }

  describe(`assistant: something dies, on ${database}`, () => {
    it('the model, in the middle of an answer', async (test) => {
      const { server, model } = await serverAndModel(test, { database });
      const client = await device(test, server, undefined, { dialect: 'assistant' });
      const question = { chatId: 'c', content: 'Why?', clientMessageId: 'q-1', stream: true };
      client.tell('ai-message', question);
      await (await model.next()).piece('Beca');
      assert.deepEqual(await client.next('ai-response-chunk'), { chat: 'c', delta: 'Beca', done: false });
      await model.kill();
      await assertFailure(client, 'c', 'MODEL_FAILED', FAILED);
      client.tell('ai-message', question);
      await assertFailure(client, 'c', 'MODEL_FAILED', FAILED);
      await model.revive();
      client.tell('ai-message', { ...question, stream: false });
      (await model.next()).answer('Because.');
      assert.deepEqual(await client.next('ai-response'), { chat: 'c', content: 'Because.' });
      client.tell('ai-message', { chatId: 'c', content: 'And?' });
      const asked = await model.next();
      assertAsked(asked, [['user', 'Why?'], ['model', 'Because.'], ['user', 'And?']]);
      asked.answer('So.');
      assert.deepEqual(await client.next('ai-response'), { chat: 'c', content: 'So.' });
      assertNothingElse(client);
      assert.deepEqual(await stored(server, client.user, 'c'), [['user', 'Why?'], ['model', 'Because.'], ['user', 'And?'], ['model', 'So.']]);
    });

    it('the server, in the middle of an answer', async (test) => {
      const { server, model } = await serverAndModel(test, { database });
      const user = newUser('asker');
      const asks = async (question) => {
        const client = await device(test, server, user, { dialect: 'assistant' });
        await client.succeed('ai-message', question);
        return [client, await model.next()];
      };
      const question = { chatId: 'c', content: 'Why?', clientMessageId: 'q-1' };
      for (const say of [() => {}, (asked) => asked.piece('Beca')]) {
        const [client, asked] = await asks({ ...question, stream: true });
        await say(asked);
        await server.end('SIGKILL');
        await client.disconnected();
        await within(LIMIT, 'the line to the model to close', asked.gone);
        await server.launch();
        assert.deepEqual(await stored(server, user, 'c'), [['user', 'Why?']]);
      }
      const [client, asked] = await asks(question);
      assertAsked(asked, [['user', 'Why?']]);
      asked.answer('Because.');
      assert.deepEqual(await client.next('ai-response'), { chat: 'c', content: 'Because.' });
      await server.end('SIGKILL');
      await server.launch();
      const back = await device(test, server, user, { dialect: 'assistant' });
      await back.succeed('ai-message', question);
      await back.next('ai-response', ({ content }) => content === 'Because.');
      back.tell('ai-message', { chatId: 'c', content: 'And?' });
      const next = await model.next();
      assertAsked(next, [['user', 'Why?'], ['model', 'Because.'], ['user', 'And?']]);
      next.answer('So.');
      await back.next('ai-response', ({ content }) => content === 'So.');
      assert.deepEqual(await stored(server, user, 'c'), [['user', 'Why?'], ['model', 'Because.'], ['user', 'And?'], ['model', 'So.']]);
    });

    it('the server is asked to stop: what is being said is stored, what waits is given up', async (test) => {
      const { server, model } = await serverAndModel(test, { database, env: { AI_CONCURRENCY: '1' } });
      const client = await device(test, server, undefined, { dialect: 'assistant' });
      await client.succeed('ai-message', { chatId: 'a', content: '1' });
      await client.succeed('ai-message', { chatId: 'b', content: '2' });
      const asked = await model.next();
      const ended = server.end('SIGTERM');
      await assertFailure(client, 'b', 'MODEL_FAILED', 'The server is being restarted, ask again in a moment');
      asked.answer('One.');
      assert.deepEqual(await ended, { code: 0, signal: null });
      await server.launch();
      assert.deepEqual(await stored(server, client.user, 'a'), [['user', '1'], ['model', 'One.']]);
      assert.deepEqual(await stored(server, client.user, 'b'), [['user', '2']]);
    });
  });

  describe(`assistant: many questions, on ${database}`, () => {
    it('one of a chat at a time, ten more wait in order, so many at once as may be', async (test) => {
      const { server, model } = await serverAndModel(test, { database, env: { AI_CONCURRENCY: '2' } });
      const client = await device(test, server);
      for (let index = 0; index < 12; index++) await client.succeed('ai-message', { chatId: 'c', content: `q${index}` });
      await assertFailure(client, 'c', 'MODEL_BUSY', BUSY);
      for (const chat of ['d', 'e']) await client.succeed('ai-message', { chatId: chat, content: chat });
      const [first, other] = [await model.next(), await model.next()];
      assertAsked(other, [['user', 'd']]);
      assert.deepEqual(model.asked, [], 'two at once');
      other.answer('to d');
      assert.deepEqual(await client.next('ai-response'), { chat: 'd', content: 'to d' });
      const last = await model.next();
      assertAsked(last, [['user', 'e']]);
      // In the order of storing; the question comes last, and waiting ones are left out.
      const [questions, answers] = [[], []];
      for (let index = 0, asked = first; index < 11; index++) {
        const question = ['user', `q${index}`];
        assertAsked(asked, [...questions, ...answers, question].slice(-20));
        asked.answer(`a${index}`);
        questions.push(question);
        answers.push(['model', `a${index}`]);
        assert.deepEqual(await client.next('ai-response'), { chat: 'c', content: `a${index}` });
        if (index < 10) asked = await model.next();
      }
      last.answer('to e');
      assert.deepEqual(await client.next('ai-response'), { chat: 'e', content: 'to e' });
      assert.deepEqual(model.asked, []);
      assert.equal((await stored(server, client.user, 'c')).length, 23, 'the refused question is stored as well');
    });

    it('a question that was deleted while it waited is not asked', async (test) => {
      const { server, model } = await serverAndModel(test, { database });
      const client = await device(test, server);
      const own = await connect(server, client.user, { dialect: 'messenger' });
      test.after(() => own.close());
      const first = await own.succeed('send_direct_message', { recipientId: 'model', content: 'first' });
      const second = await own.succeed('send_direct_message', { recipientId: 'model', content: 'second' });
      assert.equal(second.message.conversationId, first.message.conversationId);
      assert.equal((await server.api('DELETE', `/api/messages/${second.message._id}`, { token: client.user.token })).status, 200);
      await assertFailure(client, 'model', 'NOT_FOUND', 'Message not found');
      assert.deepEqual(await own.next('error'), { message: 'Message not found', error: 'Message not found', code: 'NOT_FOUND' });
      (await model.next()).answer('to first');
      assert.deepEqual(await client.next('ai-response'), { chat: 'model', content: 'to first' });
    });

    it('a question that is deleted while the model works gets no answer, and answer and chat are its user\'s to delete', async (test) => {
      const { server, model } = await serverAndModel(test, { database });
      for (const dialect of [undefined, 'assistant']) {
        const client = await device(test, server, newUser('asker'), { dialect });
        const { token } = client.user;
        const [messenger, conversation] = [await connect(server, client.user, { dialect: 'messenger' }), await connect(server, client.user, { dialect: 'conversation' })];
        test.after(() => [messenger, conversation].forEach((other) => other.close()));
        const stranger = newUser('stranger');
        const remove = (path, by = token) => server.api('DELETE', path, { token: by });
        const chatOf = async () => {
          const { body: { conversations } } = await server.api('GET', '/api/conversations', { token });
          return conversations.find(({ type }) => type === 'ai');
        };
        const said = async ({ id }) => (await server.api('GET', `/api/conversations/${id}/messages`, { token })).body.messages;

        // While the answer comes in pieces.
        await client.succeed('ai-message', { chatId: 'c', content: 'Why?', stream: true });
        const asked = await model.next();
        await asked.piece('Be');
        assert.equal((await client.next('ai-response-chunk')).delta, 'Be');
        const chat = await chatOf();
        const [question] = await said(chat);
        assertHttpError(await remove(`/api/messages/${question._id}`, stranger.token), 403, 'FORBIDDEN');
        assert.equal((await remove(`/api/messages/${question._id}`)).status, 200);
        await assertFailure(client, 'c', 'NOT_FOUND', 'Message not found');
        await within(LIMIT, 'the provider is not listened to any more', asked.gone);

        // And while the whole answer is awaited.
        await client.succeed('ai-message', { chatId: 'c', content: 'Why not?' });
        const again = await model.next();
        assert.equal((await remove(`/api/messages/${(await said(chat))[0]._id}`)).status, 200);
        await assertFailure(client, 'c', 'NOT_FOUND', 'Message not found');
        await within(LIMIT, 'the provider is not listened to any more', again.gone);

        await client.succeed('ai-message', { chatId: 'c', content: 'And now?' });
        (await model.next()).answer('Now.');
        assert.deepEqual(await client.next('ai-response'), { chat: 'c', content: 'Now.' });
        const [, answer, ...more] = await said(chat);
        assert.deepEqual([answer.content, more], ['Now.', []], 'nothing else was stored');
        assert.deepEqual(client.told('ai-response-chunk'), []);
        assertHttpError(await server.api('PATCH', `/api/messages/${answer._id}`, { token, body: { content: 'x' } }), 403, 'FORBIDDEN');
        assertHttpError(await remove(`/api/messages/${answer._id}`, stranger.token), 403, 'FORBIDDEN');
        assert.equal((await remove(`/api/messages/${answer._id}`)).status, 200);
        await messenger.next('message_deleted', ({ messageId }) => messageId === answer._id);
        await conversation.next('message:deleted', (told) => (told.messageId ?? told.id) === answer._id);
        assert.deepEqual((await said(chat)).map(({ content }) => content), ['And now?']);

        await client.succeed('ai-message', { chatId: 'c', content: 'In vain?' });
        const last = await model.next();
        assertHttpError(await remove(`/api/conversations/${chat.id}`, stranger.token), 403, 'FORBIDDEN');
        assert.equal((await remove(`/api/conversations/${chat.id}`)).status, 200);
        await assertFailure(client, 'c', 'NOT_FOUND', 'Message not found');
        await within(LIMIT, 'the provider is not listened to any more', last.gone);
        await conversation.next('conversation:deleted');
        assert.equal(await chatOf(), undefined);
        assert.deepEqual(client.told('ai-response'), []);
      }
    });
  });
}

/** `[payload, code, sentence, the chat named in the refusal]`; the user is always shown AI_ERROR_TEXT. */
const REFUSED = [
  [null, 'INVALID_PAYLOAD', 'Missing chatId', null],
  ['hello', 'INVALID_PAYLOAD', 'Invalid payload', null],
  [{}, 'INVALID_PAYLOAD', 'Missing chatId', null],
  [{ content: 'where?' }, 'INVALID_PAYLOAD', 'Missing chatId', null],
  [{ chatId: '', content: 'x' }, 'INVALID_PAYLOAD', 'Invalid chatId', null],
  [{ chatId: 'y'.repeat(201), content: 'x', chat: 1 }, 'INVALID_PAYLOAD', 'Invalid chatId', 1],
  [{ chatId: { $oid: 'x' }, content: 'x', chat: [1] }, 'INVALID_PAYLOAD', 'Invalid chatId', [1]],
  [{ chatId: 1.5, content: 'x' }, 'INVALID_PAYLOAD', 'Invalid chatId', null],
  [{ chat: { id: 7 }, content: 'x' }, 'INVALID_PAYLOAD', 'Missing chatId', { id: 7 }],
  [{ chat: 7, content: 'x' }, 'INVALID_PAYLOAD', 'Missing chatId', 7],
  [{ chat: '', content: 'x' }, 'INVALID_PAYLOAD', 'Invalid chat', ''],
  [{ chatId: 'c' }, 'INVALID_PAYLOAD', 'Missing content', 'c'],
  [{ chatId: 'c', content: '' }, 'INVALID_PAYLOAD', 'Invalid content', 'c'],
  [{ chatId: 'c', content: 7 }, 'INVALID_PAYLOAD', 'Invalid content', 'c'],
  [{ chatId: 'c', content: { text: 'x' }, chat: 'see' }, 'INVALID_PAYLOAD', 'Invalid content', 'see'],
  [{ chatId: 'c', content: 'nul \0 inside' }, 'INVALID_PAYLOAD', 'Invalid content', 'c'],
  [{ chatId: 'c', content: 'half a pair \ud83d' }, 'INVALID_PAYLOAD', 'Invalid content', 'c'],
  [{ chatId: 'c', content: 'x', stream: 'yes' }, 'INVALID_PAYLOAD', 'Invalid stream', 'c'],
  [{ chatId: 'c', content: 'x', clientMessageId: '' }, 'INVALID_PAYLOAD', 'Invalid clientMessageId', 'c'],
  [{ chatId: 'c', content: 'x', clientMessageId: 'z'.repeat(201) }, 'INVALID_PAYLOAD', 'Invalid clientMessageId', 'c'],
  [{ chatId: 'c', content: 'x'.repeat(101) }, 'TOO_LARGE', 'Too large: the text is too long', 'c'],
  [{ chatId: '$foreign_chat', content: 'x', chat: 'theirs' }, 'FORBIDDEN', 'Not a member', 'theirs'],
  [{ chatId: '$own_group', content: 'x', chat: 'group' }, 'FORBIDDEN', 'Not allowed', 'group'],
  [{ chatId: 'c', content: 'another', clientMessageId: 'used' }, 'CONFLICT', 'This clientMessageId was used for another message', 'c'],
];

for (const database of DATABASES) {
  describe(`assistant: refused on ${database}`, () => {
    for (const [way, options] of [['learned', {}], ['pinned', { dialect: 'assistant' }]]) {
      it(`with an ack in the ack, without one as ai-error; nothing is asked or stored, ${way}`, async (test) => {
        const { server, model } = await serverAndModel(test, { database, env: { MAX_MESSAGE_LENGTH: '100' } });
        const [client, stranger] = [await device(test, server, undefined, options), await device(test, server)];
        for (const asker of [client, stranger]) {
          await asker.succeed('ai-message', { chatId: 'c', content: 'first', clientMessageId: 'used' });
          (await model.next()).answer('1');
          await asker.next('ai-response');
          asker.inbox = asker.inbox.filter(({ event }) => WORDS.includes(event));
        }
        const chats = await server.api('GET', '/api/conversations', { token: stranger.user.token });
        const group = await server.api('POST', '/api/conversations', {
          token: client.user.token, body: { type: 'group', name: 'Us', participants: [stranger.user.id] },
        });
        const made = { $foreign_chat: chats.body.conversations[0].id, $own_group: group.body.conversation.id };
        assert.ok(made.$foreign_chat && made.$own_group);
        for (const [request, code, sentence, chat] of REFUSED) {
          const payload = request?.chatId in made ? { ...request, chatId: made[request.chatId] } : request;
          const what = JSON.stringify(payload);
          assert.deepEqual(await client.ask('ai-message', payload), { success: false, error: sentence, code }, what);
          client.tell('ai-message', payload);
          await assertFailure(client, chat, code, sentence);
        }
        assertNothingElse(client);
        assert.deepEqual(model.asked, []);
        assert.deepEqual(await stored(server, client.user, 'c'), [['user', 'first'], ['model', '1']]);
      });
    }
  });

  describe(`assistant: an outage on ${database}`, () => {
    it('a question that is not stored is NOT_STORED, what comes then STORAGE_UNAVAILABLE; an answer is shown once it is stored', async (test) => {
      const outage = await OUTAGES[database](test);
      const { server, model } = await serverAndModel(test, { database, databaseUrl: outage.databaseUrl, env: { STORE_RETRY_FOR: '2s' } });
      const client = await device(test, server, undefined, { dialect: 'assistant' });
      const ask = (content, clientMessageId = content) => ({ chatId: 'c', content, clientMessageId });
      await client.succeed('ai-message', ask('before'));
      const asked = await model.next();
      await outage.begin(server);
      asked.answer('lost');
      const failure = await client.next('ai-error', undefined, 2 * LIMIT);
      const lost = 'The message could not be stored, try again later';
      // A frozen Postgres had received it, and may store it yet. A locked file had not.
      const inDoubt = 'The message was not stored, try again';
      const [why, code] = database === 'postgres' ? [inDoubt, 'NOT_STORED'] : [lost, 'STORAGE_UNAVAILABLE'];
      assert.deepEqual(failure, { chat: 'c', message: why, error: why, code });
      assert.deepEqual(client.told('ai-response'), []);
      assert.deepEqual(await client.askWithin(2 * LIMIT, 'ai-message', ask('not now')), { success: false, error: lost, code: 'STORAGE_UNAVAILABLE' });
      await outage.end();
      await within(3 * LIMIT, 'the first success', (async () => {
        while (!(await client.ask('ai-message', ask('before'))).success) await server.api('GET', '/readyz');
      })());
      // A frozen database may store what it had received once it continues: then that is the answer.
      await within(LIMIT, 'an answer or a question', (async () => {
        while (model.asked.length === 0 && client.told('ai-response').length === 0) await server.api('GET', '/readyz');
      })());
      if (model.asked.length > 0) (await model.next()).answer('found');
      const { content, ...rest } = await client.next('ai-response');
      assert.deepEqual(rest, { chat: 'c' });
      assert.ok(['lost', 'found'].includes(content), content);
      await outage.begin(server);
      client.tell('ai-message', ask('on its way'));
      const error = 'The message was not stored, try again';
      assert.deepEqual(await client.next('ai-error', undefined, 2 * LIMIT), { chat: 'c', message: error, error, code: 'NOT_STORED' });
      await outage.end();
      await within(3 * LIMIT, 'the first success', (async () => {
        while (!(await client.ask('ai-message', ask('on its way'))).success) await server.api('GET', '/readyz');
      })());
      (await model.next()).answer('arrived');
      assert.deepEqual(await client.next('ai-response'), { chat: 'c', content: 'arrived' });
      assert.deepEqual(await stored(server, client.user, 'c'), [
        ['user', 'before'], ['model', content], ['user', 'on its way'], ['model', 'arrived'],
      ]);
    });
  });

  describe(`assistant: in every dialect a message to an AI conversation asks the model, on ${database}`, () => {
    it('question and answer, and the failure, in each one\'s words', async (test) => {
      const { server, model } = await serverAndModel(test, { database });
      const user = newUser('polyglot');
      const speak = async (dialect) => {
        const client = await connect(server, user, { dialect });
        test.after(() => client.close());
        return client;
      };
      const own = await speak('assistant');
      const [messenger, conversation] = [await speak('messenger'), await speak('conversation')];
      const [listing, agent] = [await speak('listing'), await speak('agent')];
      const me = { user };
      const theModel = { id: 'model', username: 'model', user: { id: 'model' } };
      let place;

      const ways = {
        messenger: async () => {
          const { message, status } = await messenger.succeed('send_direct_message', { recipientId: 'model', content: 'messenger?' });
          assertMessage(message, user, { content: 'messenger?', status: 'sent' });
          assert.equal(status, 'sent');
          place = message.conversationId;
        },
        'messenger, by the conversation': () => messenger.succeed('send_group_message', { conversationId: place, content: 'messenger, by the conversation?' }),
        conversation: () => conversation.succeed('message:send', { conversationId: place, content: 'conversation?' }),
        listing: () => listing.succeed('sendDirectMessage', { receiverId: 'model', content: 'listing?' }),
        agent: () => agent.succeed('message:send', { targetUserId: 'model', content: 'agent?' }),
        assistant: () => own.succeed('ai-message', { chatId: place, chat: 'model', content: 'assistant?' }),
        HTTP: async () => {
          const { status, body } = await server.api('POST', `/api/conversations/${place}/messages`, { token: user.token, body: { content: 'HTTP?' } });
          assert.equal(status, 201, JSON.stringify(body));
        },
      };
      const turns = [];
      for (const [way, ask] of Object.entries(ways)) {
        await ask();
        turns.push(['user', `${way}?`]);
        const asked = await model.next();
        assertAsked(asked, turns);
        asked.answer(`to ${way}`);
        turns.push(['model', `to ${way}`]);
        assert.deepEqual(await own.next('ai-response'), { chat: 'model', content: `to ${way}` }, way);
        const isAnswer = ({ content, message }) => (content ?? message.content ?? message) === `to ${way}`;
        const shown = await messenger.next('new_message', isAnswer);
        assert.equal(shown.conversationId, place);
        assertMessage(shown.message, theModel, { conversationId: place, content: `to ${way}`, messageType: 'text', file: null, status: 'delivered' });
        assertNew(await conversation.next('message:new', isAnswer), theModel, place, `to ${way}`);
        const direct = await listing.next('directMessage', isAnswer);
        const { _id, createdAt, updatedAt, ...rest } = direct;
        assert.equal(_id, shown.message._id);
        assertTime(createdAt);
        assertTime(updatedAt);
        const summary = (id, username) => ({ _id: id, fullName: username, username, profilePicture: null });
        assert.deepEqual(rest, {
          senderId: summary('model', 'model'), receiverId: summary(user.id, user.username), message: `to ${way}`,
          listingId: null, messageType: 'text', isRead: false,
        });
        const { success, data, timestamp, ...unknown } = await agent.next('message:receive', (told) => told.data.content === `to ${way}`);
        assert.deepEqual([success, unknown, timestamp], [true, {}, createdAt]);
        assert.deepEqual(data, {
          // Its owner's name for it.
          _id, conversationId: 'model', sender: 'model', senderId: 'model', content: `to ${way}`, attachments: [],
          senderInfo: { userId: 'model', email: null, role: 'user' }, createdAt,
        });
        // The user's other devices get the question.
        if (!way.startsWith('conversation')) assertNew(await conversation.next('message:new'), me, place, `${way}?`);
      }

      await conversation.succeed('message:send', { conversationId: place, content: 'Once more?' });
      (await model.next()).refuse(500);
      assert.deepEqual(await own.next('ai-error'), { chat: 'model', message: FAILED, error: FAILED, code: 'MODEL_FAILED' });
      for (const client of [messenger, conversation, agent]) {
        assert.deepEqual(await client.next('error'), { message: FAILED, error: FAILED, code: 'MODEL_FAILED' });
      }
      assert.deepEqual(await listing.next('error'), { message: FAILED, error: FAILED, code: 'MODEL_FAILED' });
      assertNothingElse(own);
    });
  });
}

describe('assistant: without a model', () => {
  const holder = useServer();

  it('the answer says so', async (test) => {
    const client = await device(test, holder.server);
    client.tell('ai-message', { chatId: 'c', content: 'Are you there?', chat: 'c' });
    const content = 'No AI model is configured on this server (AI_PROVIDER=echo). You said: Are you there?';
    assert.deepEqual(await client.next('ai-response'), { chat: 'c', content });
    client.tell('ai-message', { chatId: 'c', content: 'Hm', stream: true });
    const pieces = [await client.next('ai-response-chunk'), await client.next('ai-response-chunk'), await client.next('ai-response-chunk')];
    assert.deepEqual(pieces.map(({ done }) => done), [false, false, true]);
    const answer = await client.next('ai-response');
    assert.equal(pieces.map(({ delta }) => delta).join(''), answer.content);
  });
});

describe('assistant: refused for haste, or for the name', () => {
  const holder = useServer({ env: { RATE_LIMIT_EVENTS: '5', RATE_LIMIT_BURST: '5', STRICT_EVENTS: 'true', AI_ERROR_TEXT: 'Not now.' } });

  it('RATE_LIMITED says when to come back, and AI_ERROR_TEXT is what is shown', async (test) => {
    const client = await device(test, holder.server);
    for (let count = 0; count < 60; count++) client.tell('ai-message', { chatId: 'c', content: `${count}` });
    const { retryAfterMs, ...error } = await client.next('ai-error');
    assert.ok(retryAfterMs > 0);
    const sentence = 'Too many requests, try again later';
    assert.deepEqual(error, { chat: 'c', message: sentence, error: sentence, code: 'RATE_LIMITED' });
    const apology = await client.next('ai-response', (told) => told.error);
    assert.deepEqual(apology, { chat: 'c', content: 'Not now.', error: true, code: 'RATE_LIMITED' });
  });

  it('UNKNOWN_EVENT', async (test) => {
    const client = await device(test, holder.server, undefined, { dialect: 'assistant' });
    client.tell('ai-messages', {});
    assert.deepEqual(await client.next('error'), {
      message: 'Unknown event', error: 'Unknown event', code: 'UNKNOWN_EVENT', event: 'ai-messages',
    });
    await client.refused('UNKNOWN_EVENT', 'send_direct_message', {});
  });
});

describe('assistant: who is refused at the door', () => {
  const holder = useServer({ env: { DIALECTS: 'assistant', AUTO_PROVISION_USERS: 'false' } });
  const cookie = (token) => ({ extraHeaders: { cookie: `token=${token}` } });
  const cases = {
    'no token': [{}, 'NO_TOKEN', 'Authentication error : No token provided'],
    'another cookie': [{ extraHeaders: { cookie: 'session=x' } }, 'NO_TOKEN', 'Authentication error : No token provided'],
    'a foreign key': [cookie(sign({ id: 'x' }, { secret: 'another' })), 'INVALID_TOKEN', 'Authentication error : Invalid token'],
    'past its time': [cookie(sign({ id: 'x', exp: epoch(-60) })), 'TOKEN_EXPIRED', 'Authentication error : Invalid token'],
    'a stranger': [cookie(newUser().token), 'USER_NOT_FOUND', 'Authentication error: User not found'],
  };
  for (const [what, [options, code, message]] of Object.entries(cases)) {
    for (const transport of ['polling', 'websocket']) {
      it(`${what}, ${transport}`, async () => {
        const error = await refusal(holder.server, { transport, ...options });
        assert.deepEqual([error.message, error.data], [message, { code, status: 401 }]);
      });
    }
  }

});
