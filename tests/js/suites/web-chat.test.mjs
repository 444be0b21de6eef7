// The chat at `/` in a real browser: everything that people do in it, also when the server or the network fails.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';

import { useBrowser } from '../lib/browser.mjs';
import { makeGroup, people } from '../lib/chat.mjs';
import { PDF, PNG } from '../lib/files.mjs';
import { Model } from '../lib/model.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';
import { bubble, enter, item, known, say, sees, texts, ticked, writeTo } from '../lib/web-chat.mjs';

const ENV = { RATE_LIMIT_EVENTS: '0', RATE_LIMIT_LOGINS: '0' };

describe('the chat at /', () => {
  const browser = useBrowser();
  const holder = useServer({ env: { ...ENV, SHUTDOWN_TIMEOUT: '1s' } });
  const server = () => holder.server;

  /** Two people in their conversation, each in a browser of their own. */
  async function two(test) {
    const [ann, bob] = await known(server(), 'ann', 'bob');
    const [here, there] = [await enter(browser, test, server(), ann), await enter(browser, test, server(), bob)];
    await writeTo(here, bob);
    await say(here, 'Hello, Bob!');
    await item(there, ann.username).click();
    await sees(there, 'Hello, Bob!');
    return [here, there];
  }

  it('somebody registers, writes, logs out and in again', async (test) => {
    const [bob] = await known(server(), 'bob');
    const page = await browser.page(test, server());
    await page.goto(server().url);
    await page.getByRole('button', { name: 'Make an account' }).click();
    const name = newUser('zoe').username;
    await page.getByLabel('Username').fill(name);
    await page.getByLabel('Name (optional)').fill('Zoë Fuchs');
    await page.getByLabel('E-mail').fill(`${name}@example.org`);
    await page.getByLabel('Password').fill('a long password');
    await page.keyboard.press('Enter');
    await page.getByText('No conversations yet').waitFor();
    await writeTo(page, bob);
    await say(page, 'First!');
    await ticked(page, 'First!', 'Sent');
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('heading', { name: 'Log in' }).waitFor();
    await page.getByLabel('Username or e-mail').fill(name);
    await page.getByLabel('Password').fill('not the password');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('Invalid credentials').waitFor();
    await page.getByLabel('Password').fill('a long password');
    await page.keyboard.press('Enter');
    await item(page, bob.username).click();
    await sees(page, 'First!');
    // The cookie still counts, and no script can read it.
    await page.reload();
    await sees(page, 'First!');
    assert.equal(await page.evaluate(() => document.cookie), '');
    assert.deepEqual(page.failures, []);
  });

  it('two people talk: typing, ticks, presence, what is unread', async (test) => {
    const [here, there] = await two(test);
    await ticked(here, 'Hello, Bob!', 'Read');
    await here.locator('.sub', { hasText: 'Online' }).waitFor();
    await there.getByLabel('Message', { exact: true }).pressSequentially('Hel');
    await here.locator('.sub', { hasText: 'typing…' }).waitFor();
    await say(there, 'Hello, Ann!');
    await sees(here, 'Hello, Ann!');
    await here.locator('.sub', { hasText: 'Online' }).waitFor();
    // Ann looks elsewhere, so she has not read it.
    await here.getByRole('button', { name: 'New conversation' }).click();
    await here.getByRole('button', { name: 'Write to yourself' }).click();
    await say(there, 'Are you there?');
    await item(here, there.user.username).locator('.badge').waitFor();
    await here.waitForFunction(() => document.title.startsWith('(1) '));
    await ticked(there, 'Are you there?', 'Delivered');
    await item(here, there.user.username).click();
    await ticked(there, 'Are you there?', 'Read');
    assert.equal(await item(here, there.user.username).locator('.badge').count(), 0);
    await there.context().close();
    await here.locator('.sub', { hasText: 'Last seen' }).waitFor();
    assert.deepEqual(here.failures, []);
  });

  it('a message is edited, and another deleted, on both sides', async (test) => {
    const [here, there] = await two(test);
    await say(here, 'A mitsake');
    await say(here, 'Nonsense');
    await sees(there, 'Nonsense');
    await ticked(here, 'Nonsense', 'Read');
    here.on('dialog', (dialog) => dialog.accept());
    await bubble(here, 'A mitsake').hover();
    await bubble(here, 'A mitsake').getByRole('button', { name: 'Edit' }).click();
    await here.getByText('Editing your message').waitFor();
    await say(here, 'A mistake');
    await bubble(there, 'A mistake').getByText('edited').waitFor();
    await bubble(here, 'Nonsense').hover();
    await bubble(here, 'Nonsense').getByRole('button', { name: 'Delete' }).click();
    await bubble(there, 'Nonsense').waitFor({ state: 'detached' });
    assert.deepEqual(await texts(here), ['Hello, Bob!', 'A mistake']);
    assert.deepEqual(await texts(there), ['Hello, Bob!', 'A mistake']);
  });

  it('two devices of one user show the same, each message once', async (test) => {
    const [here, there] = await two(test);
    const phone = await enter(browser, test, server(), here.user, { viewport: { width: 390, height: 800 } });
    await item(phone, there.user.username).click();
    await sees(phone, 'Hello, Bob!');
    await say(phone, 'From my phone');
    await sees(here, 'From my phone');
    await sees(there, 'From my phone');
    await say(here, 'From my desk');
    await sees(phone, 'From my desk');
    await say(there, 'To both');
    await sees(here, 'To both');
    await sees(phone, 'To both');
    for (const page of [here, there, phone]) assert.deepEqual(await texts(page), ['Hello, Bob!', 'From my phone', 'From my desk', 'To both']);
    await phone.getByRole('button', { name: 'Back to the list' }).click();
    await item(phone, there.user.username).waitFor();
  });

  it('a group is made, talks, changes and is left', async (test) => {
    const [here, there] = await two(test);
    const [eve] = await known(server(), 'eve');
    await here.getByRole('button', { name: 'New conversation' }).click();
    await here.getByRole('button', { name: 'Group', exact: true }).click();
    await here.getByLabel('Name of the group').fill('Hikers');
    await here.getByLabel('Who is in it?').fill(there.user.username);
    await here.locator('button.person', { hasText: there.user.username }).click();
    await here.getByRole('button', { name: 'Make the group' }).click();
    await here.getByRole('heading', { name: 'Hikers' }).waitFor();
    await say(here, 'Sunday?');
    await item(there, 'Hikers').click();
    await sees(there, 'Sunday?');
    await say(there, 'Yes!');
    await bubble(here, 'Yes!').locator('.author', { hasText: there.user.username }).waitFor();
    await here.getByRole('button', { name: 'About this group' }).click();
    await here.getByRole('dialog').getByLabel('Name').fill('Climbers');
    // What arrives meanwhile leaves alone what was typed.
    await say(there, 'Where?');
    await bubble(here, 'Where?').waitFor();
    await here.getByRole('button', { name: 'Rename' }).click();
    await there.getByRole('heading', { name: 'Climbers' }).waitFor();
    await here.getByRole('button', { name: 'Add somebody' }).click();
    await here.getByLabel('Whom do you want to add?').fill(eve.username);
    await here.locator('button.person', { hasText: eve.username }).click();
    await there.locator('.sub', { hasText: '3 members' }).waitFor();
    there.on('dialog', (dialog) => dialog.accept());
    await there.getByRole('button', { name: 'About this group' }).click();
    await there.getByRole('button', { name: 'Leave the group' }).click();
    await item(there, 'Climbers').waitFor({ state: 'detached' });
    await here.locator('.sub', { hasText: '2 members' }).waitFor();
    for (const page of [here, there]) assert.deepEqual(page.failures, []);
  });

  it('a public room is joined, and joined again after a reload', async (test) => {
    const [here, there] = await two(test);
    for (const page of [here, there]) {
      await page.getByRole('button', { name: 'New conversation' }).click();
      await page.getByRole('button', { name: 'Room', exact: true }).click();
      await page.getByLabel('Name of the room').fill('market square');
      await page.getByRole('button', { name: 'Join' }).click();
      await page.getByRole('heading', { name: '#market square' }).waitFor();
    }
    await say(here, 'Fresh fish!');
    await sees(there, 'Fresh fish!');
    await sees(here, 'Fresh fish!');
    await there.reload();
    await sees(there, 'Fresh fish!');
    await say(here, 'Still fresh!');
    await sees(there, 'Still fresh!');
    there.on('dialog', (dialog) => dialog.accept());
    await there.getByRole('button', { name: 'About this room' }).click();
    await there.getByRole('button', { name: 'Leave the room' }).click();
    await item(there, 'market square').waitFor({ state: 'detached' });
  });

  it('pictures are shown and files are offered, and what is no good is refused in words', async (test) => {
    const [here, there] = await two(test);
    const picker = here.locator('input[type=file]');
    await picker.setInputFiles({ name: 'cat.png', mimeType: 'image/png', buffer: PNG });
    await here.getByRole('button', { name: 'Remove the file' }).waitFor();
    await say(here, 'My cat');
    await there.getByRole('img', { name: 'cat.png' }).waitFor();
    await there.waitForFunction(() => document.querySelector('.picture img').naturalWidth === 1);
    await picker.setInputFiles({ name: 'notes.pdf', mimeType: 'application/pdf', buffer: PDF });
    await here.getByRole('button', { name: 'Remove the file' }).waitFor();
    await here.getByRole('button', { name: 'Send' }).click();
    const link = there.locator('a.file', { hasText: 'notes.pdf' });
    await link.waitFor();
    assert.match(await link.getAttribute('href'), /^\/uploads\/[\w-]+\.pdf$/);
    await picker.setInputFiles({ name: 'run.exe', mimeType: 'application/octet-stream', buffer: Buffer.from('MZ\0\0') });
    await here.getByRole('alert').getByText('Invalid file type').waitFor();
    assert.deepEqual(there.failures, []);
  });

  it('what is written while the server is dead is sent once it is back: once, in order', async (test) => {
    const [here, there] = await two(test);
    server().env.PORT = new URL(server().url).port;
    await server().end('SIGKILL');
    await here.getByText('You are offline').waitFor();
    await say(here, 'one');
    await say(here, 'two');
    await ticked(here, 'two', 'Not sent yet');
    await say(there, 'meanwhile');
    await server().launch();
    for (const page of [here, there]) {
      for (const text of ['one', 'two', 'meanwhile']) await sees(page, text);
    }
    await ticked(here, 'two', 'Read');
    const shown = (await texts(there)).filter((text) => text !== 'meanwhile');
    assert.deepEqual(shown, ['Hello, Bob!', 'one', 'two']);
  });

  it('what waits survives the end of the page', async (test) => {
    const [here, there] = await two(test);
    server().env.PORT = new URL(server().url).port;
    await server().end('SIGKILL');
    await here.getByText('You are offline').waitFor();
    await say(here, 'written before the reload');
    await ticked(here, 'written before the reload', 'Not sent yet');
    await here.goto('about:blank');
    await server().launch();
    await here.goto(server().url);
    await sees(there, 'written before the reload');
    await item(here, there.user.username).click();
    await sees(here, 'written before the reload');
    assert.deepEqual(await here.evaluate(() => Object.keys(localStorage).filter((key) => key.includes('outbox'))), []);
  });

  it('the server dies in the middle of a talk, and nothing is lost or doubled', async (test) => {
    const [here, there] = await two(test);
    server().env.PORT = new URL(server().url).port;
    const wanted = Array.from({ length: 12 }, (_, index) => `number ${index}.`);
    for (const [index, text] of wanted.entries()) {
      await say(here, text);
      if (index % 5 === 3) {
        await server().end('SIGKILL');
        await server().launch();
      }
    }
    for (const text of wanted) await bubble(there, text).first().waitFor();
    await ticked(here, wanted.at(-1), 'Read');
    for (const page of [here, there]) assert.deepEqual((await texts(page)).slice(1), wanted);
  });

  it('a message that is refused says why, and is sent again or discarded', async (test) => {
    const short = await Server.start({ env: { ...ENV, MAX_MESSAGE_LENGTH: '20' } });
    test.after(() => short.remove());
    const [ann, bob] = [newUser('ann'), newUser('bob')];
    for (const { token } of [ann, bob]) await short.api('GET', '/api/auth/me', { token });
    const page = await enter(browser, test, short, ann);
    await writeTo(page, bob);
    await say(page, 'much more than twenty characters');
    await page.locator('.refused', { hasText: 'the text is too long' }).waitFor();
    await say(page, 'short');
    await ticked(page, 'short', 'Sent');
    await page.getByRole('button', { name: 'Discard' }).click();
    await bubble(page, 'much more').waitFor({ state: 'detached' });
    await page.reload();
    await sees(page, 'short');
    assert.deepEqual(await texts(page), ['short']);
  });

  it('who is put out is told why', async (test) => {
    const [ann] = await known(server(), 'ann');
    const page = await enter(browser, test, server(), ann);
    await server().api('POST', '/api/auth/logout', { token: ann.token });
    await page.getByRole('heading', { name: 'Log in' }).waitFor();
    await page.getByRole('alert').getByText(/not valid any more/).waitFor();
  });

  it('the list goes on where there are more conversations than a page has', async (test) => {
    const [ann] = await known(server(), 'ann');
    const [writer] = await people(test, server(), ['writer']);
    const made = [];
    for (let index = 0; index < 103; index++) made.push(await makeGroup(server(), writer, [{ user: ann }], `Group ${index}`));
    const page = await enter(browser, test, server(), ann);
    await item(page, 'Group 102').waitFor();
    assert.equal(await item(page, /Group \d/).count(), 100);
    await page.getByRole('button', { name: 'Show more' }).click();
    await item(page, 'Group 0').waitFor();
    assert.equal(await item(page, /Group \d/).count(), 103);
    await page.getByRole('searchbox', { name: 'Search conversations' }).fill('group 77');
    assert.equal(await item(page, /Group \d/).count(), 1);
    await writer.succeed('send_group_message', { conversationId: made[0], content: 'wake up' });
    await page.getByRole('searchbox', { name: 'Search conversations' }).fill('');
    await page.waitForFunction(() => document.querySelector('.item .name').textContent === 'Group 0');
  });
});

