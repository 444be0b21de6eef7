// The operator's hook (HOOK_URL): asked before something takes effect, in every dialect and over HTTP.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Backend, SECRET, example, latch, nonce } from '../lib/backend.mjs';
import { Authority } from '../lib/certificate.mjs';
import { assertHttpError, conversationHistory, makeGroup, people, settle } from '../lib/chat.mjs';
import { closeAfter, connect, open, refusal } from '../lib/client.mjs';
import { makeDirect } from '../lib/conversation.mjs';
import { DATABASES } from '../lib/database.mjs';
import { Server } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

/** Dialect → its send of `content` to Bob. */
const SENDS = {
  assistant: (content) => ['ai-message', { chatId: 'c', chat: 'c', content }],
  conversation: (content, { direct }) => ['message:send', { conversationId: direct, content }],
  listing: (content, { bob }) => ['sendDirectMessage', { receiverId: bob.user.id, content }],
  agent: (content, { bob }) => ['message:send', { targetUserId: bob.user.id, content }],
  messenger: (content, { bob }) => ['send_direct_message', { recipientId: bob.user.id, content }],
};

/** Says in its contents what it wants of the hook: `refuse …`, `change …`; anything else is allowed. */
function moderate({ type, data }) {
  const content = data.message?.content ?? '';
  if (content.startsWith('refuse')) return { refuse: { code: 'NOT_NICE', message: 'Be nice' } };
  if (content.startsWith('change') && type !== 'delete') return { message: { content: content.replace('change', 'changed') } };
  if (type === 'join' && data.conversation.id === 'secret') return { refuse: { code: 'PRIVATE' } };
  if (type === 'upload' && data.file.filename === 'bad.txt') return { refuse: { message: 'No such files' } };
  return {};
}

/** Starts a server and its hook for the enclosing `describe`. */
function useHooked(database, { events = 'send', env = {}, answer = moderate } = {}) {
  const holder = {};
  before(async () => {
    holder.backend = await Backend.start({ answer: (...asked) => holder.answer(...asked) });
    holder.answer = answer;
    const settings = { RATE_LIMIT_EVENTS: '0', ...holder.backend.hook(events), ...env };
    holder.server = await Server.start({ database, env: settings });
  });
  after(async () => {
    await holder.server?.remove();
    await holder.backend?.stop();
  });
  return holder;
}

const contents = async (server, { user }, conversation) => (await conversationHistory(server, user.token, conversation)).map(({ content }) => content);

