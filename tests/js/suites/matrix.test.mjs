// Everything that happens in any front end, seen by every front end in its own words, or not at all (dialects.md §10).
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';

import { newAgent } from '../lib/agent.mjs';
import { closeAfter, connect } from '../lib/client.mjs';
import { makeDirect } from '../lib/conversation.mjs';
import { DATABASES } from '../lib/database.mjs';
import { PNG, upload } from '../lib/files.mjs';
import { DIALECTS, Matrix, REQUESTS, assertTold, hasWordToSend, said, send } from '../lib/matrix.mjs';
import { useServer } from '../lib/server.mjs';
import { ID, TIME } from '../lib/shape.mjs';

const KEY = 'a-server-key';
const KINDS_OF_TRANSPORT = ['polling', 'websocket'];

const matrix = new Matrix([
  'connected', 'direct message', 'group message', 'public room message', 'common chat message', 'edited', 'deleted', 'delivered', 'read', 'typing',
  'online', 'offline', 'chooses away', 'chooses busy', 'appears offline', 'appears again', 'conversation changed', 'conversation deleted',
  'notification', 'opened a group', 'left a group',
]);
let runs = 0;

for (const database of DATABASES) {
  describe(`across dialects on ${database}`, () => {
    const holder = useServer({ database, env: { RATE_LIMIT_EVENTS: '0', PRESENCE_SCOPE: 'contacts', API_KEYS: KEY } });
    for (const transport of KINDS_OF_TRANSPORT) {
      runs += 1;
      for (const dialect of DIALECTS) {
        it(`from ${dialect} to all, ${transport}`, async (test) => {
          matrix.run = `${database} ${transport}`;
          await new Play(test, holder.server, dialect, transport).perform();
        });
      }
    }
  });
}

after(() => console.log(`\n${matrix.print(runs)}\n`));

/** What can be sent, by what the message carries; `files` are the sender's uploads. */
const DRAFTS = {
  text: () => ({ content: 'Hello \u{1F44B}\n"all" \\ </script>' }),
  'text with a name of its own': () => ({ content: 'named', clientMessageId: `c-${Math.random()}` }),
  'text of an unusual type': () => ({ content: 'a sticker', type: 'sticker' }),
  'text about a listing': () => ({ content: 'Is it still free?', listingId: 'flat-7' }),
  'file alone': ([one]) => ({ content: '', file: one }),
  'text and file': ([one]) => ({ content: 'look', file: one }),
  'attachments alone': ([one, two, three]) => ({ content: '', attachments: [one, two, three] }),
  'text and attachments': ([one, two]) => ({ content: 'look', attachments: [one, two] }),
  'text, file and attachments': ([one, two, three]) => ({ content: 'look', file: one, attachments: [two, three] }),
};

const OVER_HTTP = Object.keys(DRAFTS).filter((name) => name !== 'text about a listing');
const CARRIED = {
  assistant: OVER_HTTP,
  conversation: OVER_HTTP,
  listing: ['text', 'text with a name of its own', 'text of an unusual type', 'text about a listing'],
  agent: ['text', 'text with a name of its own', 'attachments alone', 'text and attachments'],
  messenger: ['text', 'text with a name of its own', 'file alone', 'text and file'],
};

/** Ann, who speaks the dialect in question, and one of each dialect who hears what she does: the others. */
class Play {
  constructor(test, server, dialect, transport) {
    Object.assign(this, { test, server, dialect, transport });
    this.can = REQUESTS[dialect] ?? {};
    this.user = newAgent(`ann-${dialect}`);
    this.others = [];
    this.expected = new Map();
    this.cells = [];
  }

  async perform() {
    await this.raiseCurtain();
    await this.coming();
    await this.reading();
    await this.sendingDirect();
    await this.makingGroup();
    await this.sendingToGroup();
    await this.readingInGroup();
    await this.typing();
    await this.changing();
    await this.opening();
    await this.choosingStatus();
    await this.endingGroup();
    await this.speakingInPublic();
    await this.going();
  }

