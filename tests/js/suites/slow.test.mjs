// A slow reader harms itself only (P8).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { makeGroup, people, settle } from '../lib/chat.mjs';
import { connect } from '../lib/client.mjs';
import { stuckReader } from '../lib/raw.mjs';
import { useServer } from '../lib/server.mjs';
import { pipelined } from '../lib/wait.mjs';

describe('a stuck reader', () => {
  const holder = useServer({ env: { RATE_LIMIT_EVENTS: '0', WRITE_TIMEOUT: '2s', PRESENCE_GRACE: '1s' } });

  it('does not slow the others, is cut, and finds all of it at its next connect', async (test) => {
    const { server } = holder;
    const [alice, bob, stuck] = await people(test, server, ['alice', 'bob', 'stuck']);
    const group = await makeGroup(server, alice, [bob, stuck]);
    stuck.close();
    await alice.next('user_offline', ({ userId }) => userId === stuck.user.id);
    const reader = await stuckReader(server, stuck.user.token);
    test.after(() => reader.destroy());
    await alice.next('user_online', ({ userId }) => userId === stuck.user.id);

    // More than what the machine's socket buffers and the outbox hold.
    const [count, content] = [1_500, 'x'.repeat(20_000)];
    const sent = await pipelined(count, 20, (index) => alice.succeed('send_group_message', { conversationId: group, content: `${index} ${content}` }));
    await settle(alice, bob);
    assert.deepEqual(bob.told('new_group_message').map(({ message }) => message._id), sent.map(({ message }) => message._id));
    await alice.next('user_offline', ({ userId }) => userId === stuck.user.id);

    const back = await connect(server, stuck.user);
    test.after(() => back.close());
    await settle(alice, back);
    const missed = back.told('new_group_message').map(({ message }) => message._id);
    assert.deepEqual(missed, sent.map(({ message }) => message._id), 'it has proven nothing');
  });
});