for (const database of DATABASES) {
  describe(`hooks on ${database}`, () => {
    const holder = useHooked(database, { events: 'send,edit,delete,join,upload', env: { UPLOAD_TYPES: 'txt' } });

    for (const [dialect, send] of Object.entries(SENDS)) {
      it(`are asked about the sends of ${dialect}: refused is unseen, changed is changed for all`, async (test) => {
        const { server, backend } = holder;
        const [ann, bob] = [await connect(server, newUser('ann'), { dialect }), await connect(server, newUser('bob'))];
        closeAfter(test, ann, bob);
        const made = { bob, direct: await makeDirect(server, ann, bob) };
        const [refused, changed] = [`refuse ${nonce()}`, `change ${nonce()}`];
        const ack = await ann.ask(...send(refused, made));
        assert.deepEqual([ack.success, ack.code, ack.error], [false, 'NOT_NICE', 'Be nice'], JSON.stringify(ack));
        ann.tell(...send(refused, made));
        const packet = { assistant: 'ai-error', agent: 'message:receive' }[dialect] ?? 'error';
        assert.equal((await ann.next(packet, (body) => body.success !== true)).code, 'NOT_NICE');
        const asked = backend.asked.find(({ data }) => data.message?.content === refused);
        assert.deepEqual([asked.type, asked.data.user.id, asked.data.dialect], ['send', ann.user.id, dialect]);
        assert.match(asked.data.socketId, /^.{20}$/);
        if (dialect !== 'assistant') {
          assert.deepEqual(asked.data.conversation, { id: made.direct, type: 'direct', participants: [ann.user.id, bob.user.id], participantCount: 2 });
        }

        ann.tell(...send(changed, made));
        const shown = changed.replace('change', 'changed');
        if (dialect === 'assistant') {
          assert.ok((await ann.next('ai-response')).content.endsWith(shown), 'the model is asked what the hook made of it');
          return;
        }
        assert.equal((await bob.next('new_message')).message.content, shown);
        assert.deepEqual(await contents(server, bob, made.direct), [shown]);
        assert.deepEqual(bob.inbox.filter(({ args }) => JSON.stringify(args).includes(refused)), []);
      });
    }

    it('are asked over HTTP, with the message that is sent then', async (test) => {
      const { server, backend } = holder;
      const [ann, bob] = await people(test, server, ['ann', 'bob']);
      const direct = await makeDirect(server, ann, bob);
      const post = (content) => server.api('POST', `/api/conversations/${direct}/messages`, { token: ann.user.token, body: { content, type: 'text' } });
      const [refused, allowed] = [`refuse ${nonce()}`, `allow ${nonce()}`];
      assertHttpError(await post(refused), 403, 'NOT_NICE');
      const { body: { message } } = await post(allowed);
      const { data } = backend.asked.find((asked) => asked.data.message?.content === allowed);
      assert.deepEqual([data.message, data.socketId, data.dialect], [{ id: message._id, content: allowed, type: 'text' }, null, null]);
      assert.equal((await bob.next('new_message')).message.content, allowed);
      assert.deepEqual(await contents(server, bob, direct), [allowed]);
    });

    it('are not asked again about a retry, and are asked again about what they refused', async (test) => {
      const { server, backend } = holder;
      const [ann, bob] = await people(test, server, ['ann', 'bob']);
      const again = await connect(server, ann.user);
      closeAfter(test, again);
      const about = (content) => backend.asked.filter(({ data }) => data.message?.content === content);
      const request = { recipientId: bob.user.id, content: `change ${nonce()}`, clientMessageId: 'once' };
      const answers = await Promise.all([ann, again, ann, again].map((client) => client.succeed('send_direct_message', request)));
      answers.push(await again.succeed('send_direct_message', request));
      assert.equal(new Set(answers.map(({ message }) => message._id)).size, 1);
      assert.equal(about(request.content).length, 1, 'asked once');
      assert.equal(about(request.content)[0].data.message.clientMessageId, 'once');
      const refused = { recipientId: bob.user.id, content: `refuse ${nonce()}`, clientMessageId: 'twice' };
      await ann.refused('NOT_NICE', 'send_direct_message', refused);
      await again.refused('NOT_NICE', 'send_direct_message', refused);
      assert.equal(about(refused.content).length, 2);
      await settle(ann, bob);
      assert.equal(bob.told('new_message').filter(({ message }) => message.content.startsWith('changed')).length, 1);
    });

    it('are asked about edits, deletions and rooms', async (test) => {
      const { server, backend } = holder;
      const [ann, bob] = await people(test, server, ['ann', 'bob']);
      const group = await makeGroup(server, ann, [bob]);
      const { message } = await ann.succeed('send_group_message', { conversationId: group, content: 'before' });
      await bob.next('new_group_message');
      const change = (method, body) => server.api(method, `/api/messages/${message._id}`, { token: ann.user.token, body });
      assertHttpError(await change('PATCH', { content: 'refuse this' }), 403, 'NOT_NICE');
      assert.equal((await change('PATCH', { content: 'change this' })).body.message.content, 'changed this');
      const edit = backend.asked.find(({ type, data }) => type === 'edit' && data.message.content === 'change this');
      assert.deepEqual([edit.data.message.id, edit.data.message.before, edit.data.conversation.type], [message._id, 'before', 'group']);
      assert.deepEqual(edit.data.conversation.participants.toSorted(), [ann.user.id, bob.user.id].toSorted());
      assert.equal((await change('DELETE')).status, 200);
      assert.ok(backend.asked.some(({ type, data }) => type === 'delete' && data.message.id === message._id));

      await ann.refused('PRIVATE', 'joinRoom', 'secret');
      await ann.succeed('joinRoom', 'open');
      await bob.succeed('sendRoomMessage', { roomId: 'secret', content: 'unheard' });
      await bob.succeed('sendRoomMessage', { roomId: 'open', content: 'heard' });
      assert.match(JSON.stringify(await ann.next('roomMessage')), /"heard"/);
    });

    it('are asked about uploads before they are kept', async (test) => {
      const { server, backend } = holder;
      const [ann] = await people(test, server, ['ann']);
      const upload = (name) => {
        const body = new FormData();
        body.append('file', new Blob(['some text']), name);
        return server.api('POST', '/api/upload', { token: ann.user.token, body });
      };
      assertHttpError(await upload('bad.txt'), 403, 'HOOK_REFUSED');
      const kept = await upload('good.txt');
      assert.equal(kept.status, 200, JSON.stringify(kept.body));
      const asked = backend.asked.filter(({ type }) => type === 'upload');
      assert.deepEqual(asked.map(({ data }) => [data.user.id, data.file.filename, data.file.size]), [[ann.user.id, 'bad.txt', 9], [ann.user.id, 'good.txt', 9]]);
      assert.equal((await fetch(server.url + asked[0].data.file.url)).status, 404, 'a refused file is gone');
    });

    it('are explained', async (test) => {
      const { server } = holder;
      const [ann, bob] = await people(test, server, ['ann', 'bob']);
      await ann.refused('NOT_NICE', 'send_direct_message', { recipientId: bob.user.id, content: 'refuse me' });
      const admin = newUser('root', { role: 'admin' });
      closeAfter(test, await connect(server, admin));
      const { body } = await server.api('GET', `/api/admin/explain/user/${ann.user.id}`, { token: admin.token });
      const fact = body.explanation?.facts.find(({ code }) => code === 'HOOK');
      assert.match(fact?.text ?? JSON.stringify(body), /your hook \(HOOK_URL\) did not allow: NOT_NICE: Be nice/);
    });
  });

  describe(`a hook that waits on ${database}`, () => {
    const holder = useHooked(database, { env: { HOOK_TIMEOUT: '20s' } });

    it('delays its own sender, in order, and nobody else; nothing is acked or seen before it answers', async (test) => {
      const { server, backend } = holder;
      const [ann, bob, cid] = await people(test, server, ['ann', 'bob', 'cid']);
      const slow = latch();
      holder.answer = async ({ data }) => {
        if (data.message.content === 'slow') await slow.opened;
        return {};
      };
      const acked = [];
      const send = (content) => ann.succeed('send_direct_message', { recipientId: bob.user.id, content }).then(() => acked.push(content));
      const sends = ['slow', 'second', 'third'].map(send);
      await backend.holds(1);
      // Everybody else goes on, even the recipient.
      await settle(cid, bob);
      await bob.succeed('send_direct_message', { recipientId: cid.user.id, content: 'meanwhile' });
      assert.deepEqual([acked, bob.told('new_message').filter(({ message }) => message.sender._id === ann.user.id)], [[], []]);
      assert.ok(!backend.asked.some(({ data }) => data.message.content === 'second'), 'one of a socket at a time');
      slow.open();
      await Promise.all(sends);
      assert.deepEqual(acked, ['slow', 'second', 'third']);
      for (const content of acked) assert.equal((await bob.next('new_message', ({ message }) => message.sender._id === ann.user.id)).message.content, content);
    });

    it('is asked in vain for one who is kicked or no member any more by then', async (test) => {
      const { server } = holder;
      const [ann, bob] = await people(test, server, ['ann', 'bob']);
      const group = await makeGroup(server, ann, [bob]);
      const [came, goOn] = [latch(), latch()];
      holder.answer = async () => {
        came.open();
        await goOn.opened;
        return {};
      };
      const send = bob.ask('send_group_message', { conversationId: group, content: 'too late' });
      await within(LIMIT, 'the question', came.opened);
      const removed = await server.api('DELETE', `/api/conversations/${group}/participants/${bob.user.id}`, { token: ann.user.token });
      assert.equal(removed.status, 200, JSON.stringify(removed.body));
      goOn.open();
      const { success, code } = await send;
      assert.deepEqual([success, code], [false, 'FORBIDDEN']);
      assert.deepEqual((await contents(server, ann, group)), []);
    });

    it('is asked in vain for one whose account is disabled by then, over HTTP, too', async (test) => {
      const { server } = holder;
      const [ann, bob] = await people(test, server, ['ann', 'bob']);
      const direct = await makeDirect(server, ann, bob);
      const [came, goOn] = [latch(), latch()];
      holder.answer = async () => {
        came.open();
        await goOn.opened;
        return {};
      };
      const post = server.api('POST', `/api/conversations/${direct}/messages`, { token: ann.user.token, body: { content: 'too late' } });
      await within(LIMIT, 'the question', came.opened);
      const admin = newUser('root', { role: 'admin' });
      closeAfter(test, await connect(server, admin));
      const disabled = await server.api('PATCH', `/api/admin/users/${ann.user.id}`, { token: admin.token, body: { disabled: true } });
      assert.equal(disabled.status, 200, JSON.stringify(disabled.body));
      goOn.open();
      assertHttpError(await post, 401, 'ACCOUNT_DISABLED');
      assert.deepEqual(await contents(server, bob, direct), []);
    });
  });

  describe(`a broken hook on ${database}`, () => {
    const holder = useHooked(database, { env: { HOOK_TIMEOUT: '500ms', HOOK_FAILURE: 'refuse', MAX_MESSAGE_LENGTH: '50' } });
    const closeLater = (response) => { response.on('error', () => {}); };

    /** What the hook does → how it answers. */
    const BROKEN = {
      rubbish: () => 'ok',
      'an array': () => [],
      'an empty body': () => '',
      500: (_, response) => void response.writeHead(500).end('{}'),
      nothing: (_, response) => closeLater(response),
      'half an answer': (_, response) => void response.writeHead(200, { 'content-length': '100' }).end('{', () => response.destroy()),
      '1 GB': (_, response) => {
        closeLater(response);
        response.writeHead(200, { 'content-length': String(2 ** 30) });
        const more = () => { while (!response.destroyed && response.write(Buffer.alloc(2 ** 16, ' '))); };
        response.on('drain', more);
        more();
      },
      'a byte a second': (_, response) => {
        closeLater(response);
        response.writeHead(200, { 'content-length': '60' });
        const timer = setInterval(() => response.write(' '), 100);
        response.on('close', () => clearInterval(timer));
      },
      'a redirect': (_, response) => void response.writeHead(307, { location: holder.backend.url }).end(),
      "another message's id": () => ({ message: { id: '01900000-0000-7000-8000-000000000000', content: 'x' } }),
      'a content that is too long': () => ({ message: { content: 'x'.repeat(51) } }),
      'a content that nobody can store': () => ({ message: { content: 'a\0b' } }),
    };

    for (const [what, answer] of Object.entries(BROKEN)) {
      it(`refuses a send with HOOK_FAILED: ${what}`, async (test) => {
        const [ann, bob] = await people(test, holder.server, ['ann', 'bob']);
        const request = { recipientId: bob.user.id, content: 'hello', clientMessageId: 'again' };
        holder.answer = answer;
        await ann.refused('HOOK_FAILED', 'send_direct_message', request);
        // A retry is safe. It also ends a row of failures.
        holder.answer = () => ({});
        const { message } = await ann.succeed('send_direct_message', request);
        assert.deepEqual(await contents(holder.server, bob, message.conversationId), ['hello']);
      });
    }

    it('is not asked after five failures in a row, and tells so', async (test) => {
      const { server, backend } = holder;
      const [ann, bob] = await people(test, server, ['ann', 'bob']);
      holder.answer = () => 'rubbish';
      const request = { recipientId: bob.user.id, content: 'hello' };
      for (let time = 0; time < 5; time += 1) await ann.refused('HOOK_FAILED', 'send_direct_message', request);
      const asked = backend.asked.length;
      holder.answer = () => ({});
      await ann.refused('HOOK_FAILED', 'send_direct_message', request);
      assert.equal(backend.asked.length, asked);
      const metrics = await (await fetch(`${server.url}/metrics`)).text();
      assert.match(metrics, /^parlance_hook_paused 1$/m);
      assert.match(metrics, /^parlance_hook_answers_total\{outcome="failed"\} [1-9]/m);
      await server.logs(/the hook has failed five times in a row/);
      assert.ok(!server.log.includes(SECRET.replace('whsec_', '')), 'the secret is in no line');
    });
  });
}

