// Helpers for the `assistant` vocabulary.
import assert from 'node:assert/strict';

import { history } from './chat.mjs';
import { closeAfter, open } from './client.mjs';
import { ERROR_ID, assertLike } from './shape.mjs';
import { newUser } from './token.mjs';

/** All events that an `assistant` connection can receive once its dialect is known. */
export const WORDS = ['ai-response', 'ai-response-chunk', 'ai-error', 'error', 'recovery:seed'];

/** Default of `AI_ERROR_TEXT`, shown to the user whenever there is no answer. */
export const APOLOGY = 'Sorry, I cannot answer right now. Please try again.';

/** A device of that front end: its token comes in a cookie. `dialect` pins it. */
export async function device(test, server, user = newUser('asker'), { dialect, ...options } = {}) {
  const client = open(server, { extraHeaders: { cookie: `theme=dark; token=${user.token}` }, ...(dialect && { query: { dialect } }), ...options });
  closeAfter(test, client);
  client.user = user;
  client.isPinned = dialect !== undefined;
  await client.connected();
  return client;
}

/**
 * Asserts the failure in each of its forms: `ai-error`, and, if the dialect is not pinned, the text that the front end
 * shows.
 */
export async function assertFailure(client, chat, code, sentence, more = {}) {
  const { errorId, ...failure } = await client.next('ai-error');
  assert.deepEqual(failure, { chat, message: sentence, error: sentence, code, ...more });
  // Present if the log has a line of it.
  if (errorId !== undefined) assertLike({ errorId }, { errorId: ERROR_ID });
  if (!client.isPinned) assert.deepEqual(await client.next('ai-response'), { chat, content: APOLOGY, error: true, code });
}

/** Returns the stored messages of this user's chat of that name: `[role, content]`. */
export async function stored(server, user, name) {
  const { status, body } = await server.api('GET', '/api/conversations?limit=100', { token: user.token });
  assert.equal(status, 200, JSON.stringify(body));
  const chats = body.conversations.filter((conversation) => conversation.type === 'ai' && conversation.name === name);
  assert.equal(chats.length, 1, `chats called ${name}`);
  const messages = await history(server, user.token, `/api/conversations/${chats[0].id}/messages`);
  return messages.map(({ sender, content }) => [(sender._id ?? sender) === 'model' ? 'model' : 'user', content]);
}