  // ---- what happens ----

  /** The others are there; Ann is known and away. Each writes to her. */
  async raiseCurtain() {
    await this.api('GET', '/api/auth/me', this.user);
    for (const dialect of DIALECTS) this.others.push(await this.connect(newAgent(`${dialect}-user`), dialect));
    this.direct = new Map();
    this.missed = new Map();
    for (const other of this.others) {
      const conversationId = await makeDirect(this.server, other, this);
      this.direct.set(other, { conversationId, user: other.user });
      const draft = { content: `from ${other.dialect}` };
      const to = { conversationId, user: this.user };
      const message = await this.fact(await send(this.server, other, to, draft), to, other.user, draft);
      this.missed.set(other, { ...message, status: 'delivered' });
    }
    await this.forget();
  }

  /** Ann connects: the others see her, and that she got what they wrote. She is shown it, and what she was notified of. */
  async coming() {
    this.ann = await this.connect(this.user, this.dialect);
    this.expect('connected', 'nothing');
    this.expect('online', 'online', { user: this.user, status: 'online', came: true });
    const isShown = said(this.dialect, 'message', this.missed.get(this.others[0])).length > 0;
    for (const [other, message] of this.missed) {
      this.expectOwn('message', message);
      this.expect('delivered', isShown ? 'delivered' : 'nothing', { message, to: this.user, atOnce: false }, { to: [other] });
    }
    for (const [other, { id, conversationId, createdAt }] of this.missed) {
      const words = this.expectOwn('notified', {
        id: ID, type: 'message', message: `New message from ${other.user.username}`,
        data: { conversationId, messageId: id, senderId: other.user.id }, createdAt, read: false,
      });
      this.cells.push(['notification', other.dialect, this.dialect, words]);
    }
    await this.check('coming');
  }

  async reading() {
    if (!this.can.read) return;
    for (const [other, message] of this.missed) await this.read(other, message);
  }

  async read(author, message) {
    await this.ann.succeed(...this.can.read(message.id));
    this.expect('read', 'read', { message, by: this.user }, { to: [author] });
    await this.check(`reading ${message.content}`);
  }

  async sendingDirect() {
    this.files = [];
    for (const name of ['one.png', 'two.png', 'three.png']) {
      this.files.push((await upload(this.server, this.user.token, name, PNG)).file);
    }
    /** Where → what Ann sent last. */
    this.last = new Map();
    for (const name of CARRIED[this.dialect]) {
      for (const other of this.others) {
        const message = await this.say(this.direct.get(other), DRAFTS[name](this.files));
        this.expect('direct message', 'message', message, { to: [other], by: this.means(this.direct.get(other)) });
        if (other.dialect !== 'assistant') this.expectOwn('delivered', { message, to: other.user, atOnce: true });
      }
      await this.check(`direct: ${name}`);
    }
  }

  async makingGroup() {
    const participants = this.others.map(({ user }) => user.id);
    const { conversation } = await this.api('POST', '/api/conversations', this.user, { type: 'group', name: 'Friends', participants });
    const { unreadCount, ...shown } = conversation;
    this.group = { conversationId: conversation.id };
    this.expect('conversation changed', 'changed', shown, { by: 'HTTP' });
    this.expectOwn('changed', shown);
    this.expect('notification', 'notified', {
      id: ID, type: 'group', message: `${this.user.username} added you to Friends`,
      data: { conversationId: conversation.id, by: this.user.id }, createdAt: TIME, read: false,
    }, { by: 'HTTP' });
    await this.check('making a group');
  }

  async sendingToGroup() {
    for (const name of CARRIED[this.dialect].filter((name) => name !== 'text about a listing')) {
      const message = await this.say(this.group, DRAFTS[name](this.files));
      this.expect('group message', 'message', message, { by: this.means(this.group) });
      for (const other of this.others) {
        if (said(other.dialect, 'message', message).length > 0) this.expectOwn('delivered', { message, to: other.user, atOnce: true });
      }
      await this.check(`group: ${name}`);
    }
  }

