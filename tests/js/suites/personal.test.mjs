// A user exports all personal data and deletes the account: it is gone, messages to others stay.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { assertHttpError, conversationHistory, makeGroup } from '../lib/chat.mjs';
import { closeAfter, connect, refusal } from '../lib/client.mjs';
import { begin, refused, succeed } from '../lib/command.mjs';
import { DATABASES, runSql } from '../lib/database.mjs';
import { PNG, upload } from '../lib/files.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';

const KEY = 'the-key-of-a-server';
const PASSWORD = 'correct horse';
const byKey = { headers: { 'x-api-key': KEY } };

/** An account with a password: `{id, username, email, token}`. */
async function register(server, name) {
  const { username } = newUser(name);
  const body = { username, email: `${username}@example.org`, password: PASSWORD, fullName: `Full ${username}` };
  const { status, body: answer } = await server.api('POST', '/api/auth/register', { body });
  assert.equal(status, 201, JSON.stringify(answer));
  return { ...answer.user, token: answer.token };
}

const direct = async (server, user, other) => {
  const { body } = await server.api('POST', '/api/conversations', { token: user.token, body: { type: 'direct', participantId: other.id } });
  return body.conversation.id;
};

async function say(server, user, conversation, content, rest = {}) {
  const { status, body } = await server.api('POST', `/api/conversations/${conversation}/messages`, { token: user.token, body: { content, ...rest } });
  assert.equal(status, 201, JSON.stringify(body));
  return body.message;
}

const linesOf = (text) => text.trimEnd().split('\n').map((line) => Object.entries(JSON.parse(line))[0]);
const of = (lines, kind) => lines.filter(([name]) => name === kind).map(([, value]) => value);

/** Makes Ann with everything that a user can have, and friends. */
async function world(server) {
  const [ann, bob, eve] = [await register(server, 'ann'), await register(server, 'bob'), await register(server, 'eve')];
  const { file } = await upload(server, ann.token, 'mine.png', PNG);
  await server.api('PATCH', '/api/users/me', { token: ann.token, body: { avatar: file.url } });
  const pair = await direct(server, ann, bob);
  await say(server, ann, pair, 'Ann to Bob 🦊', { file });
  await say(server, bob, pair, 'Bob to Ann');
  const group = await makeGroup(server, { user: ann }, [{ user: bob }, { user: eve }]);
  await say(server, ann, group, 'Ann to all');
  const alone = await makeGroup(server, { user: ann }, [{ user: eve }], 'Soon alone');
  await server.api('DELETE', `/api/conversations/${alone}/participants/${eve.id}`, { token: eve.token });
  await server.api('POST', '/api/notifications', { ...byKey, body: { userId: ann.id, type: 'order', message: 'On its way' } });
  return { ann, bob, eve, file, pair, group, alone };
}

/** Asserts what the others see once Ann is gone. */
async function assertGone(server, { ann, bob, eve, file, pair, group, alone }) {
  assertHttpError(await server.api('GET', '/api/auth/me', { token: ann.token }), 401, 'USER_NOT_FOUND');
  assert.match((await refusal(server, { auth: { token: ann.token } })).message, /User not found/i);
  assertHttpError(await server.api('POST', '/api/auth/login', { body: { login: ann.username, password: PASSWORD } }), 401, 'INVALID_CREDENTIALS');
  assertHttpError(await server.api('POST', '/api/auth/login', { body: { login: ann.email, password: PASSWORD } }), 401, 'INVALID_CREDENTIALS');
  const found = await server.api('GET', `/api/users?query=${ann.username}`, { token: bob.token });
  assert.deepEqual(found.body.users, []);

  const messages = await conversationHistory(server, bob.token, pair);
  assert.deepEqual(messages.map(({ content }) => content), ['Ann to Bob 🦊', 'Bob to Ann']);
  assert.deepEqual(messages[0].sender, { _id: ann.id, username: 'Deleted user', avatar: null });
  assert.equal((await server.api('GET', file.url)).status, 200, 'a file that was sent to others');
  const { body: { conversation } } = await server.api('GET', `/api/conversations/${group}`, { token: bob.token });
  assert.deepEqual(conversation.participants.map((member) => member.id ?? member._id ?? member), [bob.id, eve.id]);
  assert.equal(conversation.admin?.id ?? conversation.admin, bob.id, 'the longest-standing member');
  assertHttpError(await server.api('POST', '/api/conversations', { token: bob.token, body: { type: 'direct', participantId: ann.id } }), 404, 'NOT_FOUND');

  const rows = (sql) => runSql(server, sql);
  for (const [table, column] of [['notifications', 'user_id'], ['uploads', 'owner'], ['conversation_names', 'owner']]) {
    assert.match(rows(`SELECT 'count ' || count(*) FROM ${table} WHERE ${column} = '${ann.id}'`), /count 0/, table);
  }
  assert.match(rows(`SELECT 'count ' || count(*) FROM conversations WHERE id = '${alone}'`), /count 0/);
  const row = rows(`SELECT username, email, email_key, password_hash, full_name, avatar, last_seen, search_text FROM users WHERE id = '${ann.id}'`);
  assert.match(row, /Deleted user/);
  for (const trace of [ann.username, 'argon2', 'example.org', 'uploads']) assert.ok(!row.includes(trace), trace);
}

