// Requests taken from a connection are carried out after its end (P1), whatever ended it, in every front end's
// vocabulary.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { newAgent } from '../lib/agent.mjs';
import { people } from '../lib/chat.mjs';
import { closeAfter, connect } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { onALine } from '../lib/line.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const isMessage = ({ event }) => event === 'new_message';
const texts = (client) => client.told('new_message').map(({ message }) => message.content);
const numbers = (count) => Array.from({ length: count }, (_, number) => String(number));

/**
 * Waits until the first of a client's requests are answered: the others have then reached the server, and are delayed.
 */
function firstAnswers(client, count, emit) {
  return within(LIMIT, 'the first answers', new Promise((resolve) => {
    let answered = 0;
    emit(() => {
      answered += 1;
      if (answered === count) resolve();
    });
  }));
}

const ENDS = {
  'disconnect()': ({ client }) => client.socket.disconnect(),
  'engine.close()': ({ client }) => client.socket.io.engine.close(),
  'a reset': ({ way }) => way.reset(),
  'the end of the stream': ({ way }) => way.halfClose('server'),
};

/** Dialect → how it sends to a new user, without an ack. */
const SENDS = {
  assistant: (client, to, content) => client.tell('ai-message', { chatId: 'leaving', chat: 'leaving', content }),
  // Recognising a repetition takes a read.
  conversation: (client, { conversationId }, content) => client.tell('message:send', { conversationId, content, clientMessageId: content }),
  listing: (client, { id }, content) => client.tell('sendDirectMessage', { receiverId: id, content }),
  agent: (client, { id }, content) => client.tell('message:send', { targetUserId: id, content }),
  messenger: (client, { id }, content) => client.tell('send_direct_message', { recipientId: id, content }),
};

