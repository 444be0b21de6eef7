// Every event of any front end, as every front end sees it in its own vocabulary, or not at all.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';

import { newAgent } from '../lib/agent.mjs';
import { PROVING } from '../lib/client.mjs';
import { makeDirect } from '../lib/conversation.mjs';
import { DATABASES } from '../lib/database.mjs';
import { PNG, upload } from '../lib/files.mjs';
import { DIALECTS, Matrix, REQUESTS, hasWordToSend, said, send } from '../lib/matrix.mjs';
import { useServer } from '../lib/server.mjs';
import { ID, TIME } from '../lib/shape.mjs';
import { KEY, Stage } from '../lib/stage.mjs';

const KINDS_OF_TRANSPORT = ['polling', 'websocket'];

const matrix = new Matrix([
  'connected', 'direct message', 'group message', 'public room message', 'common chat message', 'edited', 'deleted', 'delivered', 'read', 'read on another device', 'typing',
  'online', 'offline', 'chooses away', 'chooses busy', 'appears offline', 'appears again', 'conversation changed', 'conversation deleted',
  'notification', 'opened a group', 'left a group', 'question to the AI', 'AI reply',
]);
let runs = 0;

for (const database of DATABASES) {
  describe(`across dialects on ${database}`, () => {
    const holder = useServer({ database, env: { ...PROVING, RATE_LIMIT_EVENTS: '0', PRESENCE_SCOPE: 'contacts', API_KEYS: KEY } });
    for (const transport of KINDS_OF_TRANSPORT) {
      runs += 1;
      for (const dialect of DIALECTS) {
        it(`from ${dialect} to all, ${transport}`, async (test) => {
          matrix.run = `${database} ${transport}`;
          await new Play(matrix, test, holder.server, dialect, { transport }).perform();
        });
      }
      it(`the AI, ${transport}`, async (test) => {
        matrix.run = `${database} ${transport}`;
        await new Chat(matrix, test, holder.server, { transport }).perform();
      });
    }
  });
}

after(() => console.log(`\n${matrix.print(runs)}\n`));

/** Drafts, by what the message carries; `files` are the sender's uploads. */
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

const MODEL = { id: 'model', username: 'model' };
/** Name of the chat with the model that a direct message begins. */
const CHAT = 'model';
/** Answer without a configured model, followed by the question. */
const ECHO = 'No AI model is configured on this server (AI_PROVIDER=echo). You said: ';

