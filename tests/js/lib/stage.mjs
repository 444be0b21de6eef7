// Clients of all dialects on one server; asserts which events each of them receives next, exactly these and no others.
import assert from 'node:assert/strict';

import { closeAfter, connect } from './client.mjs';
import { isTold } from './documents.mjs';
import { assertTold, said } from './matrix.mjs';

/** API key with which a stage's server is started. */
export const KEY = 'the-key-of-the-stage';

/** Parts shared by plays. */
export class Stage {
  /** Correct cells are recorded in `matrix`; `options` go to the stock clients. */
  constructor(matrix, test, server, options) {
    Object.assign(this, { matrix, test, server, options, clients: [] });
    /** Client → `[event, payload]`s expected. */
    this.expected = new Map();
    /** Cells of the matrix that are correct if these come. */
    this.cells = [];
  }

  /** Returns a client that pins `dialect`, and has received its own presence. */
  async enter(user, dialect) {
    const client = await connect(this.server, user, { dialect, ...this.options });
    closeAfter(this.test, client);
    this.clients.push(client);
    const greeting = said(dialect, 'connected', { user, socket: client.socket.id });
    const presence = said(dialect, 'online', { user, status: 'online', came: true });
    for (const [event, payload] of [...greeting, ...presence]) {
      assert.deepEqual(await client.next(event, ({ userId }) => userId === user.id), payload);
    }
    this.matrix.saw('connected', dialect, dialect, greeting);
    return Object.assign(client, { dialect });
  }

  async leave(client) {
    client.close();
    await client.disconnected();
    this.clients = this.clients.filter((other) => other !== client);
  }

  /** Expects an event at these clients, in each one's dialect; it is recorded in the matrix. */
  expect(row, by, clients, what, facts) {
    for (const client of clients) {
      const words = this.expectAt(client, what, facts);
      this.cells.push([row, by, client.dialect, words]);
    }
  }

  /** The same for one client, without recording it in the matrix. */
  expectAt(client, what, facts) {
    const words = said(client.dialect, what, facts);
    for (const [event] of words) assert.ok(isTold(event, client.dialect), `${event} is in no document of ${client.dialect}`);
    this.expected.set(client, [...(this.expected.get(client) ?? []), ...words]);
    return words;
  }

  /** Asserts that everybody received exactly the expected events, in this order, and nobody anything else. */
  async check(what) {
    const due = (client) => this.expected.get(client) ?? [];
    await Promise.all(this.clients.map((client) => client.holds(due(client).length)));
    await this.settle();
    for (const client of this.clients) assertTold(client, due(client), `${what}, at ${client.user.username}, who speaks ${client.dialect}`);
    this.cells.forEach((cell) => this.matrix.saw(...cell));
    this.cells = [];
    this.expected.clear();
  }

  /** Waits until everything in flight has come and is confirmed: an event emitted by a server reaches every dialect. */
  async settle() {
    await Promise.all(this.clients.map((client) => client.proven()));
    const event = `settled ${Math.random()}`;
    const { status } = await this.server.api('POST', '/api/emit', { headers: { 'x-api-key': KEY }, body: { to: { all: true }, event } });
    assert.equal(status, 200);
    await Promise.all(this.clients.map((client) => client.nextArgs(event)));
  }

  /** Ignores everything that has come by now. */
  async forget() {
    await this.settle();
    for (const client of this.clients) client.inbox.length = 0;
  }

  async api(method, path, { token }, body) {
    const answer = await this.server.api(method, path, { token, body });
    assert.ok(answer.status < 300, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /**
   * Returns a message as its sender made it, with the values that only the server knows; `is` finds it in the history.
   */
  async fact(is, to, sender, draft) {
    const { messages } = await this.api('GET', `/api/conversations/${to.conversationId}/messages?limit=200`, to.reader ?? sender);
    const { _id: id, createdAt, updatedAt, status, readBy } = messages.findLast(is);
    const type = draft.type ?? draft.file?.messageType ?? 'text';
    return { ...draft, id, conversationId: to.conversationId, sender, recipient: to.user, type, createdAt, updatedAt, status, readBy };
  }
}
