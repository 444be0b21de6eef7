// P7: a short drop loses and repeats nothing; after a long one or a restart, a device gets exactly what it lacks.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Way } from '../../checker/proxy.mjs';
import { makeGroup, people } from '../lib/chat.mjs';
import { connect } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, pipelined, within } from '../lib/wait.mjs';

const AGAIN = { reconnection: true, reconnectionDelay: 20, reconnectionDelayMax: 50, randomizationFactor: 0 };

/** Returns a client that reconnects by itself, behind a proxy that can cut its connection. */
async function comer(test, server, user, options = {}) {
  const way = await Way.open(() => Number(new URL(server.url).port));
  const client = await connect({ url: way.url }, user, { ...AGAIN, ...options });
  test.after(() => {
    client.close();
    way.close();
  });
  return { client, way };
}

/** Cuts the connection, runs `meanwhile`, and waits until the client is back; returns whether it was recovered. */
async function away(client, cut, meanwhile = async () => {}) {
  const { socket } = client;
  const gone = new Promise((resolve) => socket.once('disconnect', resolve));
  socket.io.reconnection(false);
  cut();
  await within(LIMIT, 'the disconnect', gone);
  await meanwhile();
  const back = new Promise((resolve) => socket.once('connect', resolve));
  socket.io.reconnection(true);
  socket.connect();
  await within(LIMIT, 'the reconnect', back);
  return socket.recovered;
}

/** Cuts the connection. A polling client may have none at that moment, and would not notice. */
function cutLine({ client }, cut) {
  const { engine } = client.socket.io;
  const isPolling = engine.transport.name === 'polling';
  cut();
  if (isPolling) engine.close();
}

const say = (sender, recipient, content) => sender.succeed('send_direct_message', { recipientId: recipient.id, content });

/** Waits for the message sent last; returns the texts of all that came, in order. */
async function textsUpTo(client, last, event = 'new_message') {
  const text = (payload) => payload.message.content;
  await within(LIMIT, () => `${last} after ${client.told(event).map(text)}`, new Promise((resolve) => {
    const look = () => client.told(event).some((payload) => text(payload) === last) && (resolve(), true);
    if (!look()) client.waiting.push(look);
  }));
  return client.told(event).map(text);
}

