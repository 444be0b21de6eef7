// NAMESPACES: other names of the chat's namespace.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Manager } from 'sio48';

import { people } from '../lib/chat.mjs';
import { TRANSPORTS, connect, refusal } from '../lib/client.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const say = (sender, recipient, content) => sender.succeed('send_direct_message', { recipientId: recipient.id, content });

describe('a client of another namespace', () => {
  const holder = useServer({ env: { NAMESPACES: '/chat,/v1/room' } });
  const at = (name) => ({ url: `${holder.server.url}${name}` });

  for (const transport of Object.keys(TRANSPORTS)) {
    it(`is served as in /, over ${transport}`, async (test) => {
      const { server } = holder;
      const [ann] = await people(test, server, ['ann']);
      for (const name of ['/chat', '/v1/room']) {
        const bob = await connect(at(name), newUser('bob'), { transport });
        test.after(() => bob.close());
        assert.equal(bob.socket.nsp, name);
        await say(ann, bob.user, 'one');
        for (const event of ['message:new', 'directMessage', 'message:receive', 'new_message']) await bob.next(event);
        await say(bob, ann.user, 'two');
        assert.equal((await ann.next('new_message', ({ message }) => message.content === 'two')).message.content, 'two');
        await bob.refused('UNKNOWN_EVENT', 'no such event');
        await bob.refused('INVALID_PAYLOAD', 'send_direct_message', {});
      }
    });
  }

  it('is recovered, and refused as in /', async (test) => {
    const { server } = holder;
    const [ann] = await people(test, server, ['ann']);
    const bob = await connect(at('/chat'), newUser('bob'), { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 50 });
    test.after(() => bob.close());
    await say(ann, bob.user, 'before');
    await bob.next('new_message');
    const back = new Promise((resolve) => bob.socket.once('connect', resolve));
    bob.socket.io.engine.close();
    await say(ann, bob.user, 'meanwhile');
    await within(LIMIT, 'the return', back);
    assert.equal(bob.socket.recovered, true);
    assert.equal((await bob.next('new_message')).message.content, 'meanwhile');
    const { data } = await refusal(at('/chat'), { auth: { token: 'nonsense' } });
    assert.equal(data.code, 'INVALID_TOKEN');
    assert.equal((await refusal(at('/other'), { auth: { token: newUser().token } })).message, 'Invalid namespace');
  });

  it('has one session: a second name on its connection is refused, on another it is another session', async (test) => {
    const { server } = holder;
    const { token } = newUser('carol');
    const manager = new Manager(server.url, { transports: ['websocket'], reconnection: false });
    test.after(() => manager._close());
    const chat = manager.socket('/chat', { auth: { token } });
    await within(LIMIT, 'connect', new Promise((resolve) => chat.once('connect', resolve)));
    const second = manager.socket('/', { auth: { token } });
    const error = await within(LIMIT, 'the refusal', new Promise((resolve) => second.once('connect_error', resolve)));
    assert.equal(error.message, 'This connection is in the chat already, as /chat');
    assert.ok(chat.connected, 'the first one stays');
    const gone = new Promise((resolve) => chat.once('disconnect', resolve));
    chat.disconnect();
    await gone;
    const third = manager.socket('/v1/room', { auth: { token } });
    await within(LIMIT, 'connect by another name', new Promise((resolve) => third.once('connect', resolve)));
  });

  it('is kicked as in /', async (test) => {
    const { server } = holder;
    const user = newUser('dave');
    const dave = await connect(at('/chat'), user);
    test.after(() => dave.close());
    const answer = await server.api('POST', '/api/auth/logout', { token: user.token });
    assert.equal(answer.status, 200);
    assert.equal((await dave.next('error')).code, 'INVALID_TOKEN');
    assert.equal(await dave.disconnected(), 'io server disconnect');
  });
});

it('names of NAMESPACES begin with a slash, and are not those that mean something', async () => {
  for (const wrong of ['chat', '/', '/admin']) {
    await assert.rejects(Server.start({ env: { NAMESPACES: wrong } }), /NAMESPACES/, wrong);
  }
});
