// The front ends of examples/dialects/: stock clients with the events of public ones, on a fresh server with the file.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'node:test';

import { useBrowser } from '../lib/browser.mjs';
import { people } from '../lib/chat.mjs';
import { VERSIONS } from '../lib/client.mjs';
import { useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const FOLDER = fileURLToPath(new URL('../../../examples/dialects/', import.meta.url));
const DIST = fileURLToPath(new URL('../node_modules/sio48/dist', import.meta.url));
const settings = (name) => ({ DIALECT_FILES: `${FOLDER}${name}.toml`, ANONYMOUS_USERS: 'true' });

/** A front end: a stock client without a dialect or anything else of ours, and what it heard. */
class FrontEnd {
  constructor(test, server, auth, { version = '4.8', ...options } = {}) {
    this.told = [];
    this.socket = VERSIONS[version](server.url, { forceNew: true, reconnection: false, auth, ...options });
    this.socket.onAny((event, ...args) => {
      this.told.push({ event, args });
      this.look?.();
    });
    test.after(() => this.socket.disconnect());
  }

  static async open(test, server, auth, options) {
    const frontEnd = new FrontEnd(test, server, auth, options);
    const { socket } = frontEnd;
    await within(LIMIT, 'connect', new Promise((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject)));
    return frontEnd;
  }

  emit(...args) {
    this.socket.emit(...args);
  }

  /** Takes the first event of this name whose arguments match; returns its first argument. */
  async hears(event, matches = () => true) {
    const soFar = () => `${event}; so far:\n${this.told.map(({ event: name, args }) => `${name} ${JSON.stringify(args)}`).join('\n')}`;
    return within(LIMIT, soFar, new Promise((resolve) => {
      this.look = () => {
        const place = this.told.findIndex((told) => told.event === event && matches(...told.args));
        if (place < 0) return;
        this.look = undefined;
        resolve(this.told.splice(place, 1)[0].args[0]);
      };
      this.look();
    }));
  }

  heard(event) {
    return this.told.filter((told) => told.event === event).map(({ args }) => args[0]);
  }
}

describe('chat-message', () => {
  const holder = useServer({ env: { ...settings('chat-message'), CLIENT_FILES: DIST } });
  const browser = useBrowser();

  it('says texts to all, the sender among them, and to the five dialects', async (test) => {
    const { server } = holder;
    const ann = await FrontEnd.open(test, server);
    const bob = await FrontEnd.open(test, server, {}, { version: '4.0' });
    const [member] = await people(test, server, ['member'], { dialect: 'listing' });
    member.tell('joinCommonChat');
    await member.next('joinedCommonChat');
    ann.emit('chat message', 'Hello!');
    for (const frontEnd of [ann, bob]) assert.equal(await frontEnd.hears('chat message'), 'Hello!');
    assert.equal((await member.next('commonChatMessage')).message, 'Hello!');
  });

  it('works as a page', async (test) => {
    const { server } = holder;
    const pages = [];
    for (let number = 0; number < 2; number += 1) {
      const page = await browser.page(test, server);
      await page.route(`${server.url}/tutorial`, (route) => route.fulfill({ contentType: 'text/html', body: `<!doctype html>
        <ul id="messages"></ul><form id="form"><input id="input"><button>Send</button></form>
        <script src="/socket.io/socket.io.js"></script>
        <script>
          const socket = io();
          document.querySelector('form').addEventListener('submit', (event) => {
            event.preventDefault();
            socket.emit('chat message', document.querySelector('input').value);
          });
          socket.on('chat message', (text) => {
            const item = document.createElement('li');
            item.textContent = text;
            document.querySelector('ul').append(item);
          });
        </script>` }));
      await page.goto(`${server.url}/tutorial`);
      await page.waitForFunction('socket.connected');
      pages.push(page);
    }
    await pages[0].fill('#input', 'from a page');
    await pages[0].click('button');
    for (const page of pages) {
      await page.waitForSelector('li:text-is("from a page")');
      assert.deepEqual(page.failures, []);
    }
  });
});

describe('private-messaging', () => {
  const holder = useServer({ env: { ...settings('private-messaging'), CLIENT_FILES: DIST } });
  const browser = useBrowser();

  it('shows who is there, and brings messages of two, also to the five dialects', async (test) => {
    const { server } = holder;
    const ann = await FrontEnd.open(test, server, { username: 'ann' });
    const own = await ann.hears('session');
    const bob = await FrontEnd.open(test, server, { username: 'bob' });
    const other = await bob.hears('session');
    const users = await bob.hears('users');
    assert.deepEqual(users.map(({ username, userID, connected }) => [username, userID, connected]).sort(), [
      ['ann', own.userID, true], ['bob', other.userID, true],
    ]);
    assert.equal((await ann.hears('user connected', ({ username }) => username === 'bob')).userID, other.userID);
    ann.emit('private message', { content: 'Hi, Bob', to: other.userID });
    assert.deepEqual(await bob.hears('private message'), { content: 'Hi, Bob', from: own.userID, to: other.userID });
    const [member] = await people(test, server, ['member'], { dialect: 'messenger' });
    ann.emit('private message', { content: 'Hi, member', to: member.user.id });
    const { message } = await member.next('new_message');
    assert.deepEqual([message.content, message.sender.username], ['Hi, member', 'ann']);
    await member.succeed('send_direct_message', { recipientId: own.userID, content: 'Hi, Ann' });
    assert.equal((await ann.hears('private message')).content, 'Hi, Ann');
    bob.socket.disconnect();
    assert.equal(await ann.hears('user disconnected', (id) => id === other.userID), other.userID);
    ann.emit('private message', { content: 'later', to: other.userID });
    const again = await FrontEnd.open(test, server, { sessionID: other.sessionID });
    assert.equal((await again.hears('session')).userID, other.userID);
    await again.hears('private message', ({ content }) => content === 'later');
  });

  it('asks for a name again when its session is gone', async (test) => {
    const { server } = holder;
    await assert.rejects(FrontEnd.open(test, server, { sessionID: 'of long ago' }), { message: 'invalid username' });
  });

  it('works as a page', async (test) => {
    const { server } = holder;
    const open = async (name) => {
      const page = await browser.page(test, server);
      await page.route(`${server.url}/private`, (route) => route.fulfill({ contentType: 'text/html', body: `<!doctype html>
        <ul id="users"></ul><ul id="messages"></ul>
        <script src="/socket.io/socket.io.js"></script>
        <script>
          const users = new Map();
          const socket = io({ autoConnect: false });
          const draw = () => { document.querySelector('#users').innerHTML = [...users.values()].map((name) => '<li>' + name + '</li>').join(''); };
          const start = (username) => { socket.auth = { username }; socket.connect(); };
          socket.on('session', ({ sessionID, userID }) => { socket.auth = { sessionID }; localStorage.sessionID = sessionID; socket.userID = userID; });
          socket.on('users', (list) => { list.forEach(({ userID, username }) => users.set(userID, username)); draw(); });
          socket.on('user connected', ({ userID, username }) => { users.set(userID, username); draw(); });
          socket.on('user disconnected', (userID) => { users.delete(userID); draw(); });
          socket.on('private message', ({ content, from }) => {
            document.querySelector('#messages').insertAdjacentHTML('beforeend', '<li>' + users.get(from) + ': ' + content + '</li>');
          });
          const say = (name, content) => socket.emit('private message', { content, to: [...users].find(([, username]) => username === name)[0] });
        </script>` }));
      await page.goto(`${server.url}/private`);
      await page.evaluate(`start(${JSON.stringify(name)})`);
      await page.waitForSelector(`#users li:text-is("${name}")`);
      return page;
    };
    const carol = await open('carol');
    const dave = await open('dave');
    await carol.waitForSelector('#users li:text-is("dave")');
    await carol.evaluate('say("dave", "from a page")');
    await dave.waitForSelector('#messages li:text-is("carol: from a page")');
    await dave.reload();
    await dave.evaluate('socket.auth = { sessionID: localStorage.sessionID }; socket.connect(); 0');
    await dave.waitForSelector('#users li:text-is("dave")');
    for (const page of [carol, dave]) assert.deepEqual(page.failures, []);
  });
});

describe('rooms', () => {
  const holder = useServer({ env: settings('rooms') });

  it('brings what is said to all in the room, also to the five dialects', async (test) => {
    const { server } = holder;
    const [ann, bob, elsewhere] = [await FrontEnd.open(test, server), await FrontEnd.open(test, server), await FrontEnd.open(test, server)];
    for (const [frontEnd, room] of [[ann, 'lobby'], [bob, 'lobby'], [elsewhere, 'cellar']]) await frontEnd.socket.emitWithAck('join_room', room);
    const [member] = await people(test, server, ['member'], { dialect: 'messenger' });
    await member.succeed('join_room', 'lobby');
    ann.emit('send_message', { room: 'lobby', author: 'Ann', message: 'Hello!', time: '12:34' });
    const told = await bob.hears('receive_message');
    assert.deepEqual([told.room, told.author, told.message], ['lobby', 'Ann', 'Hello!']);
    assert.match(told.time, /^\d\d:\d\d$/);
    const { message } = await member.next('new_room_message');
    assert.deepEqual([message.content, message.sender.username], ['Hello!', 'Ann']);
    await member.succeed('send_room_message', { roomId: 'lobby', content: 'Hello, Ann!' });
    assert.equal((await ann.hears('receive_message')).message, 'Hello, Ann!');
    assert.deepEqual([elsewhere.heard('receive_message'), ann.heard('receive_message'), ann.heard('error')], [[], [], []]);
  });
});

describe('chat-example', () => {
  const holder = useServer({ env: settings('chat-example') });

  it('brings what is said to all, under the names that they gave', async (test) => {
    const { server } = holder;
    const [ann, bob] = [await FrontEnd.open(test, server), await FrontEnd.open(test, server)];
    ann.emit('add user', 'ann');
    assert.ok((await ann.hears('login')).numUsers >= 1);
    bob.emit('add user', 'bob');
    await bob.hears('login');
    await ann.hears('user joined', ({ username }) => username === 'bob');
    bob.emit('typing');
    bob.emit('stop typing');
    bob.emit('new message', 'Hello!');
    assert.deepEqual(await ann.hears('new message'), { username: 'bob', message: 'Hello!' });
    const [member] = await people(test, server, ['member'], { dialect: 'listing' });
    member.tell('joinCommonChat');
    await member.next('joinedCommonChat');
    ann.emit('new message', 'Hello, all!');
    assert.equal((await member.next('commonChatMessage')).message, 'Hello, all!');
    await bob.hears('new message', ({ username }) => username === 'ann');
    assert.deepEqual([ann.heard('error'), bob.heard('new message')], [[], []]);
  });
});

describe('mern-chat', () => {
  const holder = useServer({ env: settings('mern-chat') });

  it('brings messages and typing of a chat, also to the five dialects', async (test) => {
    const { server } = holder;
    const [annUser, bobUser] = [newUser('ann'), newUser('bob')];
    // The page's login left a cookie, and its socket says nothing of it.
    const options = (user) => ({ extraHeaders: { cookie: `token=${user.token}` } });
    const ann = await FrontEnd.open(test, server, undefined, options(annUser));
    const bob = await FrontEnd.open(test, server, undefined, options(bobUser));
    for (const [frontEnd, user] of [[ann, annUser], [bob, bobUser]]) {
      frontEnd.emit('setup', { _id: user.id, name: user.username });
      await frontEnd.hears('connected', (first) => first === undefined || typeof first === 'string' || first === null);
    }
    const { body } = await server.api('POST', '/api/conversations', { token: annUser.token, body: { type: 'direct', participantId: bobUser.id } });
    const chat = body.conversation.id;
    for (const frontEnd of [ann, bob]) frontEnd.emit('join chat', chat);
    ann.emit('typing', chat);
    await bob.hears('typing');
    ann.emit('stop typing', chat);
    await bob.hears('stop typing');
    ann.emit('new message', { _id: '507f1f77bcf86cd799439011', chat: { _id: chat, users: [] }, sender: { _id: annUser.id }, content: 'Hello!' });
    const message = await bob.hears('message recieved');
    assert.deepEqual([message.content, message.sender._id, message.chat._id], ['Hello!', annUser.id, chat]);
    const [member] = await people(test, server, ['member'], { dialect: 'messenger' });
    await member.succeed('send_direct_message', { recipientId: bobUser.id, content: 'from messenger' });
    assert.equal((await bob.hears('message recieved')).content, 'from messenger');
    assert.deepEqual([ann.heard('message recieved'), ann.heard('error')], [[], []]);
  });
});

describe('messenger-tutorial', () => {
  const holder = useServer({ env: settings('messenger-tutorial') });

  it('lists who is online and brings messages of two, also to the five dialects', async (test) => {
    const { server } = holder;
    const [annUser, bobUser] = [newUser('ann'), newUser('bob')];
    const ann = await FrontEnd.open(test, server, { token: annUser.token });
    const bob = await FrontEnd.open(test, server, { token: bobUser.token });
    ann.emit('addUser', annUser.id);
    bob.emit('addUser', bobUser.id);
    const ids = (await bob.hears('getUsers')).map(({ userId }) => userId);
    assert.deepEqual(ids.sort(), [annUser.id, bobUser.id].sort());
    ann.emit('sendMessage', { senderId: annUser.id, receiverId: bobUser.id, text: 'Hello!' });
    assert.deepEqual(await bob.hears('getMessage'), { senderId: annUser.id, text: 'Hello!' });
    const [member] = await people(test, server, ['member'], { dialect: 'messenger' });
    await member.succeed('send_direct_message', { recipientId: annUser.id, content: 'from messenger' });
    assert.equal((await ann.hears('getMessage')).text, 'from messenger');
    ann.emit('sendMessage', { senderId: annUser.id, receiverId: member.user.id, text: 'back' });
    assert.equal((await member.next('new_message', ({ message }) => message.content === 'back')).message.content, 'back');
  });
});
