// Helpers for the `agent` vocabulary.
import assert from 'node:assert/strict';

import { assertTime } from './chat.mjs';
import { connect } from './client.mjs';
import { newUser } from './token.mjs';

/** Returns admitted clients of new users with an e-mail address, one per name; they are closed when `test` is over. */
export async function agents(test, server, names, options = {}) {
  const clients = [];
  for (const name of names) {
    const client = await connect(server, newAgent(name), options);
    test.after(() => client.close());
    clients.push(client);
  }
  return clients;
}

/** A user with an e-mail address. */
export function newAgent(name) {
  const email = `${name}-${Math.random().toString(36).slice(2)}@example.org`;
  return { ...newUser(name, { email }), email };
}

/** Returns the data of a success envelope; `more` are the further fields beside it. */
export function dataOf(envelope, more = {}) {
  const { success, data, timestamp, ...rest } = envelope;
  assert.equal(success, true, JSON.stringify(envelope));
  assertTime(timestamp);
  assert.deepEqual(rest, more);
  return data;
}

/** Asserts the whole envelope of a refusal; returns its sentence. */
export function assertRefused(envelope, code) {
  const { success, error, timestamp, ...rest } = envelope;
  assertTime(timestamp);
  if (code === 'RATE_LIMITED') {
    assert.ok(rest.retryAfterMs > 0, JSON.stringify(envelope));
    delete rest.retryAfterMs;
  }
  assert.deepEqual({ success, ...rest }, { success: false, code });
  assert.equal(typeof error, 'string');
  assert.ok(error.length > 0);
  return error;
}

/** Asserts the whole data of `message:receive`. Fields missing in `expected` are as in a plain message. */
export function assertReceived(envelope, sender, expected) {
  const { _id, createdAt, ...rest } = dataOf(envelope);
  assert.match(_id, /^[0-9a-f-]{36}$/);
  assertTime(createdAt);
  assert.deepEqual(rest, {
    sender: 'user',
    senderId: sender.id,
    attachments: [],
    senderInfo: { userId: sender.id, email: sender.email, role: 'user' },
    ...expected,
  });
  assert.equal(envelope.timestamp, createdAt);
  return _id;
}

/** A member in the form of `conversation:get`. */
export const participant = ({ id, username, email }) => ({ userId: id, username, email, role: 'user' });

/** Asks for a list without an ack; returns its data. */
export async function fetchList(client, resource, more) {
  client.tell(`${resource}:get`, {});
  return dataOf(await client.next(`${resource}:receive`), more);
}

/** The listeners of the front end's documentation: their log is everything that this front end shows. */
export function listen(client) {
  const log = [];
  client.socket.on('message:receive', (data) => data.success && log.push(['Message received:', data.data.content]));
  client.socket.on('notification:receive', (data) => data.success && log.push(['Notifications:', data.data.length]));
  return log;
}

/** Returns whether a conversation is shown by its id. */
export const isId = (text) => /^[0-9a-f-]{36}$/.test(text);
