// The chat at `/` as a page: how it is served, its size and speed, texts that stay texts, and access for everybody.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';

import { useBrowser } from '../lib/browser.mjs';
import { makeGroup, people } from '../lib/chat.mjs';
import { PDF, tryUpload } from '../lib/files.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { pipelined } from '../lib/wait.mjs';
import { bubble, enter, item, known, say, sees, texts, ticked } from '../lib/web-chat.mjs';

const ENV = { RATE_LIMIT_EVENTS: '0', RATE_LIMIT_LOGINS: '0' };
/** Maximum length of a task that nobody notices. */
const LONG_TASK_MS = 50;

describe('the page of the chat', () => {
  const browser = useBrowser();
  const holder = useServer({ env: ENV });
  const server = () => holder.server;

  const get = (path, headers = {}) => fetch(server().url + path, { headers });
  const files = async () => [...(await (await get('/')).text()).matchAll(/(?:src|href)="(\/web-chat\/[^"]+)"/g)].map(([, path]) => path);

  // ---- served ----

  it('runs nothing but its own scripts, takes no text for markup, and nobody frames it', async () => {
    const response = await get('/');
    const policy = response.headers.get('content-security-policy');
    for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"]) {
      assert.ok(policy.includes(part), policy);
    }
    assert.doesNotMatch(policy, /unsafe|\*/);
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
    assert.doesNotMatch(await response.text(), / on[a-z]+=|style=|https?:|<script>/);
  });

  it('its files are kept for ever under names that change with them, and come compressed', async () => {
    const page = await get('/');
    assert.equal(page.headers.get('cache-control'), 'no-cache');
    assert.equal((await get('/', { 'if-none-match': page.headers.get('etag') })).status, 304);
    const paths = await files();
    assert.ok(paths.length > 8, paths.join());
    for (const path of paths) {
      const response = await get(path, { 'accept-encoding': 'gzip' });
      assert.equal(response.status, 200, path);
      assert.match(response.headers.get('cache-control'), /max-age=31536000, immutable/);
      assert.equal(response.headers.get('content-encoding'), 'gzip', path);
      assert.match(response.headers.get('vary'), /accept-encoding/i);
      const plain = await get(path, { 'accept-encoding': 'identity' });
      assert.equal(plain.headers.get('content-encoding'), null);
      assert.equal(await plain.text(), await response.text(), path);
      const again = await get(path, { 'if-none-match': response.headers.get('etag') });
      assert.deepEqual([again.status, await again.text()], [304, '']);
    }
    for (const path of ['/web-chat/0123456789abcdef/app.js', paths[0].replace(/[^/]+$/, 'nothing.js'), paths[0].replace(/[^/]+$/, '..%2fapp.js')]) {
      assert.equal((await get(path)).status, 404, path);
    }
  });

  it('is small', async () => {
    let [own, all] = [0, 0];
    for (const path of (await files()).filter((path) => path.endsWith('.js'))) {
      const size = gzipSync(await (await get(path)).text(), { level: 9 }).length;
      all += size;
      if (!path.includes('/vendor/')) own += size;
    }
    assert.ok(own > 5_000 && own <= 60 * 1024, `its own scripts: ${own} bytes`);
    assert.ok(all <= 150 * 1024, `with the client: ${all} bytes`);
  });

  it('WEB_CHAT=off: nothing is there', async (test) => {
    const without = await Server.start({ env: { WEB_CHAT: 'off' } });
    test.after(() => without.remove());
    for (const path of ['/', ...(await files())]) {
      const { status, body } = await without.api('GET', path);
      assert.deepEqual([status, body.code], [404, 'NOT_FOUND'], path);
    }
  });

  it('finds the sockets and the way in where settings put them', async (test) => {
    const other = await Server.start({ env: { ...ENV, SOCKET_PATH: '/so"<ket', ALLOW_REGISTRATION: 'false' } });
    test.after(() => other.remove());
    await enter(browser, test, other, newUser('ann'));
    const door = await browser.page(test, other);
    await door.goto(other.url);
    await door.getByRole('heading', { name: 'Log in' }).waitFor();
    assert.equal(await door.getByRole('button', { name: 'Make an account' }).count(), 0);
  });

  it('is painted within a second', async (test) => {
    const paints = [];
    for (let tries = 0; tries < 3 && !(paints.at(-1) <= 1_000); tries++) {
      const page = await browser.page(test, server());
      await page.goto(server().url);
      await page.getByRole('heading', { name: 'Log in' }).waitFor();
      paints.push(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime));
    }
    assert.ok(paints.at(-1) <= 1_000, `${paints} ms`);
  });

  // ---- texts are texts ----

  it('no name, text, file name or room is anything but text', async (test) => {
    const markup = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>';
    const bidi = '\u202Egnp.exe\u2066 \u200F\u0301\u0301';
    const long = 'W'.repeat(10_000);
    const [ann] = await known(server(), 'ann');
    const eve = newUser('eve', { username: `${markup.slice(0, 40)}${process.pid}`, fullName: `${markup} ${bidi}`.slice(0, 100) });
    const [writer] = await people(test, server(), ['writer']);
    await server().api('GET', '/api/auth/me', { token: eve.token });
    const page = await enter(browser, test, server(), ann);
    await page.evaluate(() => {
      window.added = [];
      new MutationObserver((changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach((node) => {
        if (node.nodeType === 1) window.added.push(...[node, ...node.querySelectorAll('*')].map(({ tagName }) => tagName));
      }))).observe(document.body, { childList: true, subtree: true });
    });
    const { file } = (await tryUpload(server(), eve.token, `${markup.replaceAll('/', '')}${bidi}.pdf`, PDF, 'application/pdf')).body;
    const send = (body) => server().api('POST', '/api/messages', { token: eve.token, body: { from: eve.id, to: { user: ann.id }, ...body } });
    for (const content of [markup, bidi, long, `javascript:alert(1) https://example.org/"onmouseover="window.pwned=1 https://example.org/<b>`]) await send({ content });
    const group = await makeGroup(server(), writer, [{ user: ann }, { user: eve }], `${markup} ${bidi}`.slice(0, 100));
    await server().api('POST', `/api/conversations/${group}/messages`, { token: eve.token, body: { content: markup, file } });
    await item(page, '<img src=x').last().click();
    await sees(page, 'javascript:alert');
    const links = await page.locator('.text a').evaluateAll((all) => all.map(({ href, rel, target }) => ({ scheme: new URL(href).protocol, rel, target })));
    assert.deepEqual(links, Array.from({ length: 2 }, () => ({ scheme: 'https:', rel: 'noopener noreferrer nofollow', target: '_blank' })));
    await page.getByRole('button', { name: 'Show all' }).click();
    await bubble(page, long.slice(0, 3_000)).waitFor();
    await item(page, 'script').first().click();
    await page.locator('.file').waitFor();
    await page.getByRole('button', { name: 'New conversation' }).click();
    await page.getByRole('button', { name: 'Room', exact: true }).click();
    await page.getByLabel('Name of the room').fill(`${markup} ${bidi}`);
    await page.getByRole('button', { name: 'Join' }).click();
    await page.getByRole('heading', { name: '<img' }).waitFor();
    await say(page, markup);
    await sees(page, '<script>');
    assert.equal(await page.evaluate(() => window.pwned), undefined);
    const added = new Set(await page.evaluate(() => window.added));
    for (const tag of ['IMG', 'SCRIPT', 'B', 'IFRAME', 'OBJECT', 'EMBED', 'LINK']) assert.ok(!added.has(tag), tag);
    const [wide, shown] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
    assert.ok(wide <= shown, `no scrolling sideways: ${wide} in ${shown}`);
    assert.deepEqual(page.failures, []);
  });

  it('asks no other host for anything, whatever a message or a profile says', async (test) => {
    const [ann, eve] = await known(server(), 'ann', 'eve');
    await server().api('PATCH', '/api/users/me', { token: eve.token, body: { avatar: 'https://example.org/spy.png' } });
    const page = await browser.page(test, server());
    const asked = [];
    page.on('request', (request) => asked.push(new URL(request.url()).origin));
    await page.goto(`${server().url}/#token=${ann.token}`);
    assert.equal(new URL(page.url()).hash, '', 'the token is out of the address');
    await server().api('POST', '/api/messages', { token: eve.token, body: { from: eve.id, to: { user: ann.id }, content: '![](https://example.org/spy.png) https://example.org/spy.png' } });
    await item(page, eve.username).click();
    await sees(page, 'spy.png');
    assert.deepEqual([...new Set(asked)].filter((origin) => origin !== server().url && origin !== 'null'), []);
  });

  // ---- access ----

  it('by the keyboard alone', async (test) => {
    const [ann, bob] = await known(server(), 'ann', 'bob');
    const page = await enter(browser, test, server(), ann);
    const tabTo = async (wanted) => {
      for (let tabs = 0; tabs < 40; tabs++) {
        await page.keyboard.press('Tab');
        const { name, seen } = await page.evaluate(() => {
          const { activeElement: at } = document;
          const { outlineStyle, outlineWidth } = getComputedStyle(at);
          return { name: at.getAttribute('aria-label') ?? at.labels?.[0]?.textContent.trim() ?? at.textContent.trim(), seen: outlineStyle !== 'none' && outlineWidth !== '0px' };
        });
        assert.ok(seen, `the focus on ${name} can be seen`);
        if (name.includes(wanted)) return;
      }
      assert.fail(`no way to ${wanted}`);
    };
    await tabTo('New conversation');
    await page.keyboard.press('Enter');
    await tabTo('Whom do you want to write to?');
    await page.keyboard.type(bob.username);
    await page.locator('button.person', { hasText: bob.username }).waitFor();
    await tabTo(bob.username);
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.activeElement.tagName === 'TEXTAREA');
    await page.keyboard.type('one line');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('and another');
    await page.keyboard.press('Enter');
    await ticked(page, 'one line\nand another', 'Sent');
    await page.keyboard.press('Shift+Tab');
    await tabTo('Message');
    await page.getByRole('button', { name: 'Settings' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Settings', 'back where one was');
  });

  it('whoever cannot see hears what comes', async (test) => {
    const [ann] = await known(server(), 'ann');
    const [bob] = await people(test, server(), ['bob']);
    const page = await enter(browser, test, server(), ann);
    await bob.succeed('send_direct_message', { recipientId: ann.id, content: 'Can you hear me?' });
    await page.locator('[aria-live=polite]', { hasText: `${bob.user.username}: Can you hear me?` }).waitFor({ state: 'attached' });
    await item(page, bob.user.username).locator('.badge', { hasText: '1 unread' }).waitFor();
  });

  // ---- much ----

  it('5 000 messages are scrolled through, and the page is never busy for long', { timeout: 240_000 }, async (test) => {
    const [ann] = await known(server(), 'ann');
    const [bob] = await people(test, server(), ['bob']);
    await pipelined(5_000, 50, (index) => bob.succeed('send_direct_message', { recipientId: ann.id, content: `message ${index}: ${'word '.repeat(1 + (index % 30))}` }));
    const page = await browser.page(test, server());
    await page.goto(`${server().url}/#token=${ann.token}`);
    await item(page, bob.user.username).click();
    await sees(page, 'message 4999:');
    let [seen, rows] = [0, 0];
    const longest = await browser.longestTask(page, async () => {
      ({ seen, rows } = await page.evaluate(async () => {
        const scroller = document.querySelector('.scroll');
        const seen = new Set();
        let rows = 0;
        // By time: on a busy machine it waits at the top for many a page.
        for (const until = performance.now() + 180_000; performance.now() < until && !seen.has('0');) {
          for (const { textContent } of document.querySelectorAll('.row .text')) seen.add(/^message (\d+):/.exec(textContent)?.[1]);
          rows = Math.max(rows, document.querySelectorAll('.row').length);
          scroller.scrollTop -= 600;
          await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
        }
        return { seen: seen.size, rows };
      }));
    });
    assert.equal(seen, 5_000);
    assert.ok(rows <= 200, `${rows} messages are drawn at once`);
    // A new message does not move what one reads.
    const top = () => page.evaluate(() => document.querySelector('.row .text').getBoundingClientRect().top);
    const before = await top();
    await bob.succeed('send_direct_message', { recipientId: ann.id, content: 'message 5000: fresh' });
    await item(page, 'message 5000: fresh').waitFor();
    assert.equal(await top(), before);
    await page.getByRole('button', { name: 'To the newest messages' }).click();
    await sees(page, 'message 5000: fresh');
    assert.deepEqual(page.failures, []);
    test.diagnostic(`longest task: ${longest} ms`);
    assert.ok(longest <= LONG_TASK_MS, `a task of ${longest} ms`);
  });

  it('the settings of the colours are kept', async (test) => {
    const [ann] = await known(server(), 'ann');
    const page = await enter(browser, test, server(), ann, { colorScheme: 'light' });
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByLabel('Dark').check();
    assert.notEqual(await ground(), light);
    await page.reload();
    assert.notEqual(await ground(), light);
    assert.deepEqual(await texts(page), []);
  });
});
