// Every error code, provoked in every dialect that can give it: the complete answer, with and without an ack.
// docs/errors.md has the table.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Backend } from '../lib/backend.mjs';
import { makeGroup, people } from '../lib/chat.mjs';
import { closeAfter, connect } from '../lib/client.mjs';
import { makeDirect } from '../lib/conversation.mjs';
import { DATABASES, runSql } from '../lib/database.mjs';
import { OUTAGES } from '../lib/outage.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { ERROR_ID, MILLIS, TIME, assertLike } from '../lib/shape.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT } from '../lib/wait.mjs';

const NOWHERE = '01900000-0000-7000-8000-000000000000';
const LONG = 'x'.repeat(101);
/** A text that a trigger in the database refuses. */
const UNSTORABLE = 'cannot be stored';

/** Events that come with connections. */
const GREETINGS = ['connected', 'recovery:seed', 'user:online', 'user:offline', 'user_online', 'user_offline'];

const NO_USER = 'User not found';
const NOT_YOURS = 'Not a member';

/**
 * Dialect → how it sends `draft` to Bob, and further refusals: `code: [event, payload, sentence]`; `made` holds what
 * the test made.
 */
const DIALECTS = {
  assistant: {
    send: (draft) => ['ai-message', { chatId: 'c', chat: 'c', ...draft }],
    idle: ['ai-message', { chatId: 'c', chat: 'c' }],
    others: ({ foreignGroup }) => ({ FORBIDDEN: ['ai-message', { chatId: foreignGroup, chat: 'c', content: 'x' }, NOT_YOURS] }),
  },
  conversation: {
    send: (draft, { direct }) => ['message:send', { conversationId: direct, ...draft }],
    idle: ['conversation:leave', NOWHERE],
    others: ({ foreignGroup }) => ({
      NOT_FOUND: ['message:send', { conversationId: NOWHERE, content: 'x' }, 'Conversation not found'],
      FORBIDDEN: ['message:send', { conversationId: foreignGroup, content: 'x' }, NOT_YOURS],
    }),
  },
  listing: {
    send: (draft, { bob }) => ['sendDirectMessage', { receiverId: bob, ...draft }],
    idle: ['leaveCommonChat', {}],
    others: () => ({ NOT_FOUND: ['sendDirectMessage', { receiverId: 'nobody', content: 'x' }, NO_USER] }),
  },
  agent: {
    send: (draft, { bob }) => ['message:send', { targetUserId: bob, ...draft }],
    idle: ['connection:get', {}],
    others: ({ foreignGroup }) => ({
      NOT_FOUND: ['message:send', { targetUserId: 'nobody', content: 'x' }, NO_USER],
      FORBIDDEN: ['message:send', { conversationId: foreignGroup, content: 'x' }, NOT_YOURS],
    }),
  },
  messenger: {
    send: (draft, { bob }) => ['send_direct_message', { recipientId: bob, ...draft }],
    idle: ['leave_group', NOWHERE],
    others: ({ foreignGroup }) => ({
      NOT_FOUND: ['send_direct_message', { recipientId: 'nobody', content: 'x' }, NO_USER],
      FORBIDDEN: ['send_group_message', { conversationId: foreignGroup, content: 'x' }, NOT_YOURS],
    }),
  },
};

/** Refusals of every dialect's sends: `code: [draft, sentence]`. */
const REFUSED_DRAFTS = {
  INVALID_PAYLOAD: [{ content: '' }, 'Invalid content'],
  CONFLICT: [{ content: 'another', clientMessageId: 'used' }, 'This clientMessageId was used for another message'],
  TOO_LARGE: [{ content: LONG }, 'Too large: the text is too long'],
  INTERNAL: [{ content: UNSTORABLE }, 'Internal error'],
};

const ANSWERS = {
  'notification:get': 'notification:receive', 'connection:get': 'connection:receive', 'message:send': 'message:receive',
};

/** Returns the complete ack of a refusal. */
function refusedAck(dialect, { code, sentence, ...more }) {
  const isEnveloped = dialect === 'agent' && code !== 'UNKNOWN_EVENT';
  return { success: false, error: sentence, code, ...more, ...(isEnveloped && { timestamp: TIME }) };
}

/** Returns the complete packet of a refusal without an ack. */
function refusedPacket(dialect, event, { code, sentence, ...more }) {
  if (dialect === 'agent' && code !== 'UNKNOWN_EVENT') return [ANSWERS[event], refusedAck(dialect, { code, sentence, ...more })];
  if (dialect === 'assistant' && code !== 'UNKNOWN_EVENT') return ['ai-error', { chat: 'c', message: sentence, error: sentence, code, ...more }];
  const isSend = dialect === 'listing' && event.startsWith('send');
  return ['error', { message: isSend ? 'Failed to send message' : sentence, error: sentence, code, event, ...more }];
}

/** Asserts that the request is refused in the ack, and without one by a single packet. */
async function assertRefused(client, dialect, [event, payload], refusal, limit = LIMIT) {
  const ack = client.askWithin(limit, event, payload);
  client.tell(event, payload);
  const [name, body] = refusedPacket(dialect, event, refusal);
  assertLike(await ack, refusedAck(dialect, refusal), `${refusal.code}: the ack of ${event}`);
  assertLike(await client.next(name, ({ code }) => code === refusal.code, limit), body, `${refusal.code}: ${name}`);
}