describe('the chat at / and a page that sleeps', () => {
  const browser = useBrowser();
  const holder = useServer({ env: { ...ENV, PING_INTERVAL: '1s', PING_TIMEOUT: '2s', RECOVERY_TTL: '300ms', PRESENCE_GRACE: '100ms' } });

  it('shows what was said meanwhile, without a gap', async (test) => {
    const { server } = holder;
    const [bob] = await people(test, server, ['bob']);
    const ann = newUser('ann');
    const page = await enter(browser, test, server, ann);
    await writeTo(page, bob.user);
    await say(page, 'good night');
    await ticked(page, 'good night', 'Delivered');
    const wake = await browser.sleep();
    test.after(wake);
    await bob.next('user_offline', ({ userId }) => userId === ann.id);
    for (let index = 0; index < 250; index++) await bob.succeed('send_direct_message', { recipientId: ann.id, content: `dream ${index}.` });
    wake();
    await sees(page, 'dream 249.');
    const count = await page.evaluate(async () => {
      const scroller = document.querySelector('.scroll');
      const seen = new Set();
      for (let tries = 0; tries < 400 && !seen.has('good night'); tries++) {
        document.querySelectorAll('.row .text').forEach(({ textContent }) => seen.add(textContent));
        scroller.scrollTop -= 500;
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
      }
      return seen.size;
    });
    assert.equal(count, 251);
  });
});

