// A slow reader harms only itself (P8).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { makeGroup, people, settle } from '../lib/chat.mjs';
import { connect } from '../lib/client.mjs';
import { stuckReader } from '../lib/raw.mjs';
import { Reader } from '../lib/reader.mjs';
import { useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, pipelined, within } from '../lib/wait.mjs';

// One dialect: a client that receives all of them has four times as much to read, and may itself be too slow.
const dialect = 'messenger';

/**
 * Returns a function that sends to the group and waits until `friend` has received it: on a busy machine, friends who
 * are not waited for fall behind and are cut, too.
 */
function speaker(sender, friend, conversationId) {
  const waiting = new Map();
  friend.socket.on('new_group_message', ({ message }) => waiting.get(message.content)?.());
  return async (content) => {
    const heard = new Promise((resolve) => waiting.set(content, resolve));
    const answer = await sender.succeed('send_group_message', { conversationId, content });
    await within(LIMIT, 'the friend to hear it', heard);
    waiting.delete(content);
    return answer;
  };
}

describe('a stuck reader', () => {
  const holder = useServer({ env: { RATE_LIMIT_EVENTS: '0', WRITE_TIMEOUT: '2s', PRESENCE_GRACE: '1s' } });

  it('does not slow the others, is cut, and finds all of it at its next connect', async (test) => {
    const { server } = holder;
    const [alice, bob, stuck] = await people(test, server, ['alice', 'bob', 'stuck'], { dialect });
    const group = await makeGroup(server, alice, [bob, stuck]);
    stuck.close();
    await alice.next('user_offline', ({ userId }) => userId === stuck.user.id);
    const reader = await stuckReader(server, stuck.user.token);
    test.after(() => reader.destroy());
    await alice.next('user_online', ({ userId }) => userId === stuck.user.id);

    // More than the machine's socket buffers and the outbox hold.
    const [count, content] = [1_500, 'x'.repeat(20_000)];
    const speak = speaker(alice, bob, group);
    const sent = await pipelined(count, 20, (index) => speak(`${index} ${content}`));
    await settle(alice, bob);
    assert.deepEqual(bob.told('new_group_message').map(({ message }) => message._id), sent.map(({ message }) => message._id));
    await alice.next('user_offline', ({ userId }) => userId === stuck.user.id);

    const back = await connect(server, stuck.user, { dialect });
    test.after(() => back.close());
    await back.holds(count, ({ event }) => event === 'new_group_message');
    await settle(alice, back);
    const missed = back.told('new_group_message').map(({ message }) => message._id);
    assert.deepEqual(missed, sent.map(({ message }) => message._id), 'it has proven nothing');
  });
});

describe('a stock client whose process is frozen', () => {
  // Neither a blocked write nor the heartbeat cuts it.
  const holder = useServer({ env: { RATE_LIMIT_EVENTS: '0', OUTBOX_BYTES: '256KB', PRESENCE_GRACE: '1s', WRITE_TIMEOUT: '10m', PING_INTERVAL: '10m' } });

  it('is cut when its outbox is full, slows nobody, and goes on with exactly what it missed', async (test) => {
    const { server } = holder;
    const [alice, bob] = await people(test, server, ['alice', 'bob'], { dialect });
    const reader = await Reader.start(server, newUser('reader'), { dialect });
    test.after(() => reader.close());
    const group = await makeGroup(server, alice, [bob, reader]);
    let sent = 0;
    const speak = speaker(alice, bob, group);
    const say = (count, content) => pipelined(count, 4, () => speak(`${++sent} ${content}`));

    await say(10, 'while all is well');
    await reader.toldUpTo('10');
    reader.freeze();
    // In addition to the outbox, the machine's socket buffers have to be full.
    const isCut = () => alice.told('user_offline').some(({ userId }) => userId === reader.user.id);
    while (!isCut() && sent < 3_000) await say(20, 'x'.repeat(20_000));
    assert.ok(isCut(), `after ${sent} messages`);
    await say(10, 'while it is away');
    reader.thaw();
    await say(10, 'while it comes back');

    await settle(alice, bob);
    const told = bob.told('new_group_message').map(({ message }) => message.content.split(' ', 1)[0]);
    assert.deepEqual([...told].sort((one, other) => one - other), Array.from({ length: sent }, (_, index) => String(index + 1)));
    const { words, returns } = await reader.toldUpTo(told.at(-1));
    assert.equal(returns.length, 1);
    assert.deepEqual(words, told);
  });
});