for (const database of DATABASES) {
  describe(`codes on ${database}`, () => {
    const holder = useServer({
      database, env: { RATE_LIMIT_EVENTS: '0', MAX_MESSAGE_LENGTH: '100', STRICT_EVENTS: 'true', AUTO_PROVISION_USERS: 'false' },
    });
    let made;

    before(async () => {
      const { server } = holder;
      const [ann, bob, eve] = await Promise.all(['ann', 'bob', 'eve'].map((name) => register(server, name)));
      made = { ann, bob: bob.user.id, direct: await makeDirect(server, ann, bob), foreignGroup: await makeGroup(server, eve, [bob]) };
      const { token } = ann.user;
      const body = { content: 'first', clientMessageId: 'used' };
      assert.equal((await server.api('POST', `/api/conversations/${made.direct}/messages`, { token, body })).status, 201);
      REFUSING[database](server);
    });

    for (const [dialect, { send, others }] of Object.entries(DIALECTS)) {
      it(`of ${dialect}`, async (test) => {
        const ann = await connect(holder.server, made.ann.user, { dialect });
        closeAfter(test, ann);
        for (const [code, [draft, sentence]] of Object.entries(REFUSED_DRAFTS)) {
          await assertRefused(ann, dialect, send(draft, made), { code, sentence, ...(code === 'INTERNAL' && { errorId: ERROR_ID }) });
        }
        for (const [code, [event, payload, sentence]] of Object.entries(others(made))) {
          await assertRefused(ann, dialect, [event, payload], { code, sentence });
        }
        await assertRefused(ann, dialect, ['no such event', {}], { code: 'UNKNOWN_EVENT', sentence: 'Unknown event' });
        assert.deepEqual(ann.inbox.filter(({ event }) => !GREETINGS.includes(event)), [], 'one packet per fault');
      });
    }
  });

  describe(`codes in an outage of ${database}`, () => {
    it('NOT_STORED for what was admitted, STORAGE_UNAVAILABLE for what comes then', async (test) => {
      const outage = await OUTAGES[database](test);
      const server = await Server.start({ database, databaseUrl: outage.databaseUrl, env: { RATE_LIMIT_EVENTS: '0', STORE_RETRY_FOR: '2s' } });
      test.after(() => server.remove());
      const [bob] = await people(test, server, ['bob'], { dialect: 'messenger' });
      const asking = [];
      for (const [dialect, { send }] of Object.entries(DIALECTS)) {
        const [client] = await people(test, server, ['ann'], { dialect });
        const place = { bob: bob.user.id, direct: await makeDirect(server, client, bob) };
        await client.succeed(...send({ content: 'before' }, place));
        if (dialect === 'assistant') await client.next('ai-response');
        asking.push({ client, dialect, request: (content) => send({ content }, place) });
      }
      await outage.begin(server);
      const limit = 4 * LIMIT;
      const sentences = { NOT_STORED: 'The message was not stored, try again', STORAGE_UNAVAILABLE: 'The message could not be stored, try again later' };
      for (const [code, sentence] of Object.entries(sentences)) {
        for (const { client } of asking) client.inbox.length = 0;
        await Promise.all(asking.map(({ client, dialect, request }) => assertRefused(client, dialect, request(code), { code, sentence }, limit)));
      }
      await outage.end();
    });
  });
}

describe('codes of a hook', () => {
  const holder = {};
  before(async () => {
    holder.backend = await Backend.start({ answer: () => holder.answer });
    holder.server = await Server.start({ env: { RATE_LIMIT_EVENTS: '0', ...holder.backend.hook() } });
  });
  after(async () => {
    await holder.server.remove();
    await holder.backend.stop();
  });

  for (const [dialect, { send }] of Object.entries(DIALECTS)) {
    it(`in ${dialect}`, async (test) => {
      const [ann] = await people(test, holder.server, ['ann'], { dialect });
      const [bob] = await people(test, holder.server, ['bob']);
      const place = { bob: bob.user.id, direct: await makeDirect(holder.server, ann, bob) };
      for (const [answer, code, sentence] of [
        [{ refuse: {} }, 'HOOK_REFUSED', 'Not allowed'],
        ['rubbish', 'HOOK_FAILED', 'This could not be checked, try again'],
        [{ refuse: { code: 'phone.number', message: 'No numbers' } }, 'phone.number', 'No numbers'],
      ]) {
        holder.answer = answer;
        await assertRefused(ann, dialect, send({ content: 'x' }, place), { code, sentence });
      }
    });
  }
});

describe('codes: too much at once', () => {
  const holder = useServer({ env: { RATE_LIMIT_EVENTS: '1', RATE_LIMIT_BURST: '1' } });

  for (const [dialect, { idle }] of Object.entries(DIALECTS)) {
    it(`in ${dialect}`, async (test) => {
      const client = await connect(holder.server, newUser(), { dialect });
      closeAfter(test, client);
      for (let count = 0; count < 51; count++) client.tell(...idle);
      await assertRefused(client, dialect, idle, { code: 'RATE_LIMITED', sentence: 'Too many requests, try again later', retryAfterMs: MILLIS });
    });
  }
});

/** Registers a user on a server without provisioning. */
async function register(server, name) {
  const { status, body } = await server.api('POST', '/api/auth/register', {
    body: { username: name, email: `${name}@example.org`, password: 'correct horse' },
  });
  assert.equal(status, 201, JSON.stringify(body));
  return { user: { ...body.user, token: body.token } };
}

/** Ways to make each database refuse a message for a reason that the server cannot know. */
const REFUSING = {
  sqlite: (server) => runSql(server, `
    create trigger refusing before insert on messages when new.content = '${UNSTORABLE}'
    begin select raise(abort, 'refused'); end`),
  postgres: (server) => runSql(server, `
    create function refuse() returns trigger language plpgsql as $$ begin raise 'refused'; end $$;
    create trigger refusing before insert on messages for each row when (new.content = '${UNSTORABLE}') execute function refuse()`),
};
