// Every invalid request has a documented answer, reaches nobody and closes nothing (docs/errors.md).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { conversationHistory, filled, makeGroup, people, settle } from '../lib/chat.mjs';
import { assertRefusal, closeAfter, connect, open } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { PNG, tryUpload, upload } from '../lib/files.mjs';
import { useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const NOWHERE = '01900000-0000-7000-8000-000000000000';
const LONG = 'x'.repeat(201);

/** `[event, payload, code]`; `$bob`, `$group`, `$message` … stand for things that the test makes first. */
const REFUSED = [
  ['send_direct_message', null, 'INVALID_PAYLOAD'],
  ['send_direct_message', 'hello', 'INVALID_PAYLOAD'],
  ['send_direct_message', ['$bob', 'hello'], 'INVALID_PAYLOAD'],
  ['send_direct_message', { content: 'for whom?' }, 'INVALID_PAYLOAD'],
  ['send_direct_message', { recipientId: {}, content: 'x' }, 'INVALID_PAYLOAD'],
  ['send_direct_message', { recipientId: 1.5, content: 'x' }, 'INVALID_PAYLOAD'],
  ['send_direct_message', { recipientId: -1, content: 'x' }, 'INVALID_PAYLOAD'],
  ['send_direct_message', { recipientId: '', content: 'x' }, 'INVALID_PAYLOAD'],
  ['send_direct_message', { recipientId: 'with\nbreak', content: 'x' }, 'INVALID_PAYLOAD'],
  ['send_direct_message', { recipientId: 'y'.repeat(201), content: 'x' }, 'INVALID_PAYLOAD'],
  ['send_direct_message', { recipientId: '$bob' }, 'INVALID_PAYLOAD'],
  ['send_direct_message', { recipientId: '$bob', content: '' }, 'INVALID_PAYLOAD'],
  ['send_direct_message', { recipientId: '$bob', content: 7 }, 'INVALID_PAYLOAD'],
  ['send_direct_message', { recipientId: '$bob', content: 'nul \0 inside' }, 'INVALID_PAYLOAD'],
  ['send_direct_message', { recipientId: '$bob', content: 'half a pair \ud83d' }, 'INVALID_PAYLOAD'],
  ['send_direct_message', { recipientId: '$bob', content: 'x', clientMessageId: '' }, 'INVALID_PAYLOAD'],
  ['send_direct_message', { recipientId: '$bob', content: 'x', clientMessageId: LONG }, 'INVALID_PAYLOAD'],
  ['send_direct_message', { recipientId: '$bob', content: 'x', clientMessageId: {} }, 'INVALID_PAYLOAD'],
  ['send_direct_message', { recipientId: '$bob', file: 'photo.png' }, 'INVALID_PAYLOAD'],
  ['send_direct_message', { recipientId: '$bob', file: {} }, 'INVALID_PAYLOAD'],
  ['send_direct_message', { recipientId: '$bob', file: { url: '/uploads/unknown-unknown-unknown.png' } }, 'NOT_FOUND'],
  ['send_direct_message', { recipientId: '$bob', file: { url: '$strangers_file' } }, 'FORBIDDEN'],
  ['send_group_message', { conversationId: '$group' }, 'INVALID_PAYLOAD'],
  ['send_group_message', { content: 'where?' }, 'INVALID_PAYLOAD'],
  ['send_group_message', { conversationId: '$foreign_group', content: 'x' }, 'FORBIDDEN', 'Not a member'],
  ['send_group_message', { conversationId: '$foreign_direct', content: 'x' }, 'FORBIDDEN', 'Not a member'],
  ['mark_as_read', {}, 'INVALID_PAYLOAD'],
  ['mark_as_read', { messageId: [] }, 'INVALID_PAYLOAD'],
  ['mark_as_read', { messageId: NOWHERE }, 'NOT_FOUND', 'Message not found'],
  ['mark_as_read', { messageId: 'not even an id' }, 'NOT_FOUND', 'Message not found'],
  ['mark_as_read', { messageId: '$foreign_message' }, 'FORBIDDEN'],
  ['join_group', {}, 'INVALID_PAYLOAD'],
  ['join_group', NOWHERE, 'FORBIDDEN', 'Not a member'],
  ['join_group', 'not even an id', 'FORBIDDEN', 'Not a member'],
  ['join_group', '$foreign_group', 'FORBIDDEN', 'Not a member'],
  ['join_group', '$direct', 'FORBIDDEN', 'Not a member'],
  ['typing_start', {}, 'INVALID_PAYLOAD'],
  ['typing_start', { conversationId: '$foreign_group' }, 'FORBIDDEN'],
  ['typing_stop', { conversationId: 3.5 }, 'INVALID_PAYLOAD'],
  ['joinRoom', {}, 'INVALID_PAYLOAD'],
  ['joinRoom', '', 'INVALID_PAYLOAD'],
  ['joinRoom', LONG, 'INVALID_PAYLOAD'],
  ['joinRoom', 2 ** 53, 'INVALID_PAYLOAD'],
  ['leaveRoom', true, 'INVALID_PAYLOAD'],
  ['sendRoomMessage', { content: 'x' }, 'INVALID_PAYLOAD'],
  ['sendRoomMessage', { roomId: 'r' }, 'INVALID_PAYLOAD'],
  ['sendRoomMessage', { roomId: 'r', content: '' }, 'INVALID_PAYLOAD'],
  ['sendRoomMessage', { roomId: 'r', content: 'x', messageType: LONG }, 'INVALID_PAYLOAD'],
];

for (const database of DATABASES) {
  describe(`refused on ${database}`, () => {
    const holder = useServer({ database, env: { RATE_LIMIT_EVENTS: '0' } });

    /** Alice talks with Bob; strangers have a group, a direct conversation and a file. */
    async function cast(test) {
      const { server } = holder;
      const [alice, bob, eve, eva] = await people(test, server, ['alice', 'bob', 'eve', 'eva']);
      const group = await makeGroup(server, alice, [bob]);
      const foreignGroup = await makeGroup(server, eve, [eva]);
      const foreign = (await eve.succeed('send_direct_message', { recipientId: eva.user.id, content: 'psst' })).message;
      const { conversationId: direct } = (await alice.succeed('send_direct_message', { recipientId: bob.user.id, content: 'hello' })).message;
      const made = {
        bob: bob.user.id, group, direct, foreign_group: foreignGroup, foreign_direct: foreign.conversationId, foreign_message: foreign._id,
        strangers_file: (await upload(server, eve.user.token, 'secret.png', PNG)).file.url,
      };
      await bob.next('new_message');
      await eva.next('new_message');
      return { alice, bob, eva, made };
    }

    it('with an ack in the ack, without one as one error packet; nobody sees it, nothing is stored, the socket goes on', async (test) => {
      const { alice, bob, eva, made } = await cast(test);
      for (const [event, payload, code, sentence] of REFUSED) {
        const what = `${event} ${JSON.stringify(payload)}`;
        const answer = await alice.ask(event, filled(payload, made));
        assert.equal(answer.success, false, what);
        assertRefusal(answer, code);
        if (sentence) assert.equal(answer.error, sentence, what);

        alice.tell(event, filled(payload, made));
        const error = await alice.next('error');
        assertRefusal(error, code);
        if (event !== 'sendRoomMessage') assert.equal(error.message, error.error, what);
        else assert.equal(error.message, 'Failed to send message', what);
      }
      assert.deepEqual(alice.told('error'), [], 'one packet per fault');
      await settle(alice, bob);
      for (const client of [bob, eva]) {
        for (const event of ['new_message', 'new_group_message', 'user_typing', 'message_read', 'user_joined_group', 'roomMessage']) {
          assert.deepEqual(client.told(event), [], event);
        }
      }
      const stored = await conversationHistory(holder.server, bob.user.token, made.direct);
      assert.equal(stored.length, 2, 'the first message and the marker');
      assert.deepEqual(await conversationHistory(holder.server, bob.user.token, made.group), []);
      assert.ok(alice.socket.connected);
    });

    it('what always succeeds does so for nonsense too', async (test) => {
      const [alice] = await people(test, holder.server, ['alice']);
      assert.deepEqual(await alice.ask('leave_group', NOWHERE), { success: true });
      assert.deepEqual(await alice.ask('leave_group', 'no id'), { success: true });
    });

    it('unknown events are ignored, unknown fields too', async (test) => {
      const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
      alice.tell('make_coffee', { sugar: 2 });
      await alice.succeed('send_direct_message', { recipientId: bob.user.id, content: 'x', sugar: 2, file: null, clientMessageId: null });
      await bob.next('new_message');
      assert.deepEqual(alice.told('error'), []);
    });

    it('the same clientMessageId for something else', async (test) => {
      const [alice, bob, carol] = await people(test, holder.server, ['alice', 'bob', 'carol']);
      const sent = { recipientId: bob.user.id, content: 'one', clientMessageId: 'c-1' };
      await alice.succeed('send_direct_message', sent);
      await alice.refused('CONFLICT', 'send_direct_message', { ...sent, content: 'two' });
      await alice.refused('CONFLICT', 'send_direct_message', { ...sent, recipientId: carol.user.id });
      await settle(alice, carol);
      assert.deepEqual(carol.told('new_message'), []);
      assert.deepEqual(bob.told('new_message').map(({ message }) => message.content), ['one']);
    });
  });
}

describe('refused for size or number', () => {
  const holder = useServer({ env: { MAX_MESSAGE_LENGTH: '10', MAX_ROOMS_PER_SOCKET: '2', MAX_UPLOAD_SIZE: '1KB', MAX_SOCKETS_PER_USER: '2' } });

  it('TOO_LARGE: a text, counted in Unicode scalar values', async (test) => {
    const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
    const send = (content) => ['send_direct_message', { recipientId: bob.user.id, content }];
    await alice.succeed(...send('\u{1F44B}'.repeat(10)));
    await alice.refused('TOO_LARGE', ...send('x'.repeat(11)));
    await alice.refused('TOO_LARGE', 'sendRoomMessage', { roomId: 'r', content: 'x'.repeat(11) });
  });

  it('TOO_LARGE: a third room', async (test) => {
    const [alice] = await people(test, holder.server, ['alice']);
    for (const room of ['one', 'two', 'two']) await alice.succeed('joinRoom', room);
    await alice.refused('TOO_LARGE', 'joinRoom', 'three');
    await alice.succeed('leaveRoom', 'one');
    await alice.succeed('joinRoom', 'three');
  });

  it('a third socket of a user is closed before it is admitted, and the others stay', async (test) => {
    const user = newUser('collector');
    const [first, second] = [await connect(holder.server, user), await connect(holder.server, user)];
    const third = open(holder.server, { auth: { token: user.token } });
    closeAfter(test, first, second, third);
    await within(LIMIT, 'the close', new Promise((resolve) => third.socket.io.on('close', resolve)));
    assert.equal(third.socket.connected, false);
    await first.succeed('leave_group', 'nothing');
    second.close();
    closeAfter(test, await connect(holder.server, user));
  });

  it('files: none, too large, not of its kind, of no known kind', async (test) => {
    const [alice] = await people(test, holder.server, ['alice']);
    const { token } = alice.user;
    const cases = [
      [413, 'TOO_LARGE', 'File too large', await tryUpload(holder.server, token, 'big.png', Buffer.concat([PNG, Buffer.alloc(2_000)]))],
      [415, 'UNSUPPORTED_TYPE', 'Invalid file type', await tryUpload(holder.server, token, 'page.html', Buffer.from('<b>hi</b>'))],
      [415, 'UNSUPPORTED_TYPE', 'Invalid file type', await tryUpload(holder.server, token, 'fake.png', Buffer.from('<b>hi</b>'), 'image/png')],
      [400, 'INVALID_PAYLOAD', 'No file', await holder.server.api('POST', '/api/upload', { token, body: new FormData() })],
    ];
    for (const [status, code, error, answer] of cases) {
      assert.deepEqual([answer.status, answer.body], [status, { success: false, error, message: error, code }]);
    }
  });
});

describe('refused for haste', () => {
  const holder = useServer({ env: { RATE_LIMIT_EVENTS: '5', RATE_LIMIT_BURST: '5' } });

  it('RATE_LIMITED once the burst is spent and fifty wait; those that wait are all sent, in order', async (test) => {
    const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
    const asked = 60;
    const answers = await Promise.all(Array.from({ length: asked }, (_, index) => (
      alice.askWithin(60_000, 'send_direct_message', { recipientId: bob.user.id, content: `${index}` })
    )));
    const refused = answers.filter(({ success }) => !success);
    refused.forEach((answer) => assertRefusal(answer, 'RATE_LIMITED'));
    assert.ok(refused.length >= 1 && refused.length <= 5, `${refused.length} of ${asked} refused`);
    const sent = answers.flatMap(({ success }, index) => (success ? [`${index}`] : []));
    await bob.next('new_message', ({ message }) => message.content === sent.at(-1));
    const seen = bob.told('new_message').map(({ message }) => message.content);
    assert.deepEqual([...seen, sent.at(-1)], sent);
  });
});