describe('the chat at / and a model', () => {
  const browser = useBrowser();

  it('an answer appears as it is written, and is kept', async (test) => {
    const model = await Model.start('openai');
    test.after(() => model.kill());
    const server = await Server.start({ env: { ...ENV, ...model.env } });
    test.after(() => server.remove());
    const page = await enter(browser, test, server, newUser('ann'));
    await page.getByRole('button', { name: 'New conversation' }).click();
    await page.getByRole('button', { name: 'Assistant' }).click();
    for (const [question, pieces] of [['Why is the sky blue?', ['Because air ', 'scatters blue ', 'light most.']], ['And at dusk?', ['Then it ', 'is red.']]]) {
      await say(page, question);
      const asked = await model.next();
      let so = '';
      for (const piece of pieces) {
        await asked.piece(piece);
        so += piece;
        await page.locator('.streaming .text', { hasText: so.trim() }).waitFor();
      }
      await asked.finish();
      await page.locator('.streaming').waitFor({ state: 'detached' });
      await sees(page, so);
    }
    await page.reload();
    await sees(page, 'Then it is red.');
    assert.equal((await texts(page)).length, 4);
    await say(page, 'And on Mars?');
    (await model.next()).refuse(500);
    await page.getByRole('alert').getByText(/could not answer|failed|try again/i).waitFor();
    assert.deepEqual(page.failures, []);
  });
});

