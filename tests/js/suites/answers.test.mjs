// Answers in all forms that providers use: parsed leniently, but a broken-off answer is never taken for a complete one.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { assertFailure, device, stored } from '../lib/assistant.mjs';
import { connect } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { Model, PROVIDER_NAMES } from '../lib/model.mjs';
import { Server } from '../lib/server.mjs';
import { LIMIT } from '../lib/wait.mjs';

const FAILED = 'The model could not answer, try again';
const TIMEOUT = 'The model did not answer in time, try again';

/** Returns a server, the model that it asks, and a client; they end with the test. */
async function asker(test, provider, { env, ...options } = {}) {
  const model = await Model.start(provider);
  test.after(() => model.kill());
  const server = await Server.start({ env: { RATE_LIMIT_EVENTS: '0', ...model.env, ...(typeof env === 'function' ? env(model) : env) }, ...options });
  test.after(() => server.remove());
  const client = await device(test, server, undefined, { dialect: 'assistant' });
  const ask = async (chat, more) => {
    await client.succeed('ai-message', { chatId: chat, content: 'Why?', ...more });
    return model.next();
  };
  return { server, model, client, ask };
}

/** Returns the pieces shown up to the end. */
async function pieces(client) {
  for (let text = ''; ;) {
    const { delta, done } = await client.next('ai-response-chunk');
    if (done) return text;
    text += delta;
  }
}

/** Returns an event that other servers write differently. */
const completion = (choice) => `data: ${JSON.stringify({ choices: [choice] })}\n\n`;
const candidate = (candidate) => `data: ${JSON.stringify({ candidates: [candidate] })}\n\n`;
const part = (...parts) => ({ content: { parts } });
const delta = (content) => ({ delta: { content } });

/** `[what, the stream, its headers]`: all of them mean `Hello 😀`. */
const STREAMS = {
  openai: [
    ['a reason that is empty', completion({ ...delta('Hello '), finish_reason: '' }) + completion({ ...delta('😀'), finish_reason: '' }) + 'data: [DONE]\n\n'],
    ['more behind the reason', completion({ ...delta('Hello '), finish_reason: 'stop' }) + completion(delta('😀'))],
    ['no reason and no mark', completion(delta('Hello ')) + completion(delta('😀'))],
    ['null for a list and for all', 'data: null\n\ndata: {"choices":null}\n\n' + completion({ delta: null }) + completion(delta('Hello 😀')) + 'data: [DONE]\n\n'],
    ['a list of parts', completion(delta([{ type: 'text', text: 'Hello ' }, null, { text: '😀' }])) + completion({ delta: {}, finish_reason: 'stop' })],
    ['a pair of surrogates in two pieces', completion(delta('Hello @')).replace('@', '\\ud83d') + completion(delta('@')).replace('@', '\\ude00')],
    ['no empty line at the end', completion(delta('Hello ')) + completion({ ...delta('😀'), finish_reason: 'stop' }).trimEnd()],
    ['what the model thinks', completion({ delta: { reasoning_content: 'hm', reasoning: 'hm', content: null } }) + completion(delta('Hello 😀'))],
    ['another case', completion(delta('Hello 😀')), { 'content-type': 'Text/Event-Stream; Charset=UTF-8' }],
    ['another type', completion(delta('Hello 😀')), { 'content-type': 'application/json' }],
    ['an error that is none', `data: ${JSON.stringify({ error: null, choices: [delta('Hello 😀')] })}\n\n`],
    ['all at once', JSON.stringify({ choices: [{ message: { content: 'Hello 😀' }, finish_reason: 'stop' }] }), { 'content-type': 'APPLICATION/JSON' }],
    ['all at once, called a stream', JSON.stringify({ choices: [{ message: { content: 'Hello 😀' } }] })],
  ],
  gemini: [
    ['a reason that is empty', candidate({ ...part({ text: 'Hello ' }), finishReason: '' }) + candidate({ ...part({ text: '😀' }), finishReason: 'STOP' })],
    ['no reason', candidate(part({ text: 'Hello ' })) + candidate(part({ text: '😀' }))],
    ['null for a list and for all', 'data: null\n\ndata: {"candidates":null}\n\n' + candidate({ content: { parts: null } }) + candidate(part({ text: 'Hello 😀' }))],
    ['a pair of surrogates in two pieces', candidate(part({ text: 'Hello @' })).replace('@', '\\ud83d') + candidate(part({ text: '@' })).replace('@', '\\ude00')],
    ['no empty line at the end', candidate({ ...part({ text: 'Hello 😀' }), finishReason: 'STOP' }).trimEnd()],
    ['what the model thinks', candidate(part({ text: 'hm', thought: true }, { text: 'Hello ' })) + candidate(part({ text: '😀' }))],
    ['another case', candidate(part({ text: 'Hello 😀' })), { 'content-type': 'TEXT/EVENT-STREAM' }],
    ['a list, all at once', JSON.stringify([{ candidates: [part({ text: 'Hello ' })] }, { candidates: [part({ text: '😀' })] }]), { 'content-type': 'application/json' }],
  ],
};