  async readingInGroup() {
    if (!this.can.read) return;
    for (const other of this.others) {
      const draft = { content: `to all from ${other.dialect}` };
      const message = await this.fact(await send(this.server, other, this.group, draft), this.group, other.user, draft);
      await this.forget();
      await this.read(other, message);
    }
  }

  async typing() {
    if (!this.can.typing) return;
    for (const active of [true, false]) {
      for (const other of this.others) {
        const { conversationId } = this.direct.get(other);
        await this.ann.succeed(...this.can.typing(conversationId, active));
        this.expect('typing', 'typing', { user: this.user, conversationId, active }, { to: [other] });
      }
      await this.ann.succeed(...this.can.typing(this.group.conversationId, active));
      this.expect('typing', 'typing', { user: this.user, ...this.group, active });
      await this.check(`typing ${active}`);
    }
  }

  /** Edits and deletes over HTTP what she sent last to each, and to the group. */
  async changing() {
    for (const [place, message] of this.last) {
      const to = place === this.group ? this.others : this.others.filter((other) => this.direct.get(other) === place);
      const path = `/api/messages/${message.id}`;
      await this.api('PATCH', path, this.user, { content: 'mended' });
      const isDelivered = to.some((other) => said(other.dialect, 'message', message).length > 0);
      const edited = {
        ...await this.fact(message.id, place, this.user, { ...message, content: 'mended' }), status: isDelivered ? 'delivered' : 'sent',
      };
      assert.ok(edited.updatedAt > message.updatedAt);
      this.expect('edited', 'edited', edited, { to });
      this.expectOwn('edited', edited);
      await this.check('editing');
      await this.api('DELETE', path, this.user);
      this.expect('deleted', 'deleted', edited, { to });
      this.expectOwn('deleted', edited);
      await this.check('deleting');
    }
  }

  async opening() {
    if (!this.can.open) return;
    for (const [row, request, opened] of [['opened a group', this.can.open, true], ['left a group', this.can.leave, false]]) {
      await this.ann.succeed(...request(this.group.conversationId));
      this.expect(row, 'opened', { user: this.user, ...this.group, opened });
      await this.check(row);
    }
  }

  async choosingStatus() {
    if (!this.can.status) return;
    const { user } = this;
    for (const [row, status, what] of [
      ['chooses away', 'away', 'online'], ['chooses busy', 'busy', 'online'], ['appears offline', 'offline', 'offline'], ['appears again', 'online', 'online'],
    ]) {
      await this.ann.succeed(...this.can.status(status));
      this.expect(row, what, { user, status, came: row === 'appears again' });
      this.expectOwn('online', { user, status });
      await this.check(row);
    }
  }

  async endingGroup() {
    const path = `/api/conversations/${this.group.conversationId}`;
    const { conversation: { unreadCount, ...renamed } } = await this.api('PATCH', path, this.user, { name: 'Society' });
    assert.equal(renamed.name, 'Society');
    this.expect('conversation changed', 'changed', renamed, { by: 'HTTP' });
    this.expectOwn('changed', renamed);
    await this.check('renaming');
    await this.api('DELETE', path, this.user);
    this.expect('conversation deleted', 'gone', this.group.conversationId, { by: 'HTTP' });
    this.expectOwn('gone', this.group.conversationId);
    await this.check('deleting the group');
  }

  async speakingInPublic() {
    if (this.dialect !== 'listing') return;
    const reader = this.others.find(({ dialect }) => dialect === 'listing');
    const roomId = `flat-${Math.random()}`;
    await reader.succeed('joinRoom', roomId);
    await reader.succeed('joinCommonChat');
    await this.forget();
    const content = 'hello all';
    for (const [row, what, request] of [
      ['public room message', 'room', ['sendRoomMessage', { roomId, content }]],
      ['common chat message', 'commonChat', ['sendCommonChatMessage', { content }]],
    ]) {
      const { _id, timestamp } = await this.ann.succeed(...request);
      const message = { id: _id, sender: this.user, roomId, content, createdAt: timestamp };
      this.expect(row, what, message);
      this.expectOwn(what, message);
      await this.check(row);
    }
  }