/** A browser's storage, without a browser. */
class MemoryStorage extends Map {
  get length() {
    return this.size;
  }

  key(index) {
    return [...this.keys()][index];
  }

  getItem(key) {
    return this.get(key) ?? null;
  }

  setItem(key, value) {
    this.set(key, value);
  }

  removeItem(key) {
    this.delete(key);
  }
}

describe('the connection, copied out of the page', () => {
  const holder = useServer({ env: ENV });

  /** The file as docs/writing-a-front-end.md has it copied: with its import changed, and nothing else. */
  async function copied(test) {
    const folder = mkdtempSync(join(tmpdir(), 'parlance-copied-'));
    test.after(() => rmSync(folder, { recursive: true, force: true }));
    const text = readFileSync(new URL('../../../src/webchat/page/parlance.js', import.meta.url), 'utf8');
    const own = text.replace("'./vendor/socket.io.js'", JSON.stringify(import.meta.resolve('sio48')));
    assert.notEqual(own, text);
    writeFileSync(join(folder, 'parlance.mjs'), own);
    return (await import(pathToFileURL(join(folder, 'parlance.mjs')))).Connection;
  }

  it('keeps messages while the server is dead, and sends them by the next connection: once, in order', async (test) => {
    const { server } = holder;
    const Connection = await copied(test);
    const storage = new MemoryStorage();
    const [ann, bob] = [newUser('ann'), newUser('bob')];
    const open = (user, options) => {
      const connection = new Connection({ url: server.url, user: user.id, token: () => user.token, ...options });
      test.after(() => connection.close());
      return connection;
    };
    const is = (connection, state) => new Promise((resolve) => (connection.state === state ? resolve() : connection.on('state', (now) => now === state && resolve())));
    const heard = [];
    let last;
    const all = new Promise((resolve) => (last = resolve));
    const reader = open(bob, { storage: null }).on('event', (name, { message }) => {
      if (name === 'new_message') heard.push(message.content);
      if (message?.content === 'last') last();
    });
    const first = open(ann, { storage });
    await within(LIMIT, 'both to be online', Promise.all([is(reader, 'online'), is(first, 'online')]));
    server.env.PORT = new URL(server.url).port;
    await server.end('SIGKILL');
    await within(LIMIT, 'the cut to be seen', is(first, 'offline'));
    for (const content of ['one', 'two', 'three']) first.send('send_direct_message', { recipientId: bob.id, content });
    first.close();
    assert.equal(storage.size, 3);
    await server.launch();
    const second = open(ann, { storage });
    const stored = new Promise((resolve) => second.on('outbox', () => second.outbox.entries.length === 0 && resolve()));
    await within(LIMIT, 'all to be stored', stored);
    assert.equal(storage.size, 0);
    second.send('send_direct_message', { recipientId: bob.id, content: 'last' });
    await within(LIMIT, 'all to be heard', all);
    assert.deepEqual(heard, ['one', 'two', 'three', 'last']);
  });

  it('says why a message was refused, and sends those behind it', async (test) => {
    const { server } = holder;
    const Connection = await copied(test);
    const [ann, bob] = [newUser('ann'), newUser('bob')];
    await server.api('GET', '/api/auth/me', { token: bob.token });
    const connection = new Connection({ url: server.url, user: ann.id, token: () => ann.token, storage: null });
    test.after(() => connection.close());
    const failed = new Promise((resolve) => connection.on('failed', (entry, refusal) => resolve([entry.payload.content, refusal.code, refusal.error])));
    const sent = new Promise((resolve) => connection.on('sent', (entry, answer) => resolve([entry.payload.content, answer.message.content])));
    connection.send('send_direct_message', { recipientId: bob.id, content: '' });
    connection.send('send_direct_message', { recipientId: bob.id, content: 'found' });
    assert.deepEqual(await within(LIMIT, 'a refusal', failed), ['', 'INVALID_PAYLOAD', 'Invalid content']);
    assert.deepEqual(await within(LIMIT, 'an answer', sent), ['found', 'found']);
    assert.deepEqual(connection.outbox.entries.map(({ state }) => state), ['failed']);
  });
});
