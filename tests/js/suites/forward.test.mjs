// Events of an app's own (FORWARD_URL): what no dialect knows is handed on to the operator's server, which answers.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Backend, SECRET, example, latch, nonce } from '../lib/backend.mjs';
import { people } from '../lib/chat.mjs';
import { closeAfter, connect } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { Server } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const DIALECTS = [undefined, 'assistant', 'conversation', 'listing', 'agent', 'messenger'];

/** Starts a server that hands events on, for the enclosing `describe`. */
function useForwarding(options = {}) {
  const holder = {};
  before(async () => {
    holder.backend = await Backend.start({ answer: (...asked) => holder.answer(...asked) });
    const env = { RATE_LIMIT_EVENTS: '0', ...holder.backend.forward(), ...options.env };
    holder.server = await Server.start({ ...options, env });
  });
  after(async () => {
    await holder.server?.remove();
    await holder.backend?.stop();
  });
  return holder;
}

/** Returns all arguments of an ack. */
const ackOf = (client, event, ...args) => within(LIMIT, `the ack of ${event}`, new Promise((resolve) => {
  client.socket.emit(event, ...args, (...answers) => resolve(answers));
}));

for (const database of DATABASES) {
  describe(`forwarded events on ${database}`, () => {
    const holder = useForwarding({ database });

    for (const dialect of DIALECTS) {
      it(`are acked and emit others, for a client of ${dialect ?? 'no dialect'}`, async (test) => {
        const { server, backend } = holder;
        const [ann, bob] = [await connect(server, newUser('ann'), { dialect }), await connect(server, newUser('bob'), { dialect })];
        closeAfter(test, ann, bob);
        holder.answer = ({ data }) => ({
          ack: [{ sold: data.args[0].item }, 1.5, 'done'],
          emit: [{ to: { user: bob.user.id }, event: 'auction:sold', data: { by: data.user.id } }],
        });
        const answers = await ackOf(ann, 'auction:bid', { item: 'vase', price: 7 }, [1, null], 'x');
        assert.deepEqual(answers, [{ sold: 'vase' }, 1.5, 'done']);
        assert.deepEqual(await bob.next('auction:sold'), { by: ann.user.id });
        const { type, data } = backend.asked.at(-1);
        assert.deepEqual([type, data], ['event', {
          event: 'auction:bid', args: [{ item: 'vase', price: 7 }, [1, null], 'x'], socketId: ann.socket.id,
          user: { id: ann.user.id, username: ann.user.username, role: 'user' },
        }]);
        // An ack that is asked for comes, whatever the answer says of it.
        holder.answer = () => ({});
        assert.deepEqual(await ackOf(ann, 'auction:look'), []);
        holder.answer = () => '';
        assert.deepEqual(await ackOf(ann, 'auction:look'), []);
      });
    }
  });
}

