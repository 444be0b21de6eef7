// Helpers for the `listing` vocabulary.
import assert from 'node:assert/strict';

import { assertTime } from './chat.mjs';

/** All events that a `listing` front end can receive. */
export const WORDS = [
  'userSetup', 'directMessage', 'joinedCommonChat', 'leftCommonChat', 'commonChatMessage', 'joinedRoom', 'leftRoom', 'roomMessage',
  'messageUpdated', 'messageDeleted', 'error',
];

/** A user as messages show them. */
export const summary = ({ user }) => ({ _id: user.id, fullName: user.username, username: user.username, profilePicture: null });

/** Asserts that `directMessage` has exactly the documented fields; `more` are those that differ from a plain text's. */
export function assertDirectMessage(message, sender, receiver, content, more = {}) {
  const { _id, createdAt, updatedAt, ...rest } = message;
  assert.match(_id, /^[0-9a-f-]{36}$/);
  assertTime(createdAt);
  assertTime(updatedAt);
  assert.deepEqual(rest, {
    senderId: summary(sender), receiverId: summary(receiver), message: content, listingId: null, messageType: 'text', isRead: false, ...more,
  });
}

/** Asserts `commonChatMessage`, or, with `roomId` among `more`, `roomMessage`. */
export function assertPublicMessage(message, sender, content, more = {}) {
  const { _id, timestamp, ...rest } = message;
  assert.match(_id, /^[0-9a-f-]{36}$/);
  assertTime(timestamp);
  assert.deepEqual(rest, { user: summary(sender), message: content, messageType: 'text', ...more });
}