describe('a short drop', () => {
  const holder = useServer({ env: { RATE_LIMIT_EVENTS: '0' } });

  for (const transport of ['websocket', 'polling', 'upgrading']) {
    for (const [how, cut] of [
      ['its engine closes', ({ client }) => client.socket.io.engine.close()],
      ['its line is reset', (bob) => cutLine(bob, () => bob.way.reset())],
      ['its line ends where the server does not notice', (bob) => cutLine(bob, () => bob.way.forget('client'))],
    ]) {
      it(`is made good over ${transport} when ${how}`, async (test) => {
        const { server } = holder;
        const [alice] = await people(test, server, ['alice']);
        const bob = await comer(test, server, newUser('bob'), { transport });
        if (transport === 'upgrading') await bob.client.upgraded();
        const { id } = bob.client.socket;
        await say(alice, bob.client.user, 'before');
        await textsUpTo(bob.client, 'before');
        assert.equal(await away(bob.client, () => cut(bob), async () => {
          for (const content of ['one', 'two', 'three']) await say(alice, bob.client.user, content);
        }), true);
        assert.equal(bob.client.socket.id, id);
        await say(alice, bob.client.user, 'after');
        assert.deepEqual(await textsUpTo(bob.client, 'after'), ['before', 'one', 'two', 'three', 'after']);
      });
    }
  }

  it('is made good before anything had come, twice in a row, and again', async (test) => {
    const { server } = holder;
    const [alice] = await people(test, server, ['alice']);
    const { client } = await comer(test, server, newUser('bob'));
    const close = () => client.socket.io.engine.close();
    assert.equal(await away(client, close), true);
    assert.equal(await away(client, close, () => say(alice, client.user, 'one')), true);
    assert.equal(await away(client, close, () => say(alice, client.user, 'two')), true);
    assert.deepEqual(await textsUpTo(client, 'two'), ['one', 'two']);
  });

  it('is made good when it happens during the upgrade', async (test) => {
    const { server } = holder;
    const [alice] = await people(test, server, ['alice']);
    const { client } = await comer(test, server, newUser('bob'), { transport: 'upgrading' });
    const upgrading = new Promise((resolve) => client.socket.io.engine.once('upgrading', resolve));
    if (client.socket.io.engine.transport.name === 'polling') await within(LIMIT, 'the upgrade', upgrading);
    assert.equal(await away(client, () => client.socket.io.engine.close(), () => say(alice, client.user, 'one')), true);
    assert.deepEqual(await textsUpTo(client, 'one'), ['one']);
  });

  it('of another user who logged in on the same socket object shows nothing of theirs, and hides nothing of one\'s own', async (test) => {
    const { server } = holder;
    const [alice] = await people(test, server, ['alice']);
    const bob = newUser('bob');
    await say(alice, bob, 'while bob was away');
    const { client } = await comer(test, server, newUser('carol'));
    await say(alice, client.user, 'for carol');
    await textsUpTo(client, 'for carol');
    // What a page does when somebody logs out and another one in.
    client.socket.disconnect();
    client.socket.auth = { ...client.socket.auth, token: bob.token };
    client.socket.connect();
    assert.deepEqual(await textsUpTo(client, 'while bob was away'), ['for carol', 'while bob was away']);
    assert.equal(client.socket.recovered, false);
  });

  it('is made good in every dialect, each event once', async (test) => {
    const { server } = holder;
    const [alice] = await people(test, server, ['alice']);
    const { client } = await comer(test, server, newUser('bob'));
    const close = () => client.socket.io.engine.close();
    assert.equal(await away(client, close, () => say(alice, client.user, 'one')), true);
    for (const event of ['message:new', 'directMessage', 'message:receive', 'new_message']) await client.next(event);
    assert.equal(await away(client, close), true);
    for (const event of ['message:new', 'directMessage', 'message:receive', 'new_message']) {
      assert.deepEqual(client.told(event), [], `${event} once`);
    }
  });

  it('keeps rooms, mutes and the dialect', async (test) => {
    const { server } = holder;
    const [alice] = await people(test, server, ['alice'], { dialect: ['listing', 'messenger'] });
    const { client } = await comer(test, server, newUser('bob'), { dialect: 'listing' });
    const room = `room-${client.user.id}`;
    await client.succeed('joinRoom', room);
    const close = () => client.socket.io.engine.close();
    const tell = (content) => alice.succeed('sendRoomMessage', { roomId: room, content });
    assert.equal(await away(client, close, () => tell('one')), true);
    await tell('two');
    await client.next('roomMessage', ({ message }) => message === 'two');
    assert.deepEqual(client.told('roomMessage').map(({ message }) => message), ['one']);
    assert.ok(client.inbox.every(({ event }) => event !== 'new_message'));
  });

  it('in the middle of a flood, again and again, loses, repeats and swaps nothing', async (test) => {
    const { server } = holder;
    const [alice, carol] = await people(test, server, ['alice', 'carol']);
    const bobs = await Promise.all(['websocket', 'polling', 'websocket'].map((transport) => comer(test, server, newUser('bob'), { transport })));
    const group = await makeGroup(server, alice, [...bobs.map(({ client }) => client), carol]);
    const count = 600;
    let sent = 0;
    const done = Promise.all([alice, carol].map((sender) => pipelined(count / 2, 4, async (index) => {
      await sender.succeed('send_group_message', { conversationId: group, content: `${sender.user.username} ${index}` });
      sent += 1;
    })));
    const cuts = Promise.all(bobs.map(async ({ client, way }, turn) => {
      for (let round = 0; sent < count; round++) {
        const cut = [() => client.socket.io.engine.close(), () => way.reset(), () => way.forget('client')][(round + turn) % 3];
        const before = sent;
        assert.equal(await away(client, () => cutLine({ client }, cut), async () => {
          while (sent < Math.min(before + 5, count)) await new Promise((resolve) => setImmediate(resolve));
        }), true, `round ${round}`);
      }
    }));
    await done;
    await cuts;
    await alice.succeed('send_group_message', { conversationId: group, content: 'last' });
    const [expected] = await Promise.all([textsUpTo(alice, 'last', 'new_group_message')]);
    assert.equal(expected.length, count + 1);
    for (const { client } of bobs) assert.deepEqual(await textsUpTo(client, 'last', 'new_group_message'), expected);
  });

  it('ends for good with a logout', async (test) => {
    const { server } = holder;
    const { client } = await comer(test, server, newUser('bob'));
    const recovered = await away(client, () => client.socket.io.engine.close(), async () => {
      const { status } = await server.api('POST', '/api/auth/logout', { token: client.user.token });
      assert.equal(status, 200);
      client.socket.auth = { token: newUser('bob', { id: client.user.id }).token };
    });
    assert.equal(recovered, false);
  });
});

