// The administrators' page in a real browser: its figures move, its actions work, and it is accessible.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';

import { picture, useBrowser } from '../lib/browser.mjs';
import { people } from '../lib/chat.mjs';
import { connect } from '../lib/client.mjs';
import { BINARY, useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const KEY = 'the-key-of-a-server';

describe('the administrators\' page', () => {
  const browser = useBrowser();
  const holder = useServer({ env: { API_KEYS: KEY, RATE_LIMIT_EVENTS: '0', SHUTDOWN_TIMEOUT: '1s' } });
  const server = () => holder.server;

  /** Opens the page, not logged in. */
  async function outside(test, options) {
    const page = await browser.page(test, server(), options);
    await page.goto(`${server().url}/admin`);
    await page.getByRole('heading', { name: 'Come in' }).waitFor();
    return page;
  }

  /** Opens the page with the key, and waits for figures. */
  async function inside(test, options) {
    const page = await outside(test, options);
    await page.getByLabel('One of API_KEYS').fill(KEY);
    await page.getByRole('button', { name: 'Use the key' }).click();
    await page.getByText('Live', { exact: true }).waitFor();
    return page;
  }

  /** Returns the number that a tile shows. */
  const tile = async (page, name) => Number((await page.locator('#tiles div', { has: page.getByText(name, { exact: true }) }).locator('dd').textContent()).replaceAll(',', ''));

  /** Waits until a tile shows the wanted number. */
  async function tileIs(page, name, wanted) {
    await page.waitForFunction(([name, wanted]) => [...document.querySelectorAll('#tiles div')]
      .some((tile) => tile.querySelector('dt').textContent === name && tile.querySelector('dd').textContent === String(wanted)), [name, wanted]);
  }

  it('figures and plots move when somebody sends', async (test) => {
    const page = await inside(test);
    const [ann, bob] = await people(test, server(), ['ann', 'bob']);
    await tileIs(page, 'Sockets', 2);
    const before = await tile(page, 'Messages');
    for (const content of ['one', 'two', 'three']) await ann.succeed('send_direct_message', { recipientId: bob.user.id, content });
    await tileIs(page, 'Messages', before + 3);
    await page.getByRole('img', { name: /^Sessions over the last .*: 2 \(up to 2\)$/ }).waitFor();
    await page.waitForFunction(() => Number(/up to ([\d.]+)/.exec(document.querySelector('#plots .value').textContent)[1]) > 0);
    await page.getByText('All figures').click();
    await page.locator('#figures').getByText('requests', { exact: true }).waitFor();
    assert.deepEqual(page.failures, []);
  });

  it('a kick from the page disconnects the client', async (test) => {
    const page = await inside(test);
    const [ann] = await people(test, server(), ['kicked']);
    page.on('dialog', (dialog) => dialog.accept());
    await page.getByLabel('Of whom').fill(ann.user.username.toUpperCase().slice(0, -1));
    await page.getByRole('button', { name: 'Show' }).first().click();
    const row = page.getByRole('row', { name: new RegExp(ann.user.username) });
    await row.getByRole('button', { name: /^Details/ }).click();
    await page.getByRole('dialog').getByText(ann.user.id).first().waitFor();
    await page.keyboard.press('Escape');
    const gone = new Promise((resolve) => ann.socket.once('disconnect', resolve));
    await row.getByRole('button', { name: /^Kick/ }).click();
    await within(LIMIT, 'the client to be put out', gone);
    await row.getByText('Put out', { exact: true }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Put out', 'the outcome stands where the act was, and is read out');
    await page.getByText(/^Of those whom ".*" finds nobody is here\.$/).waitFor();
    assert.deepEqual(page.failures, []);
  });

  it('the lists move with those who come and go, and who stands on a button stays there', async (test) => {
    const page = await inside(test);
    await page.getByText('Nobody is here.').waitFor();
    const [ann, bob] = await people(test, server(), ['ann', 'bob']);
    await page.getByRole('row', { name: new RegExp(ann.user.username) }).waitFor();
    await page.getByRole('row', { name: new RegExp(bob.user.username) }).getByRole('button', { name: /^Details/ }).focus();
    ann.socket.disconnect();
    await page.getByRole('row', { name: new RegExp(ann.user.username) }).waitFor({ state: 'detached' });
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), `Details of ${bob.socket.id}`);
    bob.socket.disconnect();
    await page.getByText('Nobody is here.').waitFor();
    assert.deepEqual(page.failures, []);
  });

  it('an account is disabled and enabled', async (test) => {
    const page = await inside(test);
    const [ann] = await people(test, server(), ['closed']);
    page.on('dialog', (dialog) => dialog.accept());
    const me = async () => (await server().api('GET', '/api/auth/me', { token: ann.user.token })).status;
    for (const [act, status] of [['Disable', 401], ['Enable', 200]]) {
      await page.getByLabel('Id, name or e-mail').last().fill(ann.user.username);
      await page.getByRole('button', { name: act }).click();
      await page.locator('section', { has: page.getByRole('button', { name: act }) }).getByText(`The account ${ann.user.username} is ${act.toLowerCase()}d`).waitFor();
      assert.equal(await me(), status);
    }
  });

  it('explains why somebody gets nothing, and shows texts as texts', async (test) => {
    const page = await inside(test);
    const [ann] = await people(test, server(), ['ann']);
    const bob = await connect(server(), newUser('bob', { username: '<img src=x onerror=alert(1)>' }));
    test.after(() => bob.close());
    const { message } = await ann.succeed('send_direct_message', { recipientId: bob.user.id, content: 'hi' });
    for (const who of [bob.user.id, ann.socket.id, message._id]) {
      await page.getByLabel('User id, name, e-mail').fill(who);
      await page.keyboard.press('Enter');
      await page.locator('#explanation .verdict').waitFor();
      assert.ok(await page.locator('#explanation li').count() > 0, who);
    }
    await page.getByLabel('User id, name, e-mail').fill('nobody <b>at all</b>');
    await page.keyboard.press('Enter');
    await page.getByText('There is neither a user nor a message "nobody <b>at all</b>".').waitFor();
    await page.getByRole('button', { name: 'Show' }).first().click();
    await page.getByRole('row', { name: /<img src=x/ }).waitFor();
    assert.equal(await page.locator('main img').count(), 0);
    assert.deepEqual(page.failures, []);
  });

  it('by the keyboard alone: in, around and out', async (test) => {
    execFileSync(BINARY, ['user', 'add', 'root', '--password', 'correct horse', '--role', 'admin'], { env: server().env, cwd: server().folder });
    const page = await outside(test);
    const focused = () => page.evaluate(() => {
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
      return { name: document.activeElement.textContent.trim() || document.activeElement.name, outline: outlineStyle !== 'none' && outlineWidth !== '0px' };
    });
    const tabTo = async (name) => {
      for (let tabs = 0; tabs < 60; tabs++) {
        await page.keyboard.press('Tab');
        const { name: found, outline } = await focused();
        assert.ok(outline, `the focus on ${found} can be seen`);
        if (found === name) return;
      }
      assert.fail(`no way to ${name}`);
    };
    await tabTo('login');
    await page.keyboard.type('root');
    await tabTo('password');
    await page.keyboard.type('correct horse');
    await page.keyboard.press('Enter');
    await page.getByText('Live', { exact: true }).waitFor();
    await tabTo('who');
    await page.keyboard.type('root');
    await tabTo('Explain');
    await page.keyboard.press('Enter');
    await page.locator('#explanation .verdict').waitFor();
    const cookies = await page.context().cookies();
    assert.ok(cookies.some(({ name, httpOnly }) => name === 'token' && httpOnly));
    await page.keyboard.press('Shift+Tab');
    for (const [tag, count] of [['main', 1], ['h1', 1], ['header', 1]]) assert.equal(await page.locator(tag).count(), count);
    assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll('input, select')].filter((field) => !field.labels.length).map(({ name }) => name)), []);
    await page.getByRole('button', { name: 'Log out' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Come in' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'Come in' }).waitFor();
  });

  it('who is not let in is told why', async (test) => {
    const page = await outside(test);
    await page.getByLabel('One of API_KEYS').fill('not the key');
    await page.getByRole('button', { name: 'Use the key' }).click();
    await page.getByRole('alert').getByText(/does not know this key/).waitFor();
    await page.getByLabel('Username or e-mail').fill('nobody');
    await page.getByLabel('Password').fill('not the password');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('alert').getByText(/Name or password is wrong/).waitFor();
    execFileSync(BINARY, ['user', 'add', 'plain', '--password', 'correct horse'], { env: server().env, cwd: server().folder });
    await page.getByLabel('Username or e-mail').fill('plain');
    await page.getByLabel('Password').fill('correct horse');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('alert').getByText(/user role NAME admin/).waitFor();
  });

  it('survives a restart of the server and says so', async (test) => {
    const page = await inside(test);
    server().env.PORT = new URL(server().url).port;
    await server().end();
    await page.getByText('The server went away; looking for it…').waitFor();
    await server().launch();
    await page.getByText('Live again').waitFor();
  });

  it('runs nothing but its own script, and no page frames it', async () => {
    const { headers, body } = await server().api('GET', '/admin/');
    const policy = headers.get('content-security-policy');
    for (const part of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"]) assert.ok(policy.includes(part), policy);
    assert.doesNotMatch(policy, /unsafe/);
    assert.doesNotMatch(body, / on[a-z]+=|style=|https?:/);
    const { body: script } = await server().api('GET', '/admin/page.js');
    assert.doesNotMatch(script, /innerHTML|insertAdjacentHTML|document\.write|eval\(/);
  });

  for (const [name, options] of Object.entries({
    light: { colorScheme: 'light' },
    dark: { colorScheme: 'dark' },
    phone: { colorScheme: 'light', viewport: { width: 320, height: 640 } },
    'phone-dark': { colorScheme: 'dark', viewport: { width: 320, height: 640 } },
  })) {
    it(`can be read: ${name}`, async (test) => {
      const door = await outside(test, options);
      await picture(door, `admin-page-${name}-door`);
      const [ann, bob] = await people(test, server(), ['ann', 'bob']);
      const page = await inside(test, options);
      await ann.succeed('joinRoom', 'square');
      await ann.succeed('send_direct_message', { recipientId: bob.user.id, content: 'hi' });
      await page.getByLabel('User id, name, e-mail').fill(bob.user.id);
      await page.keyboard.press('Enter');
      await page.locator('#explanation .verdict').waitFor();
      await page.getByText('All figures').click();
      await page.locator('#figures').getByText('requests', { exact: true }).waitFor();
      await page.getByRole('button', { name: 'Show' }).first().click();
      await page.getByRole('row', { name: new RegExp(ann.user.username) }).waitFor();
      await picture(page, `admin-page-${name}`);
      for (const one of [door, page]) {
        const [wide, shown] = await one.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
        assert.ok(wide <= shown, `no scrolling sideways: ${wide} in ${shown}`);
      }
      // WCAG's contrast of texts, 4.5 to 1.
      const poor = await page.evaluate(() => {
        const parts = (color) => /rgba?\(([^)]+)\)/.exec(color)[1].split(/[ ,/]+/).map(Number);
        const light = (color) => {
          const [r, g, b] = parts(color).map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ground = (element) => {
          for (let at = element; at; at = at.parentElement) {
            const color = getComputedStyle(at).backgroundColor;
            if ((parts(color)[3] ?? 1) > 0) return color;
          }
          return 'rgb(255, 255, 255)';
        };
        return [...document.querySelectorAll('main *, header *')].filter((element) => element.checkVisibility()
          && [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())).map((element) => {
          const [one, other] = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => b - a);
          return { text: element.textContent.slice(0, 30), ratio: (one + 0.05) / (other + 0.05) };
        }).filter(({ ratio }) => ratio < 4.5);
      });
      assert.deepEqual(poor, []);
    });
  }
});