describe('hooks and those who come', () => {
  const holder = useHooked('sqlite', { events: 'connect', env: { HOOK_HEADERS: 'Cookie,x-tenant', CLIENT_URL: 'https://shop.example' } });
  const cookie = (text, more = {}) => ({ extraHeaders: { cookie: text, ...more }, transport: 'websocket' });

  for (const dialect of [undefined, ...Object.keys(SENDS)]) {
    it(`name the user by a cookie, and refuse in the words of ${dialect ?? 'no dialect'}`, async (test) => {
      const { server, backend } = holder;
      const name = `cookie-user-${dialect ?? 'any'}`;
      holder.answer = ({ data }) => (data.headers.cookie?.includes('session=good')
        ? { user: { id: name, username: name } }
        : { refuse: { code: 'NO_SESSION', message: 'Log in first' } });
      const auth = dialect && { dialect };
      const error = await refusal(server, { auth, ...cookie('session=bad') });
      assert.deepEqual([error.message, error.data.code, error.data.status], ['Log in first', 'NO_SESSION', 403]);
      const client = open(server, { auth, ...cookie('session=good', { 'x-tenant': 'shop' }) });
      closeAfter(test, client);
      await client.connected();
      const { data } = backend.asked.at(-1);
      assert.deepEqual([data.headers['x-tenant'], data.address, data.auth?.dialect], ['shop', '127.0.0.1', dialect]);
      const other = await people(test, server, ['other']).catch((error) => error);
      assert.equal(other.data?.code, 'NO_SESSION', 'a token alone is not enough where the hook refuses');
    });
  }

  it('leave it to the token where they allow, and see whom it proves', async (test) => {
    const { server, backend } = holder;
    holder.answer = () => ({});
    const ann = await connect(server, newUser('ann'));
    closeAfter(test, ann);
    assert.equal(backend.asked.at(-1).data.user, ann.user.id);
    assert.equal((await refusal(server, cookie('session=good'))).data.code, 'NO_TOKEN');
  });

  it('refuse by failing, and are shown no cookie of a foreign page', async () => {
    const { server, backend } = holder;
    for (const answer of ['rubbish', { user: { id: 'ann', role: 'boss' } }]) {
      holder.answer = () => answer;
      const error = await refusal(server, cookie('session=good'));
      assert.deepEqual([error.data.code, error.data.status], ['HOOK_FAILED', 503], JSON.stringify(answer));
    }
    assert.match(backend.asked.at(-1).data.headers.cookie, /session=good/);
  });
});

