// Clients without connection state recovery: their events have the payload and nothing else, and nothing is lost.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Way } from '../../checker/proxy.mjs';
import { people } from '../lib/chat.mjs';
import { TRANSPORTS, VERSIONS, refusal } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

/** The ways to say that a client has no recovery: options of the client, and settings of its server. */
const WAYS = {
  'auth.recovery': { auth: { recovery: false } },
  '?recovery=false': { query: { recovery: 'false' } },
  'OFFSETS=false': { env: { OFFSETS: 'false' } },
  'OFFSETS=false, whatever the client wants': { auth: { recovery: true }, env: { OFFSETS: 'false' } },
};

const say = (sender, recipient, content) => sender.succeed('send_direct_message', { recipientId: recipient.id, content });

/** A stock client that keeps all arguments of what it is told. */
class Plain {
  constructor(url, user, { version = '4.8', transport = 'websocket', auth, query } = {}) {
    this.user = user;
    this.told = [];
    this.socket = VERSIONS[version](url, {
      transports: TRANSPORTS[transport], forceNew: true, auth: { token: user.token, ...auth }, query,
      reconnectionDelay: 20, reconnectionDelayMax: 50, randomizationFactor: 0,
    });
    this.socket.onAny((event, ...args) => {
      this.told.push({ event, args });
      this.look?.();
    });
  }

  static async open(test, url, user, options) {
    const client = new Plain(url, user, options);
    test.after(() => client.socket.disconnect());
    await within(LIMIT, 'connect', new Promise((resolve, reject) => client.socket.once('connect', resolve).once('connect_error', reject)));
    return client;
  }

  get texts() {
    return this.told.filter(({ event }) => event === 'new_message').map(({ args }) => args[0].message.content);
  }

  /** Waits for a message. */
  async hears(text) {
    await within(LIMIT, () => `${text} after ${this.texts}`, new Promise((resolve) => {
      this.look = () => this.texts.includes(text) && resolve();
      this.look();
    }));
  }
}

for (const [how, { env, ...options }] of Object.entries(WAYS)) {
  describe(`${how}: a client without recovery`, () => {
    const holder = useServer({ env });

    for (const transport of Object.keys(TRANSPORTS)) {
      it(`is told payloads only, over ${transport}`, async (test) => {
        const { server } = holder;
        const bob = await Plain.open(test, server.url, newUser('bob'), { transport, ...options });
        // By hand, because the client of the other suites wants an offset in each event.
        const ann = await Plain.open(test, server.url, newUser('ann'), { transport, ...options });
        for (const content of ['one', 'two']) {
          await within(LIMIT, 'the ack', ann.socket.emitWithAck('send_direct_message', { recipientId: bob.user.id, content }));
        }
        await bob.hears('two');
        const events = bob.told.map(({ event }) => event);
        for (const event of ['connected', 'message:new', 'directMessage', 'message:receive', 'new_message']) {
          assert.ok(events.includes(event), `${event} of ${events}`);
        }
        assert.ok(!events.includes('recovery:seed'), 'no event that its front end does not know');
        for (const { event, args } of [...bob.told, ...ann.told]) assert.equal(args.length, 1, `${event} ${JSON.stringify(args)}`);
        assert.deepEqual([bob.socket._pid, bob.socket._lastOffset], [undefined, undefined]);
      });
    }
  });
}

for (const database of DATABASES) {
  describe(`a client without recovery that is cut, on ${database}`, () => {
    const holder = useServer({ database, env: { PING_INTERVAL: '50ms' } });

    for (const transport of Object.keys(TRANSPORTS)) {
      for (const version of ['4.8', '4.0']) {
        it(`gets what it missed, over ${transport} in ${version}`, async (test) => {
          const { server } = holder;
          const [ann] = await people(test, server, ['ann']);
          const way = await Way.open(() => Number(new URL(server.url).port));
          test.after(() => way.close());
          const bob = await Plain.open(test, way.url, newUser('bob'), { transport, version, auth: { recovery: false, dialect: 'messenger' } });
          await say(ann, bob.user, 'before');
          await bob.hears('before');
          const gone = new Promise((resolve) => bob.socket.once('disconnect', resolve));
          bob.socket.io.reconnection(false);
          way.reset();
          bob.socket.io.engine.close();
          await within(LIMIT, 'the disconnect', gone);
          for (const content of ['one', 'two']) await say(ann, bob.user, content);
          const back = new Promise((resolve) => bob.socket.once('connect', resolve));
          bob.socket.io.reconnection(true);
          bob.socket.connect();
          await within(LIMIT, 'the reconnect', back);
          await say(ann, bob.user, 'after');
          await bob.hears('after');
          assert.equal(Boolean(bob.socket.recovered), false);
          // The message before the cut comes again where no pong proved it in time, in its place.
          assert.deepEqual(bob.texts.slice(bob.texts.lastIndexOf('before')), ['before', 'one', 'two', 'after']);
          for (const { event, args } of bob.told) assert.equal(args.length, 1, event);
        });
      }
    }
  });
}

describe('clients with and without recovery', () => {
  const holder = useServer();

  it('are told the same event each in its way', async (test) => {
    const { server } = holder;
    const [ann, old] = await people(test, server, ['ann', 'bob']);
    const bob = await Plain.open(test, server.url, old.user, { auth: { recovery: false, dialect: 'messenger' } });
    await say(ann, bob.user, 'hello');
    await bob.hears('hello');
    const [payload] = await old.nextArgs('new_message');
    assert.deepEqual(bob.told.find(({ event }) => event === 'new_message').args, [payload]);
    assert.ok(old.offset, 'the other has its offset');
  });

  it('a wish that is neither is refused', async () => {
    const { server } = holder;
    const { token } = newUser();
    for (const options of [{ auth: { token, recovery: 0 } }, { auth: { token }, query: { recovery: 'off' } }]) {
      const { message, data } = await refusal(server, options);
      assert.deepEqual([message, data.code, data.status], ['Invalid recovery: neither true nor false', 'INVALID_PAYLOAD', 400]);
    }
  });
});
