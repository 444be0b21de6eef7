// Helpers for the `conversation` vocabulary.
import assert from 'node:assert/strict';

import { assertTime } from './chat.mjs';

/** All events that a `conversation` front end can receive. */
export const WORDS = [
  'connected', 'message:new', 'message:delivered', 'message:read', 'message:updated', 'message:deleted', 'typing:start', 'typing:stop',
  'user:online', 'user:offline', 'conversation:updated', 'conversation:deleted', 'notification:new', 'error',
];

/** Asserts that `message:new` has exactly the documented fields; `more` are the optional ones. */
export function assertNew(message, sender, conversationId, content, { type = 'text', ...more } = {}) {
  const { id, timestamp, ...rest } = message;
  assert.match(id, /^[0-9a-f-]{36}$/);
  assertTime(timestamp);
  assert.deepEqual(rest, { conversationId, senderId: sender.user.id, content, type, ...more });
}

/** `message:delivered` or, with `time` `readAt`, `message:read`. */
export function assertReceipt(receipt, message, reader, time = 'deliveredAt', more = {}) {
  const { [time]: at, ...rest } = receipt;
  assertTime(at);
  assert.deepEqual(rest, { messageId: message.id, conversationId: message.conversationId, userId: reader.user.id, ...more });
}

/** Asserts that `conversation:updated` has exactly the documented fields. */
export function assertConversation(conversation, expected) {
  const { id, createdAt, updatedAt, ...rest } = conversation;
  assert.match(id, /^[0-9a-f-]{36}$/);
  assertTime(createdAt);
  assertTime(updatedAt);
  assert.deepEqual(rest, { avatar: null, lastMessage: null, ...expected });
}

/** Makes the direct conversation of two users over HTTP; returns its id. */
export async function makeDirect(server, one, other) {
  const { status, body } = await server.api('POST', '/api/conversations', {
    token: one.user.token, body: { type: 'direct', participantId: other.user.id },
  });
  assert.ok(status === 201 || status === 200, JSON.stringify(body));
  return body.conversation.id;
}

/** Proves that nothing else was in flight: sends one more message and waits for it at all `recipients`. */
export async function flush(sender, conversationId, ...recipients) {
  const content = `marker ${Math.random()}`;
  sender.tell('message:send', { conversationId, content });
  for (const recipient of recipients) await recipient.next('message:new', (message) => message.content === content);
}

/** Returns untaken `message:new` events, except the markers of `flush`. */
export const unread = (client) => client.told('message:new').filter(({ content }) => !content.startsWith('marker '));
