// Helpers for the `messenger` vocabulary.
import assert from 'node:assert/strict';

import { connect } from './client.mjs';
import { newUser } from './token.mjs';

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Asserts the format of a time: that of JavaScript's `toISOString`. */
export function assertTime(value) {
  assert.match(value, ISO_TIME);
}

/** Asserts that `messenger`'s `message` has exactly the documented fields. Fields in `expected` must be equal. */
export function assertMessage(message, sender, expected = {}) {
  const { _id, conversationId, sender: from, content, messageType, file, status, readBy, createdAt, updatedAt, clientMessageId, ...unknown } = message;
  assert.deepEqual(unknown, {}, 'fields that the contract does not know');
  assert.match(_id, /^[0-9a-f-]{36}$/);
  assert.match(conversationId, /^[0-9a-f-]{36}$/);
  assert.deepEqual(from, { _id: sender.id, username: sender.username, avatar: null });
  assert.equal(typeof content, 'string');
  assert.equal(typeof messageType, 'string');
  assert.ok(file === null || typeof file.url === 'string');
  assert.ok(['sent', 'delivered', 'read'].includes(status), status);
  assert.ok(Array.isArray(readBy));
  assertTime(createdAt);
  assertTime(updatedAt);
  if ('clientMessageId' in message) assert.equal(typeof clientMessageId, 'string');
  for (const [field, value] of Object.entries(expected)) assert.deepEqual(message[field], value, field);
}

/** Returns admitted clients of new users, one per name; they are closed when `test` is over. */
export async function people(test, server, names, options = {}) {
  const clients = [];
  for (const name of names) {
    const client = await connect(server, newUser(name), options);
    test.after(() => client.close());
    clients.push(client);
  }
  return clients;
}

/** Makes a group over HTTP and returns its id. */
export async function makeGroup(server, admin, members, name = 'Friends') {
  const answer = await server.api('POST', '/api/conversations', {
    token: admin.user.token,
    body: { type: 'group', name, participants: members.map((member) => member.user.id) },
  });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  assert.equal(answer.body.success, true);
  return answer.body.conversation.id;
}

/** Returns a conversation's whole history over HTTP, ascending, read page by page. */
export async function history(server, token, path) {
  const messages = [];
  for (let before; ;) {
    const cursor = before === undefined ? '' : `&before=${encodeURIComponent(before)}`;
    const { status, body } = await server.api('GET', `${path}?limit=200${cursor}`, { token });
    assert.equal(status, 200, JSON.stringify(body));
    messages.unshift(...body.messages);
    if (body.nextCursor === null) return messages;
    before = body.nextCursor;
  }
}

/** History of one conversation. */
export const conversationHistory = (server, token, id) => history(server, token, `/api/conversations/${id}/messages`);

/**
 * Proves that nothing else was in flight to `recipient`: sends one more message and waits for it. Effects of the
 * sender's earlier actions are before it in the recipient's inbox.
 */
export async function settle(sender, recipient) {
  const content = `marker ${Math.random()}`;
  await sender.succeed('send_direct_message', { recipientId: recipient.user.id, content });
  await recipient.next('new_message', ({ message }) => message.content === content);
}

/** Returns `payload` with the values of `made` in place of `$name`. */
export function filled(payload, made) {
  if (typeof payload === 'string' && payload.startsWith('$')) {
    assert.ok(made[payload.slice(1)], payload);
    return made[payload.slice(1)];
  }
  if (Array.isArray(payload)) return payload.map((value) => filled(value, made));
  if (payload === null || typeof payload !== 'object') return payload;
  return Object.fromEntries(Object.entries(payload).map(([field, value]) => [field, filled(value, made)]));
}

/** Asserts an answer for too many requests, with the time to wait. */
export function assertLimited({ status, body, headers }) {
  assert.deepEqual([status, body.code], [429, 'RATE_LIMITED'], JSON.stringify(body));
  assert.ok(body.retryAfterMs > 0 && Number(headers.get('retry-after')) > 0);
}

/** Asserts that a refusal over HTTP has exactly these fields. */
export function assertHttpError({ status, body }, expectedStatus, code) {
  assert.equal(status, expectedStatus, JSON.stringify(body));
  const { success, error, message, code: given, ...unknown } = body;
  assert.deepEqual([success, given, unknown], [false, code, {}]);
  assert.equal(error, message);
}