for (const database of DATABASES) {
  describe(`leaving on ${database}`, () => {
    const holder = useServer({ database });

    for (const transport of ['websocket', 'polling']) {
      for (const [end, act] of Object.entries(ENDS)) {
        if (transport === 'polling' && !end.endsWith('()')) continue;
        for (const count of [21, 40]) {
          it(`${count} sends, and then ${end} on ${transport}: all are stored and delivered, in order`, async (test) => {
            const [bob] = await people(test, holder.server, ['bob'], { dialect: 'messenger' });
            const alice = await onALine(test, holder.server, newUser('alice'), { transport, dialect: 'messenger' });
            const send = (content, answered) => {
              alice.client.socket.emit('send_direct_message', { recipientId: bob.user.id, content }, answered);
            };
            await firstAnswers(alice.client, 20, (answered) => numbers(count).forEach((content) => send(content, answered)));
            act(alice);
            await bob.holds(count, isMessage);
            assert.deepEqual(texts(bob), numbers(count));
          });
        }
      }
    }

    it('sends that are not answered yet, and then disconnect(): all are stored', async (test) => {
      const [bob] = await people(test, holder.server, ['bob'], { dialect: 'messenger' });
      for (const transport of ['websocket', 'polling']) {
        const alice = await connect(holder.server, newUser('alice'), { transport });
        for (const content of numbers(40)) alice.tell('send_direct_message', { recipientId: bob.user.id, content });
        alice.socket.disconnect();
        await bob.holds(40, isMessage);
        assert.deepEqual(texts(bob), numbers(40));
        bob.inbox.splice(0);
      }
    });

    for (const [dialect, send] of Object.entries(SENDS)) {
      it(`two messages to somebody new, and then disconnect(), in ${dialect}: both are stored`, async (test) => {
        for (let round = 0; round < 3; round++) {
          const user = dialect === 'agent' ? newAgent('alice') : newUser('alice');
          const alice = await connect(holder.server, user, { dialect });
          const [bob] = await people(test, holder.server, ['bob'], { dialect: 'messenger' });
          const to = { ...bob.user };
          if (dialect === 'conversation') {
            const body = { type: 'direct', participantId: bob.user.id };
            const { body: { conversation } } = await holder.server.api('POST', '/api/conversations', { token: user.token, body });
            to.conversationId = conversation._id ?? conversation.id;
          }
          for (const content of ['one', 'two']) send(alice, to, content);
          alice.socket.disconnect();
          if (dialect === 'assistant') {
            const again = await connect(holder.server, user, { dialect });
            closeAfter(test, again);
            const stored = async () => {
              const { body } = await holder.server.api('GET', '/api/conversations', { token: user.token });
              const chat = body.conversations?.find(({ type }) => type === 'ai');
              if (!chat) return [];
              const kept = await holder.server.api('GET', `/api/conversations/${chat.id ?? chat._id}/messages?limit=200`, { token: user.token });
              return kept.body.messages.map(({ content }) => content).filter((content) => ['one', 'two'].includes(content));
            };
            await within(LIMIT, 'both questions', (async () => {
              while ((await stored()).length < 2);
            })());
            assert.deepEqual(await stored(), ['one', 'two']);
          } else {
            await bob.holds(2, isMessage);
            assert.deepEqual(texts(bob), ['one', 'two']);
          }
        }
      });
    }

    for (const [dialect, event] of [['listing', 'directMessage'], ['agent', 'message:receive']]) {
      it(`40 sends in ${dialect}, a cut, and a return to the session: all own copies come, in order`, async (test) => {
        const [bob] = await people(test, holder.server, ['bob'], { dialect: 'messenger' });
        const user = dialect === 'agent' ? newAgent('alice') : newUser('alice');
        const { client, way } = await onALine(test, holder.server, user, { dialect, reconnection: true, reconnectionDelay: 20 });
        const isOwn = (entry) => entry.event === event;
        for (const content of numbers(40)) SENDS[dialect](client, bob.user, content);
        await client.holds(20, isOwn);
        const back = new Promise((resolve) => client.socket.once('connect', resolve));
        way.reset();
        await within(LIMIT, 'the return', back);
        assert.equal(client.socket.recovered, true);
        await client.holds(40, isOwn);
        await bob.holds(40, isMessage);
        const own = client.told(event).map((told) => told.message ?? told.data.content);
        assert.deepEqual(own, numbers(40));
        assert.deepEqual(texts(bob), numbers(40));
      });
    }

    it('what is sent after a return comes behind what waited', async (test) => {
      const [bob] = await people(test, holder.server, ['bob'], { dialect: 'messenger' });
      const user = newUser('alice');
      for (const isSameSocket of [true, false]) {
        const alice = await connect(holder.server, user, { dialect: 'messenger' });
        closeAfter(test, alice);
        for (const content of numbers(30)) alice.tell('send_direct_message', { recipientId: bob.user.id, content });
        alice.socket.disconnect();
        const again = isSameSocket ? alice : await connect(holder.server, user, { dialect: 'messenger' });
        closeAfter(test, again);
        if (isSameSocket) again.socket.connect();
        await again.connected();
        again.tell('send_direct_message', { recipientId: bob.user.id, content: 'behind' });
        await bob.next('new_message', ({ message }) => message.content === '29');
        await bob.next('new_message', ({ message }) => message.content === 'behind');
        assert.deepEqual(texts(bob), numbers(29), 'what came before those two');
        bob.inbox.splice(0);
      }
    });

    it('who is put out loses what waits', async (test) => {
      const [bob] = await people(test, holder.server, ['bob'], { dialect: 'messenger' });
      const admin = newUser('admin', { role: 'admin' });
      const user = newUser('alice');
      const alice = await connect(holder.server, user, { dialect: 'messenger' });
      for (const content of numbers(60)) alice.tell('send_direct_message', { recipientId: bob.user.id, content });
      await bob.holds(20, isMessage);
      const sid = alice.socket.id;
      const kicked = await holder.server.api('POST', `/api/admin/sockets/${sid}/kick`, { token: admin.token, body: {} });
      assert.equal(kicked.status, 200, JSON.stringify(kicked.body));
      await alice.disconnected();
      // It would come behind all waiting requests.
      const again = await connect(holder.server, user, { dialect: 'messenger' });
      closeAfter(test, again);
      await again.succeed('send_direct_message', { recipientId: bob.user.id, content: 'anew' });
      await bob.next('new_message', ({ message }) => message.content === 'anew');
      const seen = texts(bob);
      assert.ok(seen.length < 50, `${seen.length} of 60 were carried out`);
      assert.deepEqual(seen, numbers(seen.length));
    });

    it('SIGTERM 150 ms after 30 sends: each is acked and stored, or refused', async (test) => {
      const server = await Server.start({ database });
      test.after(() => server.remove());
      const alice = await connect(server, newUser('alice'), { dialect: 'messenger' });
      const friend = newUser('bob');
      const answers = [];
      const begun = new Promise((resolve) => {
        for (const content of numbers(30)) {
          alice.socket.emit('send_direct_message', { recipientId: friend.id, content }, (answer) => {
            answers.push({ content, ...answer });
            if (answers.length === 21) resolve();
          });
        }
      });
      // The rate limit let one waiting request through: as long after the burst as expected.
      await within(LIMIT, 'the first that waited', begun);
      assert.equal((await server.end('SIGTERM')).code, 0, server.log);
      await alice.disconnected();
      assert.equal(answers.length, 30, 'none is gone without a word');
      const acked = answers.filter(({ success }) => success).map(({ content }) => content);
      assert.deepEqual(acked, numbers(30));
      await server.launch();
      const bob = await connect(server, friend, { dialect: 'messenger' });
      closeAfter(test, bob);
      await bob.holds(acked.length, isMessage);
      assert.deepEqual(texts(bob), acked);
    });

    it('SIGTERM after a client with waiting requests has gone: they are stored before the end', async (test) => {
      const server = await Server.start({ database });
      test.after(() => server.remove());
      const friend = newUser('bob');
      const bob = await connect(server, friend, { dialect: 'messenger' });
      const alice = await connect(server, newUser('alice'), { dialect: 'messenger' });
      for (const content of numbers(60)) alice.tell('send_direct_message', { recipientId: friend.id, content });
      alice.socket.disconnect();
      // The server knows that she has gone, so it has read all of hers; most of it waits for the rate limit.
      await within(LIMIT, 'her end', (async () => {
        while (!/^parlance_sockets\{[^}]*\} 1$/m.test((await server.api('GET', '/metrics')).body));
      })());
      assert.equal((await server.end('SIGTERM')).code, 0, server.log);
      await bob.disconnected();
      assert.deepEqual(texts(bob), numbers(60));
    });
  });
}