for (const database of DATABASES) {
  describe(`a long absence on ${database}`, () => {
    /**
     * Bob's phone reads and disconnects; meanwhile there are messages, one of them his own from the laptop, which reads
     * them all.
     */
    const scene = async (test, server, meanwhile) => {
      const [alice] = await people(test, server, ['alice'], { ...AGAIN });
      const user = newUser('bob');
      const phone = (await comer(test, server, user, { dialect: 'messenger' })).client;
      const laptop = await connect(server, user, { dialect: 'messenger', ...AGAIN });
      test.after(() => laptop.close());
      await say(alice, user, 'read');
      await textsUpTo(phone, 'read');
      await say(phone, alice.user, 'from the phone');
      await laptop.next('new_message', ({ message }) => message.content === 'from the phone');
      const recovered = await away(phone, () => phone.socket.io.engine.close(), async () => {
        await say(alice, user, 'one');
        await textsUpTo(laptop, 'one');
        await say(laptop, alice.user, 'from the laptop');
        await meanwhile({ alice, laptop });
        await say(alice, user, 'two');
      });
      assert.equal(recovered, false);
      await say(alice, user, 'three');
      assert.deepEqual(await textsUpTo(phone, 'three'), ['read', 'one', 'from the laptop', 'two', 'three']);
    };

    for (const [dialect, fresh, updated, deleted] of [
      ['conversation', 'message:new', 'message:updated', 'message:deleted'],
      ['messenger', 'new_message', 'message_updated', 'message_deleted'],
      ['listing', 'directMessage', 'messageUpdated', 'messageDeleted'],
      ['agent', 'message:receive', 'message:updated', 'message:deleted'],
    ]) {
      it(`tells ${dialect} once what was edited and deleted meanwhile`, async (test) => {
        const server = await Server.start({ database, env: { RECOVERY_TTL: '1ms' } });
        test.after(() => server.remove());
        const [alice] = await people(test, server, ['alice']);
        const { client } = await comer(test, server, newUser('bob'), { dialect });
        const names = new Map();
        const send = async (content) => names.set(content, (await say(alice, client.user, content)).message._id);
        const change = async (method, name, body) => {
          const { status } = await server.api(method, `/api/messages/${names.get(name)}`, { token: alice.user.token, body });
          assert.equal(status, 200);
        };
        const edit = (name) => change('PATCH', name, { content: `${name}, mended` });
        /** Returns the events since the last call, up to a message, with the messages that they are about. */
        const told = async (last) => {
          const entries = [];
          await within(LIMIT, () => `${last} after ${JSON.stringify(entries)}`, (async () => {
            for (;;) {
              await client.holds(1, ({ event }) => [fresh, updated, deleted].includes(event));
              const place = client.inbox.findIndex(({ event }) => [fresh, updated, deleted].includes(event));
              const [{ event, args }] = client.inbox.splice(place, 1);
              const text = JSON.stringify(args);
              const [name] = [...names].find(([, id]) => text.includes(id)) ?? [last];
              entries.push(`${event} ${name}${text.includes('mended') ? ', mended' : ''}`);
              if (text.includes(`"${last}"`)) return;
            }
          })());
          return entries;
        };
        for (const name of ['edited', 'deleted', 'both']) await send(name);
        await told('both');
        assert.equal(await away(client, () => client.socket.io.engine.close(), async () => {
          await edit('both');
          await edit('edited');
          await send('new');
          await send('gone');
          await edit('new');
          await change('DELETE', 'gone');
          await change('DELETE', 'deleted');
          await change('DELETE', 'both');
        }), false);
        await send('after');
        assert.deepEqual(await told('after'), [
          `${updated} edited, mended`, `${deleted} deleted`, `${deleted} both`, `${fresh} new, mended`, `${fresh} after`,
        ]);
        // It reconnects with the last offset that it received.
        assert.equal(await away(client, () => client.socket.io.engine.close()), false);
        await send('last');
        assert.deepEqual(await told('last'), [`${fresh} last`]);
      });
    }

    it('longer than sessions are kept', async (test) => {
      const server = await Server.start({ database, env: { RECOVERY_TTL: '1ms' } });
      test.after(() => server.remove());
      await scene(test, server, async () => {});
    });

    it('over a kill and a restart', async (test) => {
      const server = await Server.start({ database });
      test.after(() => server.remove());
      await scene(test, server, async ({ alice, laptop }) => {
        await server.end('SIGKILL');
        await server.launch();
        for (const { socket } of [alice, laptop]) {
          socket.io.uri = server.url;
          socket.disconnect().connect();
          if (!socket.connected) await within(LIMIT, 'the reconnect', new Promise((resolve) => socket.once('connect', resolve)));
        }
      });
    });
  });
}