for (const provider of PROVIDER_NAMES) {
  describe(`answers of ${provider}`, { concurrency: 4 }, () => {
    it('end where their streams end, however they are written', async (test) => {
      const { server, client, ask } = await asker(test, provider);
      for (const [chat, body, headers] of STREAMS[provider]) {
        const asked = await ask(chat, { stream: true });
        await asked.line(body, headers);
        asked.end();
        assert.equal(await pieces(client), 'Hello 😀', chat);
        assert.deepEqual(await client.next('ai-response'), { chat, content: 'Hello 😀' });
        assert.deepEqual(await stored(server, client.user, chat), [['user', 'Why?'], ['model', 'Hello 😀']]);
      }
    });

    it('whose end may be a cut line need a mark of it', async (test) => {
      const { server, model, client, ask } = await asker(test, provider);
      for (const isMarked of [false, true]) {
        const chat = `marked: ${isMarked}`;
        const asked = await ask(chat, { stream: true });
        // Only the end of the connection ends such a body.
        asked.response.useChunkedEncodingByDefault = false;
        await asked.line('', { connection: 'close' });
        await asked.piece('Hello');
        if (isMarked) await asked.finish();
        else asked.end();
        if (isMarked) assert.deepEqual(await client.next('ai-response'), { chat, content: 'Hello' });
        else await assertFailure(client, chat, 'MODEL_FAILED', FAILED);
        assert.equal((await stored(server, client.user, chat)).length, isMarked ? 2 : 1);
      }
      assert.deepEqual(model.asked, [], 'what was shown in part is not asked again');
    });

    it('that the provider broke off are told as such, and not stored', async (test) => {
      const { server, model, client, ask } = await asker(test, provider);
      const { error, reasons } = model.provider;
      const ends = [
        ['an error', (asked) => asked.event(error(500, 'X'))],
        ['an event error', (asked) => asked.line('event: error\ndata: {"message":"overloaded"}\n\n')],
        ['a field error', (asked) => asked.line('error: {"code":500}\n\n')],
        ...reasons.broken.map((reason) => [reason, (asked) => asked.piece('', reason)]),
      ];
      for (const [chat, end] of ends) {
        const asked = await ask(chat, { stream: true });
        await asked.piece('Half');
        await end(asked);
        asked.end();
        await assertFailure(client, chat, 'MODEL_FAILED', FAILED);
        assert.deepEqual(await stored(server, client.user, chat), [['user', 'Why?']]);
      }
    });

    it('flow longer than a silence may last', async (test) => {
      const { client, ask } = await asker(test, provider, { env: { AI_TIMEOUT: '3s' } });
      const asked = await ask('c', { stream: true });
      let count = 0;
      const flowed = new Promise((resolve) => {
        const timer = asked.drip(500, () => {
          count += 1;
          asked.piece(`${count} `);
          if (count === 8) resolve(clearInterval(timer));
        });
      });
      await Promise.race([flowed, asked.gone]);
      await asked.finish();
      assert.deepEqual(await client.next('ai-response'), { chat: 'c', content: '1 2 3 4 5 6 7 8 ' });
    });

    it('of which nothing is said but signs of life have an end, too', async (test) => {
      const { server, client, ask } = await asker(test, provider, { env: { AI_TIMEOUT: '2s', AI_TOTAL_TIMEOUT: '3s' } });
      const asked = await ask('c', { stream: true });
      asked.drip(300, () => asked.line(':'));
      await assertFailure(client, 'c', 'MODEL_TIMEOUT', TIMEOUT);
      assert.deepEqual(await stored(server, client.user, 'c'), [['user', 'Why?']]);
    });

    it('without what the model thinks', async (test) => {
      const { server, client, ask } = await asker(test, provider);
      (await ask('c')).answer('<think>\nSecret?\n</think>\n\nBecause.');
      assert.deepEqual(await client.next('ai-response'), { chat: 'c', content: 'Because.' });
      const asked = await ask('c', { content: 'And?', stream: true });
      const { actual, expected } = asked.isFor([['user', 'Why?'], ['model', 'Because.'], ['user', 'And?']], true);
      assert.deepEqual(actual, expected);
      for (const piece of ['<th', 'ink>Sec', 'ret!</thi', 'nk>', '\n\nSo ', '`<think>`']) await asked.piece(piece);
      await asked.finish();
      assert.equal(await pieces(client), 'So `<think>`');
      assert.deepEqual(await client.next('ai-response'), { chat: 'c', content: 'So `<think>`' });
      assert.deepEqual(await stored(server, client.user, 'c'), [['user', 'Why?'], ['model', 'Because.'], ['user', 'And?'], ['model', 'So `<think>`']]);
      // A thought alone is not an answer.
      (await ask('c')).answer('<think>Secret?');
      await assertFailure(client, 'c', 'MODEL_FAILED', FAILED);
    });

    it('are asked for once more where the line or the provider was away for a moment', async (test) => {
      const { model, client, ask } = await asker(test, provider);
      const troubles = [
        ['502', (asked) => asked.refuse(502)],
        ['503', (asked) => asked.refuse(503)],
        ['a cut line', (asked) => asked.cut()],
        ['half an answer', (asked) => asked.cutAnswer('Half')],
      ];
      for (const stream of [false, true]) {
        for (const [what, fail] of troubles) {
          const chat = `${what} ${stream}`;
          fail(await ask(chat, { stream }));
          const again = await model.next();
          if (stream) await again.piece('Because.').then(() => again.finish());
          else again.answer('Because.');
          assert.deepEqual(await client.next('ai-response'), { chat, content: 'Because.' });
        }
      }
      assert.deepEqual(model.asked, []);
    });

    it('are asked for by turns, and questions without one are no context', async (test) => {
      const { client, ask } = await asker(test, provider);
      const assertTurns = (asked, turns) => {
        const { actual, expected } = asked.isFor(turns);
        assert.deepEqual(actual, expected);
      };
      (await ask('c', { content: '1' })).refuse(500);
      await assertFailure(client, 'c', 'MODEL_FAILED', FAILED);
      const second = await ask('c', { content: '2' });
      assertTurns(second, [['user', '2']]);
      second.answer('to 2');
      await client.next('ai-response');
      (await ask('c', { content: '3' })).refuse(500);
      await assertFailure(client, 'c', 'MODEL_FAILED', FAILED);
      const fourth = await ask('c', { content: '4' });
      assertTurns(fourth, [['user', '2'], ['model', 'to 2'], ['user', '4']]);
      fourth.answer('to 4');
      assert.deepEqual(await client.next('ai-response'), { chat: 'c', content: 'to 4' });
    });

    it('to a chat that is too long are asked for with less of it', async (test) => {
      const { model, client, ask } = await asker(test, provider);
      const tooLong = (asked, status) => {
        const body = asked.provider.error(status, 'INVALID_ARGUMENT');
        body.error.message = asked.provider.tooLong;
        asked.send(status, body);
      };
      const count = (asked) => (asked.body.contents ?? asked.body.messages).length;
      for (let turn = 0; turn < 4; turn++) {
        (await ask('c', { content: `q${turn}` })).answer(`a${turn}`);
        await client.next('ai-response');
      }
      const counts = [];
      let asked = await ask('c', { content: 'q4' });
      for (const status of [400, 413]) {
        counts.push(count(asked));
        tooLong(asked, status);
        asked = await model.next();
      }
      counts.push(count(asked));
      assert.deepEqual(counts, [9, 3, 1]);
      const { actual, expected } = asked.isFor([['user', 'q4']]);
      assert.deepEqual(actual, expected);
      asked.answer('a4');
      assert.deepEqual(await client.next('ai-response'), { chat: 'c', content: 'a4' });
      // Reported within a stream that had begun well.
      asked = await ask('c', { content: 'q5', stream: true });
      await asked.event({ error: { message: asked.provider.tooLong } });
      asked.end();
      asked = await model.next();
      assert.equal(count(asked), 5);
      await asked.piece('a5').then(() => asked.finish());
      assert.deepEqual(await client.next('ai-response'), { chat: 'c', content: 'a5' });
      // The question alone is too long.
      tooLong(await ask('long'), 400);
      await assertFailure(client, 'long', 'MODEL_FAILED', FAILED);
      assert.deepEqual(model.asked, []);
    });

    it('come from the address that was given, base or whole', async (test) => {
      for (const address of (await Model.start(provider).then((model) => model.kill().then(() => model.provider.addresses)))) {
        const { client, ask } = await asker(test, provider, { env: (model) => ({ AI_URL: `http://127.0.0.1:${model.port}${address}` }) });
        for (const stream of [false, true]) {
          const asked = await ask(address, { stream });
          const { actual, expected } = asked.isFor([['user', 'Why?'], ...(stream ? [['model', 'Because.'], ['user', 'Why?']] : [])], stream);
          assert.deepEqual(actual, expected, address);
          asked.answer('Because.');
          assert.deepEqual(await client.next('ai-response'), { chat: address, content: 'Because.' });
        }
      }
    });
  });

  for (const database of DATABASES) {
    describe(`answers of ${provider} that were cut, on ${database}`, { concurrency: 4 }, () => {
      it('by length are stored and known as such, in every form', async (test) => {
        const { server, model, client, ask } = await asker(test, provider, { database });
        const { cut } = model.provider.reasons;
        for (const stream of [false, true]) {
          const chat = `stream: ${stream}`;
          const asked = await ask(chat, { stream, clientMessageId: chat });
          if (stream) await asked.piece('Beca').then(() => asked.piece('use', cut)).then(() => asked.finish());
          else asked.answer('Because', cut);
          assert.deepEqual(await client.next('ai-response'), { chat, content: 'Because', truncated: true });
          // Asked again, it gets the stored answer.
          await client.succeed('ai-message', { chatId: chat, content: 'Why?', clientMessageId: chat });
          assert.deepEqual(await client.next('ai-response'), { chat, content: 'Because', truncated: true });
        }
        const others = {};
        for (const dialect of ['messenger', 'conversation', 'listing', 'agent']) {
          others[dialect] = await connect(server, client.user, { dialect });
          test.after(() => others[dialect].close());
        }
        await others.messenger.succeed('send_direct_message', { recipientId: 'model', content: 'Why?' });
        (await model.next()).answer('Because', cut);
        const shown = await others.messenger.next('new_message', ({ message }) => message.content === 'Because');
        assert.equal(shown.message.truncated, true);
        assert.equal((await others.conversation.next('message:new', ({ content }) => content === 'Because')).truncated, true);
        assert.equal((await others.listing.next('directMessage', ({ message }) => message === 'Because')).truncated, true);
        assert.equal((await others.agent.next('message:receive', ({ data }) => data.content === 'Because')).data.truncated, true);
        const { body } = await server.api('GET', `/api/conversations/${shown.conversationId}/messages`, { token: client.user.token });
        assert.deepEqual(body.messages.map(({ content, truncated }) => [content, truncated]), [['Why?', undefined], ['Because', true]]);
      });

      it('by a silence, or by the time that all may take, keep what came', async (test) => {
        const { server, client, ask } = await asker(test, provider, { database, env: { AI_TIMEOUT: '2s', AI_TOTAL_TIMEOUT: '5s' } });
        const silent = await ask('silent', { stream: true });
        await silent.piece('Beca');
        assert.deepEqual(await client.next('ai-response'), { chat: 'silent', content: 'Beca', truncated: true });
        const endless = await ask('endless', { stream: true });
        endless.drip(300, () => endless.piece('la '));
        const { content, ...rest } = await client.next('ai-response', undefined, 2 * LIMIT);
        assert.deepEqual(rest, { chat: 'endless', truncated: true });
        assert.match(content, /^(la )+$/);
        await endless.gone;
        assert.deepEqual(await stored(server, client.user, 'endless'), [['user', 'Why?'], ['model', content]]);
      });
    });
  }
}