/** Ann, who speaks the dialect in question, and one user of each dialect who sees her actions: the others. */
class Play extends Stage {
  constructor(matrix, test, server, dialect, options) {
    super(matrix, test, server, options);
    this.dialect = dialect;
    this.can = REQUESTS[dialect] ?? {};
    this.user = newAgent(`ann-${dialect}`);
    this.others = [];
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

  // ---- events ----

  /** The others are connected; Ann is known and away. Each writes to her. */
  async raiseCurtain() {
    await this.api('GET', '/api/auth/me', this.user);
    for (const dialect of DIALECTS) this.others.push(await this.enter(newAgent(`${dialect}-user`), dialect));
    this.direct = new Map();
    this.missed = new Map();
    for (const other of this.others) {
      const conversationId = await makeDirect(this.server, other, this);
      this.direct.set(other, { conversationId, user: other.user });
      const draft = { content: `from ${other.dialect}` };
      const to = { conversationId, user: this.user };
      const message = await this.sent(other, to, draft);
      this.missed.set(other, { ...message, status: 'delivered' });
    }
    await this.forget();
  }

  /** Ann connects: the others see her, and that she got their messages. She is shown these, and her notifications. */
  async coming() {
    this.ann = await this.enter(this.user, this.dialect);
    this.tell('connected', 'nothing');
    this.tell('online', 'online', { user: this.user, status: 'online', came: true });
    const isShown = said(this.dialect, 'message', this.missed.get(this.others[0])).length > 0;
    for (const [other, message] of this.missed) {
      this.tellAnn('message', message);
      this.tell('delivered', isShown ? 'delivered' : 'nothing', { message, to: this.user, atOnce: false }, { to: [other] });
    }
    for (const [other, { id, conversationId, createdAt }] of this.missed) {
      const words = this.tellAnn('notified', {
        id: ID, type: 'message', message: `New message from ${other.user.username}`,
        data: { conversationId, messageId: id, senderId: other.user.id }, createdAt, read: false,
      });
      this.cells.push(['notification', other.dialect, this.dialect, words]);
    }
    await this.check('coming');
  }

  async reading() {
    if (!this.can.read) return;
    // Ann has a further device of each kind while she reads.
    this.devices = [];
    for (const dialect of DIALECTS) this.devices.push(await this.enter(this.user, dialect));
    await this.forget();
    for (const [other, message] of this.missed) await this.read(other, message);
    for (const device of this.devices) await this.leave(device);
    this.devices = [];
  }

  async read(author, message) {
    await this.ann.succeed(...this.can.read(message.id));
    this.tell('read', 'read', { message, by: this.user }, { to: [author] });
    this.expect('read on another device', this.dialect, this.devices, 'readElsewhere', { message, by: this.user });
    await this.check(`reading ${message.content}`);
  }

  async sendingDirect() {
    this.files = [];
    for (const name of ['one.png', 'two.png', 'three.png']) {
      this.files.push((await upload(this.server, this.user.token, name, PNG)).file);
    }
    /** Target → Ann's last message. */
    this.last = new Map();
    for (const name of CARRIED[this.dialect]) {
      for (const other of this.others) {
        const message = await this.say(this.direct.get(other), DRAFTS[name](this.files));
        this.tell('direct message', 'message', message, { to: [other], by: this.means(this.direct.get(other)) });
        if (other.dialect !== 'assistant') this.tellAnn('delivered', { message, to: other.user, atOnce: true });
      }
      await this.check(`direct: ${name}`);
    }
  }

  async makingGroup() {
    const participants = this.others.map(({ user }) => user.id);
    const { conversation } = await this.api('POST', '/api/conversations', this.user, { type: 'group', name: 'Friends', participants });
    const { unreadCount, ...shown } = conversation;
    this.group = { conversationId: conversation.id };
    this.tell('conversation changed', 'changed', shown, { by: 'HTTP' });
    this.tellAnn('changed', shown);
    this.tell('notification', 'notified', {
      id: ID, type: 'group', message: `${this.user.username} added you to Friends`,
      data: { conversationId: conversation.id, by: this.user.id }, createdAt: TIME, read: false,
    }, { by: 'HTTP' });
    await this.check('making a group');
  }

  async sendingToGroup() {
    for (const name of CARRIED[this.dialect].filter((name) => name !== 'text about a listing')) {
      const message = await this.say(this.group, DRAFTS[name](this.files));
      this.tell('group message', 'message', message, { by: this.means(this.group) });
      for (const other of this.others) {
        if (said(other.dialect, 'message', message).length > 0) this.tellAnn('delivered', { message, to: other.user, atOnce: true });
      }
      await this.check(`group: ${name}`);
    }
  }

  async readingInGroup() {
    if (!this.can.read) return;
    for (const other of this.others) {
      const draft = { content: `to all from ${other.dialect}` };
      const message = await this.sent(other, this.group, draft);
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
        this.tell('typing', 'typing', { user: this.user, conversationId, active }, { to: [other] });
      }
      await this.ann.succeed(...this.can.typing(this.group.conversationId, active));
      this.tell('typing', 'typing', { user: this.user, ...this.group, active });
      await this.check(`typing ${active}`);
    }
  }

  /** Edits and deletes over HTTP her last message to each of them, and to the group. */
  async changing() {
    await this.settle();
    for (const [place, message] of this.last) {
      const to = place === this.group ? this.others : this.others.filter((other) => this.direct.get(other) === place);
      const path = `/api/messages/${message.id}`;
      await this.api('PATCH', path, this.user, { content: 'mended' });
      const isDelivered = to.some((other) => said(other.dialect, 'message', message).length > 0);
      const edited = {
        ...await this.fact(({ _id }) => _id === message.id, place, this.user, { ...message, content: 'mended' }), status: isDelivered ? 'delivered' : 'sent',
      };
      assert.ok(edited.updatedAt > message.updatedAt);
      this.tell('edited', 'edited', edited, { to });
      this.tellAnn('edited', edited);
      await this.check('editing');
      await this.api('DELETE', path, this.user);
      this.tell('deleted', 'deleted', edited, { to });
      this.tellAnn('deleted', edited);
      await this.check('deleting');
    }
  }

  async opening() {
    if (!this.can.open) return;
    for (const [row, request, opened] of [['opened a group', this.can.open, true], ['left a group', this.can.leave, false]]) {
      await this.ann.succeed(...request(this.group.conversationId));
      this.tell(row, 'opened', { user: this.user, ...this.group, opened });
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
      this.tell(row, what, { user, status, came: row === 'appears again' });
      this.tellAnn('online', { user, status });
      await this.check(row);
    }
  }

