// The demo at `/`: two people side by side until somebody has an account, on this machine only.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { describe, it } from 'node:test';

import { picture, useBrowser } from '../lib/browser.mjs';
import { BINARY, Server } from '../lib/server.mjs';

/** A first start: no setting of accounts. */
const PLAIN = { JWT_SECRET: '', AUTO_PROVISION_USERS: '' };
/** Maximum time from the start to the first message on the other side. */
const FIRST_MS = 10_000;
const DIALECTS = ['messenger', 'conversation', 'listing', 'agent'];

const pane = (page, name) => page.getByRole('region', { name: new RegExp(`^${name}, who speaks`) });
const shown = (page, name, text) => pane(page, name).locator('.bubble', { hasText: text });

async function say(page, name, text) {
  await page.getByLabel(`Write as ${name}`, { exact: true }).fill(text);
  await page.keyboard.press('Enter');
}

describe('the demo at /', () => {
  const browser = useBrowser();

  async function plain(test, env = {}) {
    const server = await Server.start({ env: { ...PLAIN, ...env } });
    test.after(() => server.remove());
    return server;
  }

  async function demo(test, server, options) {
    const page = await browser.page(test, server, options);
    await page.goto(server.url);
    await shown(page, 'Ada', 'Hello Ada!').waitFor();
    return page;
  }

  const begin = (server, headers) => server.api('POST', '/api/demo', { headers });
  const people = async (server) => (await begin(server)).body.people;

  /** Status of `POST /api/demo` with headers that `fetch` does not send. */
  const statusWith = (server, headers) => new Promise((resolve, reject) => {
    const { hostname, port } = new URL(server.url);
    request({ hostname, port, path: '/api/demo', method: 'POST', headers }, (response) => resolve(response.resume().statusCode)).on('error', reject).end();
  });

  it('two people talk without a word typed, ten seconds after the start', async (test) => {
    // The browser runs before the server starts.
    const context = await browser.browser.newContext();
    test.after(() => context.close());
    const page = await context.newPage();
    const server = await plain(test);
    const listening = Date.now();
    await page.goto(server.url);
    await shown(page, 'Ben', 'Hello Ben! I speak messenger.').waitFor();
    const took = Date.now() - listening;
    assert.ok(took <= FIRST_MS, `${took} ms`);
    await shown(page, 'Ada', 'My front end speaks conversation').waitFor();
  });

  it('each writes in any dialect, and sees typing, ticks and the wire', async (test) => {
    const page = await demo(test, await plain(test));
    for (const one of DIALECTS) {
      for (const other of DIALECTS) {
        await pane(page, 'Ada').getByRole('combobox').selectOption(one);
        await pane(page, 'Ben').getByRole('combobox').selectOption(other);
        for (const name of ['Ada', 'Ben']) await pane(page, name).locator('.sub', { hasText: /Connected|online/ }).waitFor();
        const [text, answer] = [`${one} to ${other}`, `${other} back to ${one}`];
        await say(page, 'Ada', text);
        await shown(page, 'Ben', text).waitFor();
        await say(page, 'Ben', answer);
        await shown(page, 'Ada', answer).waitFor();
        for (const name of ['Ada', 'Ben']) {
          for (const said of [text, answer]) {
            // Whose words they are sees them by the answer, which may come behind the other's copy.
            await shown(page, name, said).first().waitFor();
            assert.equal(await shown(page, name, said).count(), 1, `${said}, once at ${name}`);
          }
        }
      }
    }
    await pane(page, 'Ada').getByRole('combobox').selectOption('messenger');
    await pane(page, 'Ben').getByRole('combobox').selectOption('conversation');
    for (const name of ['Ada', 'Ben']) await pane(page, name).locator('.sub', { hasText: /Connected|online/ }).waitFor();
    await page.getByLabel('Write as Ben', { exact: true }).pressSequentially('Last');
    await pane(page, 'Ada').locator('.sub', { hasText: 'Ben is typing…' }).waitFor();
    await say(page, 'Ben', 'Last words');
    await shown(page, 'Ada', 'Last words').waitFor();
    await shown(page, 'Ben', 'Last words').locator('.ticks', { hasText: 'Read' }).waitFor();
    await pane(page, 'Ben').locator('.wire .out', { hasText: '"message:send"' }).filter({ hasText: 'Last words' }).waitFor();
    await pane(page, 'Ada').locator('.wire .in', { hasText: '"new_message"' }).filter({ hasText: 'Last words' }).waitFor();
    assert.doesNotMatch(await page.locator('body').innerText(), /eyJ/, 'no token is shown');
    assert.deepEqual(page.failures, []);
  });

  it('its people have no password, and go when somebody registers', async (test) => {
    const server = await plain(test);
    const page = await demo(test, server);
    const [ada] = await people(server);
    assert.match(ada.user.id, /^demo:/, 'they are marked');
    assert.equal((await server.api('GET', '/api/auth/me', { token: ada.token })).status, 200);
    for (const password of ['', 'demo', 'password']) {
      assert.equal((await server.api('POST', '/api/auth/login', { body: { login: ada.user.username, password } })).status, 401);
    }
    await page.getByRole('link', { name: 'Open the chat' }).click();
    await page.getByRole('button', { name: 'Make an account' }).click();
    await page.getByLabel('Username').fill('first');
    await page.getByLabel('E-mail').fill('first@example.org');
    await page.getByLabel('Password').fill('a long password');
    await page.keyboard.press('Enter');
    await page.getByText('No conversations yet').waitFor();
    assert.equal((await server.api('GET', '/api/auth/me', { token: ada.token })).status, 401);
    assert.equal((await begin(server)).status, 404);
    const other = await browser.page(test, server);
    await other.goto(server.url);
    await other.getByRole('heading', { name: 'Log in' }).waitFor();
  });

  it('nobody but this machine gets in: no proxy, no name that leads here', async (test) => {
    const server = await plain(test);
    const { port } = new URL(server.url);
    assert.equal(await statusWith(server, {}), 200);
    for (const headers of [
      { 'x-forwarded-for': '203.0.113.9' }, { forwarded: 'for=203.0.113.9' }, { via: '1.1 proxy' }, { 'x-real-ip': '203.0.113.9' },
      { host: `chat.example.org:${port}` }, { host: '192.168.0.7' },
    ]) assert.equal(await statusWith(server, headers), 404, JSON.stringify(headers));
    assert.equal(await statusWith(server, { origin: 'https://evil.example.org' }), 403);
    const page = await (await fetch(server.url, { headers: { 'x-forwarded-for': '203.0.113.9' } })).text();
    assert.match(page, /\/app\.js/, 'the chat, not the demo');
  });

  it('a server that others reach has none, and its tokens are worth nothing there', async (test) => {
    const server = await plain(test);
    const [ada] = await people(server);
    await server.end();
    server.env.HOST = '0.0.0.0';
    await server.launch();
    server.url = server.url.replace('0.0.0.0', '127.0.0.1');
    assert.equal((await begin(server)).status, 404);
    await waitFor(async () => (await server.api('GET', '/api/auth/me', { token: ada.token })).status === 401);
  });

  it('they go at the next start if the command line has made an account meanwhile', async (test) => {
    const server = await plain(test);
    const [ada] = await people(server);
    execFileSync(BINARY, ['user', 'add', 'carl', '--password', 'correct horse'], { env: server.env, cwd: server.folder });
    assert.equal((await begin(server)).status, 404, 'the demo is over');
    await server.end();
    await server.launch();
    await waitFor(async () => (await server.api('GET', '/api/auth/me', { token: ada.token })).status === 401);
  });

  it('whatever is set of accounts, store or origins, there is none; WEB_CHAT=demo asks for it', async (test) => {
    for (const env of [
      { JWT_SECRET: 'a secret of some length' }, { AUTO_PROVISION_USERS: 'true' }, { API_KEYS: 'a-key-that-is-long-enough' }, { CLIENT_URL: 'https://example.org' },
      { TRUSTED_PROXIES: '10.0.0.1' }, { ALLOW_REGISTRATION: 'false' }, { DATABASE_URL: 'sqlite://other.db' }, { WEB_CHAT: 'off' },
    ]) {
      const server = await plain(test, env);
      assert.equal((await begin(server)).status, 404, JSON.stringify(env));
      await server.remove();
    }
    const server = await plain(test, { WEB_CHAT: 'demo', JWT_SECRET: 'a secret of some length' });
    assert.equal((await begin(server)).status, 200);
    await server.api('POST', '/api/auth/register', { body: { username: 'first', email: 'f@example.org', password: 'a long password' } });
    assert.equal((await begin(server)).status, 200, 'also with accounts');
    const refused = spawnSync(BINARY, { env: { ...server.env, HOST: '0.0.0.0', DATA_DIR: `${server.folder}/other` }, cwd: server.folder, encoding: 'utf8' });
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, /WEB_CHAT/);
  });

  it('the README begins with a picture of it', async (test) => {
    const page = await demo(test, await plain(test), { colorScheme: 'light', viewport: { width: 1280, height: 760 } });
    await say(page, 'Ada', 'Shall we walk by the river?');
    await shown(page, 'Ben', 'river').waitFor();
    await say(page, 'Ben', 'Gladly. At four?');
    await shown(page, 'Ben', 'At four?').locator('.ticks', { hasText: 'Read' }).waitFor();
    const taken = await page.screenshot();
    if (process.env.PICTURE) writeFileSync(PICTURE, taken);
    assert.deepEqual(sizeOf(readFileSync(PICTURE)), sizeOf(taken));
    const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
    assert.match(readme, /^# Parlance\n\n!\[[^\]]+\]\(docs\/demo\.png\)/);
  });

  for (const [shape, options] of Object.entries({ light: { colorScheme: 'light' }, dark: { colorScheme: 'dark' }, phone: { viewport: { width: 390, height: 844 } } })) {
    it(`can be looked at: ${shape}`, async (test) => {
      const page = await demo(test, await plain(test), options);
      await say(page, 'Ada', 'Shall we walk by the river?');
      await shown(page, 'Ben', 'river').waitFor();
      await say(page, 'Ben', 'Gladly. At four?');
      await shown(page, 'Ben', 'At four?').locator('.ticks', { hasText: 'Read' }).waitFor();
      await picture(page, `web-chat-demo-${shape}`);
      const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
      assert.ok(wide <= seen, `no scrolling sideways: ${wide} in ${seen}`);
    });
  }
});

/** The README's picture, made by `PICTURE=yes npm test -- web-chat-demo`. */
const PICTURE = new URL('../../../docs/demo.png', import.meta.url);

/** Width and height of a PNG. */
const sizeOf = (png) => [png.readUInt32BE(16), png.readUInt32BE(20)];

/** Asks again until it is so, with a limit. */
async function waitFor(isSo) {
  const until = Date.now() + 20_000;
  while (!(await isSo())) assert.ok(Date.now() < until, String(isSo));
}
