// Expired data is deleted, and the rest stays consistent.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { assertHttpError, conversationHistory, history } from '../lib/chat.mjs';
import { closeAfter, connect } from '../lib/client.mjs';
import { DATABASES, runSql } from '../lib/database.mjs';
import { PNG, upload } from '../lib/files.mjs';
import { Server } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const DAYS = 86_400_000;

/** Waits until `look` returns something. */
async function until(what, look) {
  let gone = false;
  const looking = (async () => {
    while (!gone) {
      const found = await look();
      if (found) return found;
      await new Promise(setImmediate);
    }
  })();
  try {
    return await within(LIMIT, what, looking);
  } finally {
    gone = true;
  }
}

for (const database of DATABASES) {
  describe(`retention on ${database}`, () => {
    it('of messages, notifications and uploads that nothing names', async (test) => {
      const server = await Server.start({ database, env: { RATE_LIMIT_EVENTS: '0' } });
      test.after(() => server.remove());
      const [ann, bob, eve] = ['ann', 'bob', 'eve'].map((name) => newUser(name));
      const made = async (user, body) => {
        const { status, body: { conversation } } = await server.api('POST', '/api/conversations', { token: user.token, body });
        assert.equal(status, 201);
        return conversation.id;
      };
      const say = async (user, conversation, content, rest = {}) => {
        const { status, body } = await server.api('POST', `/api/conversations/${conversation}/messages`, { token: user.token, body: { content, ...rest } });
        assert.equal(status, 201, JSON.stringify(body));
        return body.message;
      };
      for (const user of [ann, bob, eve]) await server.api('GET', '/api/auth/me', { token: user.token });
      const direct = await made(ann, { type: 'direct', participantId: bob.id });
      const group = await made(ann, { type: 'group', name: 'Old friends', participants: [bob.id, eve.id] });
      const files = {};
      for (const name of ['old', 'new', 'unnamed', 'picture', 'text', 'fresh']) files[name] = (await upload(server, ann.token, `${name}.png`, PNG)).file;
      const firstOld = await say(ann, direct, 'old 1', { clientMessageId: 'a name' });
      await say(ann, direct, 'old 2', { file: files.old });
      for (let number = 0; number < 210; number += 1) await say(number % 2 ? ann : bob, direct, `old and more ${number}`);
      const firstNew = await say(ann, direct, 'new 1', { file: files.new });
      await say(ann, direct, `new 2, see ${server.url}${files.text.url}.`);
      await say(bob, group, 'old in the group');
      await server.api('PATCH', '/api/users/me', { token: ann.token, body: { avatar: files.picture.url } });
      const count = (table) => Number(runSql(server, `SELECT 'count ' || count(*) FROM ${table}`).match(/count (\d+)/)[1]);
      await until('the notifications', () => count('notifications') >= 3);
      assert.equal((await server.end()).code, 0);

      // Makes some of it 40 days older.
      const early = Date.now() - 40 * DAYS;
      runSql(server, `UPDATE messages SET created_at = ${early} + seq, updated_at = ${early} + seq WHERE content LIKE 'old%'`);
      const oldFiles = ['old', 'new', 'unnamed', 'picture', 'text'].map((name) => `'${files[name].url}'`);
      runSql(server, `UPDATE uploads SET uploaded_at = ${early} WHERE url IN (${oldFiles})`);
      runSql(server, `UPDATE notifications SET created_at = ${early} WHERE user_id = '${eve.id}'`);
      runSql(server, `INSERT INTO rooms VALUES ('room:hall', 7, 1000000, ${early}, ${early})`);
      runSql(server, `INSERT INTO messages (id, place, seq, position, sender, created_at, updated_at, role, message_type, content) VALUES ('01900000-0000-7000-8000-000000000001', 'room:hall', 7, 1000000, '${bob.id}', ${early}, ${early}, 'user', 'text', 'old in the hall')`);
      runSql(server, `INSERT INTO message_reads VALUES ('${firstOld._id}', '${bob.id}', ${early})`);
      const notificationsBefore = count('notifications');
      const toEve = Number(runSql(server, `SELECT 'count ' || count(*) FROM notifications WHERE user_id = '${eve.id}'`).match(/count (\d+)/)[1]);
      assert.ok(toEve > 0 && toEve < notificationsBefore);

      server.env = { ...server.env, RETAIN_MESSAGES: '30d', RETAIN_NOTIFICATIONS: '30d', RETAIN_ORPHANS: '1d', RUST_LOG: 'info' };
      await server.launch();
      await until('the end of the round', () => server.log.includes('deleted expired rows what=uploads count=1'));
      assert.match(server.log, /deleted expired rows what=messages count=214\n/);

      const left = await conversationHistory(server, bob.token, direct);
      assert.deepEqual(left.map(({ content }) => content.slice(0, 5)), ['new 1', 'new 2']);
      assert.deepEqual(left.map(({ seq }) => seq), [213, 214], 'they keep their places');
      assert.deepEqual(await history(server, bob.token, '/api/rooms/hall/messages'), []);
      assert.equal(count('message_reads'), 0);
      const { body: { conversations } } = await server.api('GET', '/api/conversations', { token: bob.token });
      const shown = Object.fromEntries(conversations.map((conversation) => [conversation.id, conversation]));
      assert.equal(shown[direct].unreadCount, 2);
      assert.match(shown[direct].lastMessage.content, /^new 2/);
      assert.equal(shown[group].lastMessage, null);
      assert.equal(shown[group].unreadCount, 0);
      const { body: copies } = await server.api('POST', '/api/messages/sync', { token: bob.token, body: { otherUserId: ann.id } });
      assert.equal(copies.count, 2);

      // Deleted messages cannot be read or changed, and their ids are free again.
      assertHttpError(await server.api('PATCH', `/api/messages/${firstOld._id}`, { token: ann.token, body: { content: 'x' } }), 404, 'NOT_FOUND');
      assertHttpError(await server.api('DELETE', `/api/messages/${firstOld._id}`, { token: ann.token }), 404, 'NOT_FOUND');
      const again = await say(ann, direct, 'after it all', { clientMessageId: 'a name' });
      assert.equal(again.seq, 215);
      assert.notEqual(again._id, undefined);

      // A user who was away gets the rest, in order.
      const client = await connect(server, bob);
      closeAfter(test, client);
      const caught = [];
      for (let number = 0; number < 3; number += 1) caught.push((await client.next('new_message')).message);
      assert.deepEqual(caught.map(({ _id }) => _id), [firstNew._id, left[1]._id, again._id]);
      assert.deepEqual(await client.succeed('mark_as_read', { messageId: firstNew._id }).then(() => client.told('new_message')), []);

      for (const name of ['new', 'picture', 'text', 'fresh']) {
        assert.equal((await server.api('GET', files[name].url)).status, 200, name);
      }
      for (const name of ['old', 'unnamed']) {
        await until(`${name} is gone`, () => !existsSync(join(server.folder, files[name].url)));
        assert.equal((await server.api('GET', files[name].url)).status, 404, name);
      }
      assert.equal(count('notifications') >= notificationsBefore - toEve, true);
      const { body: { notifications } } = await server.api('GET', '/api/notifications', { token: eve.token });
      assert.deepEqual(notifications, []);
    });
  });
}

describe('without retention', () => {
  it('nothing goes', async (test) => {
    const server = await Server.start({});
    test.after(() => server.remove());
    runSql(server, "INSERT INTO rooms VALUES ('room:hall', 1, 1, 1, 1)");
    runSql(server, "INSERT INTO messages (id, place, seq, position, sender, created_at, updated_at, role, message_type, content) VALUES ('01900000-0000-7000-8000-000000000001', 'room:hall', 1, 1, 'model', 1, 1, 'user', 'text', 'of 1970')");
    await server.end();
    await server.launch();
    const messages = await history(server, newUser().token, '/api/rooms/hall/messages');
    assert.equal(messages.length, 1);
  });
});