  async going() {
    this.ann.close();
    await this.ann.disconnected();
    this.ann = undefined;
    this.expect('offline', 'offline', { user: this.user });
    await this.check('going');
  }

  // ---- how it is seen ----

  /** What happened is to be told to these others, to each as its dialect has it. */
  expect(row, what, facts, { to = this.others, by = this.dialect } = {}) {
    for (const other of to) {
      const words = said(other.dialect, what, facts);
      this.expectAt(other, words);
      this.cells.push([row, by, other.dialect, words]);
    }
  }

  /** The same, to Ann's own socket. */
  expectOwn(what, facts) {
    const words = said(this.dialect, what, facts);
    this.expectAt(this.ann, words);
    return words;
  }

  expectAt(client, words) {
    this.expected.set(client, [...(this.expected.get(client) ?? []), ...words]);
  }

  /** Everybody was told what is expected, exactly that and in this order, and nobody anything else. */
  async check(what) {
    const clients = this.ann ? [...this.others, this.ann] : this.others;
    await Promise.all(clients.map((client) => client.holds(this.expected.get(client)?.length ?? 0)));
    await this.settle();
    for (const client of clients) {
      const where = client === this.ann ? 'at Ann herself' : `at ${client.dialect}`;
      assertTold(client, this.expected.get(client) ?? [], `${what}, ${where}`);
    }
    this.cells.forEach((cell) => matrix.saw(...cell));
    this.cells = [];
    this.expected.clear();
  }

  /** Waits until what is under way has come: an event that a server emits itself passes through every dialect. */
  async settle() {
    const event = `settled ${Math.random()}`;
    const { status } = await this.server.api('POST', '/api/emit', { headers: { 'x-api-key': KEY }, body: { to: { all: true }, event } });
    assert.equal(status, 200);
    await Promise.all([...this.others, this.ann].map((client) => client?.nextArgs(event)));
  }

  async forget() {
    await this.settle();
    for (const client of [...this.others, this.ann]) client?.inbox.splice(0);
  }

  // ---- how it is done ----

  async connect(user, dialect) {
    const client = await connect(this.server, user, { dialect, transport: this.transport });
    closeAfter(this.test, client);
    const greeting = said(dialect, 'connected', { user, socket: client.socket.id });
    const presence = said(dialect, 'online', { user, status: 'online', came: true });
    for (const [event, payload] of [...greeting, ...presence]) assert.deepEqual(await client.next(event, ({ userId }) => userId === user.id), payload);
    matrix.saw('connected', dialect, dialect, greeting);
    return Object.assign(client, { user, dialect });
  }

  async api(method, path, { token }, body) {
    const answer = await this.server.api(method, path, { token, body });
    assert.ok(answer.status < 300, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** Ann sends; what is known of the message then. Her socket is shown it where its front end expects that. */
  async say(to, draft) {
    const message = { ...await this.fact(await send(this.server, this.ann, to, draft), to, this.user, draft), status: 'delivered' };
    this.last.set(to, message);
    const isShown = this.means(to) === this.dialect && (['listing', 'agent'].includes(this.dialect) || (this.dialect === 'messenger' && !to.user));
    if (isShown) this.expectOwn('message', message);
    return message;
  }

  /** What her front end sends to such a place by. */
  means(to) {
    return hasWordToSend(this.dialect, to) ? this.dialect : `${this.dialect}, by HTTP`;
  }

  /** A message of which HTTP says what only the server knows. */
  async fact(id, to, sender, draft) {
    const { messages } = await this.api('GET', `/api/conversations/${to.conversationId}/messages?limit=200`, sender);
    const { createdAt, updatedAt, status, readBy } = messages.find(({ _id }) => _id === id);
    const type = draft.type ?? draft.file?.messageType ?? 'text';
    return { ...draft, id, conversationId: to.conversationId, sender, recipient: to.user, type, createdAt, updatedAt, status, readBy };
  }
}