describe('a hook whose failures allow', () => {
  it('lets what it does not judge pass as it came; a certificate that nobody vouches for is a failure', async (test) => {
    const authority = new Authority();
    test.after(() => authority.remove());
    const { readFileSync } = await import('node:fs');
    const certificate = { cert: readFileSync(authority.env.TLS_CERT), key: readFileSync(authority.env.TLS_KEY) };
    const backend = await Backend.start({ certificate, answer: () => ({ refuse: {} }) });
    test.after(() => backend.stop());
    for (const [failure, code] of [['allow', undefined], ['refuse', 'HOOK_FAILED']]) {
      const server = await Server.start({ env: { ...backend.hook(), HOOK_FAILURE: failure } });
      test.after(() => server.remove());
      const [ann, bob] = await people(test, server, ['ann', 'bob']);
      const answer = await ann.ask('send_direct_message', { recipientId: bob.user.id, content: 'hello' });
      assert.equal(answer.code, code, JSON.stringify(answer));
      assert.equal(backend.asked.length, 0);
    }
  });

  it('leaves places to others, whatever one user sends', async (test) => {
    const backend = await Backend.start();
    test.after(() => backend.stop());
    const server = await Server.start({ env: { ...backend.hook(), RATE_LIMIT_EVENTS: '0', HOOK_CONCURRENCY: '4', HOOK_TIMEOUT: '20s' } });
    test.after(() => server.remove());
    const [busy, ann] = await people(test, server, ['busy', 'ann']);
    const direct = await makeDirect(server, busy, ann);
    const goOn = latch();
    backend.answer = async ({ data }) => {
      if (data.user.id === busy.user.id) await goOn.opened;
      return {};
    };
    const post = (content) => server.api('POST', `/api/conversations/${direct}/messages`, { token: busy.user.token, body: { content } });
    const posts = Array.from({ length: 8 }, (_, number) => post(`${number}`));
    const waiting = async () => /^parlance_hook_waiting_questions 7$/m.test(await (await fetch(`${server.url}/metrics`)).text());
    await within(LIMIT, 'seven that wait', (async () => { while (!(await waiting())); })());
    assert.equal(backend.asked.length, 1, 'a quarter of the places');
    await ann.succeed('send_direct_message', { recipientId: busy.user.id, content: 'not held up' });
    goOn.open();
    for (const { status } of await Promise.all(posts)) assert.ok(status < 300, `${status}`);
  });

  it('asks HOOK_CONCURRENCY questions at a time; the others wait in order', async (test) => {
    const backend = await Backend.start();
    test.after(() => backend.stop());
    const server = await Server.start({ env: { ...backend.hook(), HOOK_CONCURRENCY: '2', HOOK_TIMEOUT: '20s' } });
    test.after(() => server.remove());
    const clients = await people(test, server, ['a', 'b', 'c', 'd']);
    const goOn = latch();
    backend.answer = async () => {
      await goOn.opened;
      return {};
    };
    const sends = clients.map((client) => client.succeed('send_direct_message', { recipientId: clients[0].user.id, content: client.user.id }));
    await backend.holds(2);
    const waiting = async () => /^parlance_hook_waiting_questions 2$/m.test(await (await fetch(`${server.url}/metrics`)).text());
    await within(LIMIT, 'two that wait', (async () => { while (!(await waiting())); })());
    assert.equal(backend.asked.length, 2);
    goOn.open();
    await Promise.all(sends);
    assert.equal(backend.asked.length, 4);
  });
});

for (const name of ['moderate.mjs', 'moderate.py']) {
  it(`examples/backend/${name} lets no telephone numbers pass`, async (test) => {
    const url = await example(test, name, { HOOK_SECRET: SECRET });
    const server = await Server.start({ env: { HOOK_URL: url, HOOK_SECRET: SECRET, HOOK_EVENTS: 'send,edit' } });
    test.after(() => server.remove());
    const [ann, bob] = await people(test, server, ['ann', 'bob']);
    const send = (content) => ({ recipientId: bob.user.id, content });
    const { error } = await ann.refused('PHONE_NUMBER', 'send_direct_message', send('Call me: 555 0100 23'));
    assert.equal(error, 'No telephone numbers, please');
    await ann.succeed('send_direct_message', send('Damn, 7 of 10'));
    assert.equal((await bob.next('new_message')).message.content, '****, 7 of 10');
    const unsigned = await fetch(url, { method: 'POST', body: '{"data":{"message":{"content":"x"}}}' });
    assert.equal(unsigned.status, 401);
  });
}