describe('forwarded events', () => {
  const holder = useForwarding({ env: { FORWARD_TIMEOUT: '500ms' } });

  it('keep the order of their socket, and wait for nobody else', async (test) => {
    const { server, backend } = holder;
    const [ann, bob] = await people(test, server, ['ann', 'bob']);
    const slow = latch();
    holder.answer = async ({ data }) => {
      if (data.args[0] === 'slow') await slow.opened;
      return { ack: [data.args[0]] };
    };
    const acked = [];
    const send = (word) => ackOf(ann, 'app:step', word).then(([answer]) => acked.push(answer));
    const before = backend.asked.length;
    const sends = ['slow', 'second', 'third'].map(send);
    await backend.holds(before + 1);
    assert.deepEqual(await ackOf(bob, 'app:step', 'meanwhile'), ['meanwhile']);
    assert.deepEqual([acked, backend.asked.length], [[], before + 2]);
    slow.open();
    await Promise.all(sends);
    assert.deepEqual(acked, ['slow', 'second', 'third']);
  });

  it('bring binary arguments as base64, and numbers to the digit', async (test) => {
    const { backend } = holder;
    const [ann] = await people(test, holder.server, ['ann']);
    holder.answer = () => ({ ack: ['got it'] });
    assert.deepEqual(await ackOf(ann, 'app:file', { name: 'a', data: Buffer.from([0, 255]) }, Buffer.from('zwei')), ['got it']);
    assert.deepEqual(backend.asked.at(-1).data.args, [{ name: 'a', data: { _base64: 'AP8=' } }, { _base64: 'endlaQ==' }]);
  });

  it('leave the events of dialects alone', async (test) => {
    const { server, backend } = holder;
    const [ann, bob] = await people(test, server, ['ann', 'bob']);
    const before = backend.asked.length;
    await ann.succeed('send_direct_message', { recipientId: bob.user.id, content: nonce() });
    await bob.next('new_message');
    assert.equal(backend.asked.length, before);
  });

  const closeLater = (response) => { response.on('error', () => {}); };
  /** What the operator's server does → how it answers. */
  const BROKEN = {
    rubbish: () => 'ok',
    'an ack that is no list': () => ({ ack: 7 }),
    500: (_, response) => void response.writeHead(500).end('{}'),
    nothing: (_, response) => closeLater(response),
    'a redirect': (_, response) => void response.writeHead(302, { location: holder.backend.url }).end(),
    'more than 64 KB': () => ({ ack: ['x'.repeat(2 ** 16)] }),
    'an event for nobody': () => ({ emit: [{ to: { all: true }, event: 'app:seen' }, { to: {}, event: 'app:wrong' }] }),
    'a reserved event': () => ({ emit: [{ to: { all: true }, event: 'disconnect' }] }),
  };

  for (const [what, answer] of Object.entries(BROKEN)) {
    it(`fail by ${what}: FORWARD_FAILED, in the ack or as an error`, async (test) => {
      const [ann] = await people(test, holder.server, ['ann']);
      holder.answer = answer;
      await ann.refused('FORWARD_FAILED', 'app:do');
      ann.tell('app:do', { without: 'an ack' });
      const { code, event, error } = await ann.next('error');
      assert.deepEqual([code, event, error], ['FORWARD_FAILED', 'app:do', 'The event could not be handed on, try again']);
      assert.deepEqual(ann.told('app:seen'), [], 'all are emitted, or none');
      holder.answer = () => ({ ack: ['back'] });
      assert.deepEqual(await ackOf(ann, 'app:do'), ['back']);
    });
  }

  it('are bounded where they wait, and counted', async (test) => {
    const { server } = holder;
    const [ann, bob] = await people(test, server, ['ann', 'bob']);
    const goOn = latch();
    holder.answer = async () => {
      await goOn.opened;
      return { ack: [] };
    };
    const answers = Array.from({ length: 102 }, () => ackOf(ann, 'app:flood'));
    const [last] = await answers.at(-1);
    assert.deepEqual([last.success, last.code], [false, 'RATE_LIMITED']);
    assert.ok(last.retryAfterMs > 0);
    goOn.open();
    holder.answer = () => ({ ack: ['free'] });
    assert.deepEqual(await ackOf(bob, 'app:do'), ['free'], 'nobody else waits');
    await Promise.all(answers);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    assert.match(metrics, /^parlance_forwarded_events_total\{outcome="answered"\} [1-9]/m);
    assert.match(metrics, /^parlance_forwarded_events_total\{outcome="failed"\} [1-9]/m);
    assert.match(metrics, /^parlance_forward_waiting_events 0$/m);
  });

  it('are limited like others', async (test) => {
    const server = await Server.start({ env: { ...holder.backend.forward(), RATE_LIMIT_EVENTS: '1', RATE_LIMIT_BURST: '2' } });
    test.after(() => server.remove());
    const [ann] = await people(test, server, ['ann']);
    holder.answer = () => ({ ack: ['ok'] });
    // A burst, and as many as may wait: then it is too much.
    const answers = await Promise.all(Array.from({ length: 60 }, () => ackOf(ann, 'app:do')));
    const [first, last] = [answers.at(0), answers.at(-1)].map(([answer]) => answer.code ?? answer);
    assert.deepEqual([first, last], ['ok', 'RATE_LIMITED']);
  });
});

describe('without FORWARD_URL', () => {
  it('STRICT_EVENTS means what it meant', async (test) => {
    const server = await Server.start({ env: { STRICT_EVENTS: 'true' } });
    test.after(() => server.remove());
    const [ann] = await people(test, server, ['ann']);
    await ann.refused('UNKNOWN_EVENT', 'app:do');
    ann.tell('app:do');
    assert.equal((await ann.next('error')).code, 'UNKNOWN_EVENT');
  });

  it('a FORWARD_URL without its FORWARD_SECRET ends the start', async () => {
    await assert.rejects(Server.start({ env: { FORWARD_URL: 'http://127.0.0.1:9' } }), /FORWARD_SECRET: must be set where FORWARD_URL is/);
  });
});

for (const name of ['auction.mjs', 'auction.py']) {
  it(`examples/backend/${name} takes bids`, async (test) => {
    const url = await example(test, name, { FORWARD_SECRET: SECRET });
    const server = await Server.start({ env: { FORWARD_URL: url, FORWARD_SECRET: SECRET } });
    test.after(() => server.remove());
    const [ann, bob] = await people(test, server, ['ann', 'bob']);
    await bob.succeed('joinRoom', 'auction-vase');
    assert.deepEqual(await ackOf(ann, 'auction:bid', { item: 'vase', price: 7 }), [{ accepted: true }]);
    assert.deepEqual(await bob.next('auction:leads'), { item: 'vase', price: 7, by: ann.user.username });
    assert.deepEqual(await ackOf(bob, 'auction:bid', { item: 'vase', price: 6 }), [{ accepted: false, reason: 'too low' }]);
  });
}