  async endingGroup() {
    const path = `/api/conversations/${this.group.conversationId}`;
    const { conversation: { unreadCount, ...renamed } } = await this.api('PATCH', path, this.user, { name: 'Society' });
    assert.equal(renamed.name, 'Society');
    this.tell('conversation changed', 'changed', renamed, { by: 'HTTP' });
    this.tellAnn('changed', renamed);
    await this.check('renaming');
    await this.api('DELETE', path, this.user);
    this.tell('conversation deleted', 'gone', this.group.conversationId, { by: 'HTTP' });
    this.tellAnn('gone', this.group.conversationId);
    await this.check('deleting the group');
  }

  async speakingInPublic() {
    if (this.dialect !== 'listing') return;
    const reader = this.others.find(({ dialect }) => dialect === 'listing');
    const roomId = `flat-${Math.random()}`;
    await reader.succeed('joinRoom', roomId);
    await this.others.find(({ dialect }) => dialect === 'messenger').succeed('join_room', roomId);
    await reader.succeed('joinCommonChat');
    await this.forget();
    const content = 'hello all';
    for (const [row, what, request] of [
      ['public room message', 'room', ['sendRoomMessage', { roomId, content }]],
      ['common chat message', 'commonChat', ['sendCommonChatMessage', { content }]],
    ]) {
      const { _id, timestamp } = await this.ann.succeed(...request);
      const message = { id: _id, sender: this.user, roomId, content, createdAt: timestamp };
      this.tell(row, what, message);
      this.tellAnn(what, message);
      await this.check(row);
    }
  }

  async going() {
    await this.leave(this.ann);
    this.tell('offline', 'offline', { user: this.user });
    await this.check('going');
  }

  // ---- steps ----

  /** Sends as Ann; returns the message. Her socket is shown it if her front end expects that. */
  async say(to, draft) {
    const message = { ...await this.sent(this.ann, to, draft), status: 'delivered' };
    this.last.set(to, message);
    const isShown = this.means(to) === this.dialect && (['listing', 'agent'].includes(this.dialect) || (this.dialect === 'messenger' && !to.user));
    if (isShown) this.tellAnn('message', message);
    return message;
  }

  /** Sends as one of the others. */
  async sent(client, to, draft) {
    const id = await send(this.server, client, to, draft);
    return this.fact(({ _id }) => _id === id, to, client.user, draft);
  }

  /** Expects the effect of Ann's action at these others. */
  tell(row, what, facts, { to = this.others, by = this.dialect } = {}) {
    this.expect(row, by, to, what, facts);
  }

  /** And at her own socket. */
  tellAnn(what, facts) {
    return this.expectAt(this.ann, what, facts);
  }

  /** Returns the event with which her front end sends to such a target. */
  means(to) {
    return hasWordToSend(this.dialect, to) ? this.dialect : `${this.dialect}, by HTTP`;
  }
}

/** One user with a device of each dialect, who asks the model from each. */
class Chat extends Stage {
  async perform() {
    const user = newAgent('asker');
    // First the clients that see their user come online: one that connects within the time for which presence is
    // gathered sees it, too.
    for (const dialect of ['conversation', 'messenger', 'assistant', 'listing', 'agent']) await this.enter(user, dialect);
    const messenger = this.clients.find(({ dialect }) => dialect === 'messenger');
    const { message: { conversationId } } = await messenger.succeed('send_direct_message', { recipientId: MODEL.id, content: 'Hello' });
    await messenger.next('new_message', ({ message }) => message.sender._id === MODEL.id);
    await this.forget();
    for (const asker of this.clients) await this.asking(asker, { conversationId, chat: CHAT });
  }

  async asking(asker, place) {
    const { user, dialect } = asker;
    const toModel = { ...place, user: MODEL };
    const content = `Why, ${dialect}?`;
    await send(this.server, asker, toModel, { content });
    // All devices are notified in one go.
    await asker.holds(1, ({ args: [told] }) => JSON.stringify(told).includes(ECHO));
    const more = { name: CHAT, chat: CHAT, reader: user };
    const question = await this.fact((message) => message.content === content, { ...toModel, reader: user }, user, { content, ...more });
    const said = `${ECHO}${content}`;
    const answer = await this.fact((message) => message.content === said, { ...place, user, reader: user }, MODEL, { content: said, role: 'model', ...more });
    this.expect('question to the AI', dialect, this.clients.filter((client) => client !== asker), 'message', question);
    if (['listing', 'agent'].includes(dialect)) this.expectAt(asker, 'message', question);
    this.expect('AI reply', dialect, this.clients, 'message', { ...answer, status: 'delivered' });
    await this.check(`asking in ${dialect}`);
  }
}