for (const database of DATABASES) {
  describe(`personal data on ${database}`, () => {
    const holder = useServer({ database, env: { API_KEYS: KEY, RATE_LIMIT_EVENTS: '0', RATE_LIMIT_LOGINS: '0' } });

    it('is given to its user whole, and nothing of others', async () => {
      const { server } = holder;
      const { ann, bob, file, pair, group } = await world(server);
      const response = await fetch(`${server.url}/api/users/me/export`, { headers: { authorization: `Bearer ${ann.token}` } });
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('content-type'), 'application/x-ndjson');
      assert.equal(response.headers.get('cache-control'), 'no-store');
      const text = await response.text();
      const lines = linesOf(text);
      const [account] = of(lines, 'account');
      assert.deepEqual([lines[0][0], account.username, account.email, account.avatar], ['account', ann.username, ann.email, file.url]);
      assert.deepEqual(of(lines, 'message').map(({ content }) => content).sort(), ['Ann to Bob 🦊', 'Ann to all']);
      assert.deepEqual(of(lines, 'message').find(({ file: sent }) => sent).file.url, file.url);
      const conversations = Object.fromEntries(of(lines, 'conversation').map((conversation) => [conversation.id, conversation]));
      assert.deepEqual(conversations[pair].with, { id: bob.id, username: bob.username });
      assert.equal(conversations[group].type, 'group');
      assert.ok(of(lines, 'notification').some(({ message }) => message === 'On its way'));
      assert.deepEqual(of(lines, 'upload').map(({ url }) => url), [file.url]);
      const [kind, end] = lines.at(-1);
      assert.deepEqual([kind, end.messages, end.uploads, end.conversations], ['end', 2, 1, 3]);
      assert.ok(!text.includes('argon2') && !text.includes('Bob to Ann'));
      const child = begin({ folder: server.folder, env: server.env }, ['user', 'export', ann.username]);
      // For messages to an absent user, a notification is stored within a second.
      const steady = (all) => all.filter(([name]) => !['notification', 'end'].includes(name));
      assert.deepEqual(steady(linesOf((await child.done).out)), steady(lines));
    });

    it('goes with its user, who says the password', async (test) => {
      const { server } = holder;
      const all = await world(server);
      const { ann, bob, group } = all;
      const [socket, other] = [await connect(server, ann), await connect(server, bob, { dialect: 'conversation' })];
      closeAfter(test, socket, other);
      const wrong = await server.api('DELETE', '/api/users/me', { token: ann.token, body: { password: 'another horse' } });
      assertHttpError(wrong, 401, 'INVALID_CREDENTIALS');
      assertHttpError(await server.api('DELETE', '/api/users/me', { token: ann.token, body: {} }), 400, 'INVALID_PAYLOAD');
      assert.equal((await server.api('GET', '/api/auth/me', { token: ann.token })).status, 200, 'nothing has happened yet');

      const { status, body } = await server.api('DELETE', '/api/users/me', { token: ann.token, body: { password: PASSWORD } });
      assert.deepEqual([status, body], [200, { success: true }]);
      await socket.disconnected();
      assert.equal(socket.told('error').at(-1).code, 'USER_NOT_FOUND');
      await other.next('conversation:updated', ({ id, participants }) => id === group && participants.length === 2);
      await assertGone(server, all);
      // And after a restart, with nothing in memory.
      await server.end();
      await server.launch();
      await assertGone(server, all);
    });

    it('goes where an administrator says so', async () => {
      const { server } = holder;
      const all = await world(server);
      const path = `/api/admin/users/${all.ann.id}`;
      assertHttpError(await server.api('DELETE', path, { token: all.bob.token }), 403, 'FORBIDDEN');
      assert.equal((await server.api('DELETE', path, byKey)).status, 200);
      await assertGone(server, all);
      assertHttpError(await server.api('DELETE', path, byKey), 404, 'NOT_FOUND');
      assertHttpError(await server.api('DELETE', '/api/admin/users/model', byKey), 404, 'NOT_FOUND');
      const notice = { userId: all.ann.id, type: 'order', message: 'Too late' };
      assertHttpError(await server.api('POST', '/api/notifications', { ...byKey, body: notice }), 404, 'NOT_FOUND');
      // The name is free again.
      const body = { username: all.ann.username, email: all.ann.email, password: PASSWORD };
      assert.equal((await server.api('POST', '/api/auth/register', { body })).status, 201);
    });

    it('goes by the command, while no server runs', async (test) => {
      const server = await Server.start({ database, env: { API_KEYS: KEY } });
      test.after(() => server.remove());
      const all = await world(server);
      const place = { folder: server.folder, env: server.env };
      assert.match(await refused(place, 'user', 'delete', all.ann.username, '--yes'), /in use/);
      await server.end();
      assert.match(await refused(place, 'user', 'delete', all.ann.username), /--yes/);
      assert.match(await refused(place, 'user', 'delete', 'nobody', '--yes'), /no user "nobody"/);
      assert.match(await succeed(place, 'user', 'delete', all.ann.email, '--yes'), /deleted ann/);
      assert.match(await refused(place, 'user', 'export', all.ann.email), /no user/);
      assert.ok(!(await succeed(place, 'user', 'list')).includes('Deleted user'));
      await server.launch();
      await assertGone(server, all);
      assert.ok(existsSync(join(server.folder, all.file.url)));
    });
  });
}
