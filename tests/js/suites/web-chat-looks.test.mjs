// Each view of the chat at `/` in each shape: a picture to look at, what axe-core finds, no layout shift, no scrolling sideways.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';

import { picture, useBrowser } from '../lib/browser.mjs';
import { makeGroup } from '../lib/chat.mjs';
import { connect } from '../lib/client.mjs';
import { LAKE, PDF, tryUpload, upload } from '../lib/files.mjs';
import { useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { item, known, sees, watch } from '../lib/web-chat.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const ENV = { RATE_LIMIT_EVENTS: '0', RATE_LIMIT_LOGINS: '0' };

const SHAPES = {
  light: { colorScheme: 'light' },
  dark: { colorScheme: 'dark' },
  phone: { colorScheme: 'light', viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
  'phone-dark': { colorScheme: 'dark', viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
};

describe('the views of the chat', () => {
  const browser = useBrowser();
  const holder = useServer({ env: ENV });
  const server = () => holder.server;

  /** Views of the page, each with the way there. */
  const VIEWS = {
    door: async (page) => {
      await page.goto(server().url);
      await page.getByRole('heading', { name: 'Log in' }).waitFor();
    },
    register: async (page) => {
      await page.goto(server().url);
      await page.getByRole('button', { name: 'Make an account' }).click();
    },
    empty: async (page) => {
      const [nobody] = await known(server(), 'nobody');
      await page.goto(`${server().url}/#token=${nobody.token}`);
      await page.getByText('No conversations yet').waitFor();
    },
    list: async (page, { ann }) => {
      await page.goto(`${server().url}/#token=${ann.token}`);
      await item(page, 'Weekend').waitFor();
    },
    thread: async (page, world) => {
      await VIEWS.list(page, world);
      await item(page, 'Maya').click();
      await sees(page, 'See you at eight');
      await page.waitForFunction(() => [...document.querySelectorAll('.picture img')].every(({ complete }) => complete));
    },
    group: async (page, world) => {
      await VIEWS.list(page, world);
      await item(page, 'Weekend').click();
      await sees(page, 'I bring the tent');
    },
    'long-names': async (page, world) => {
      await VIEWS.list(page, world);
      await item(page, 'Wolfeschlegel').click();
      await sees(page, 'Rindfleisch');
    },
    new: async (page, world) => {
      await VIEWS.list(page, world);
      if (!(await page.locator('.app.reading').count())) await page.getByRole('button', { name: 'New conversation' }).click();
      await page.getByLabel('Whom do you want to write to?').fill('a');
      await page.locator('button.person').first().waitFor();
    },
    about: async (page, world) => {
      await VIEWS.group(page, world);
      await page.getByRole('button', { name: 'About this group' }).click();
      await page.getByRole('dialog').getByText('Administrator').waitFor();
    },
    settings: async (page, world) => {
      await VIEWS.list(page, world);
      await page.getByRole('button', { name: 'Settings' }).click();
      await page.getByRole('dialog').waitFor();
    },
    error: async (page, world) => {
      await VIEWS.thread(page, world);
      await page.route('**/api/upload', (route) => route.fulfill({ status: 413, contentType: 'application/json', body: '{"success":false,"message":"File too large","code":"TOO_LARGE"}' }));
      await page.locator('input[type=file]').setInputFiles({ name: 'film.mp4', mimeType: 'video/mp4', buffer: Buffer.from('x') });
      await page.getByText('File too large').waitFor();
    },
  };

  /** Ann's fifty conversations, among them one with pictures, a group, and one with a very long name. */
  async function makeWorld(test) {
    const tag = `${process.pid}-${Math.random().toString(36).slice(2, 6)}`;
    const person = (name, fullName) => newUser(name, { username: `${name}-${tag}`, fullName });
    const ann = person('ann', 'Ann Ärmel');
    const maya = person('maya', 'Maya Okafor');
    const long = person('wolfe', 'Wolfeschlegelsteinhausenbergerdorff Ottokar-Maximilian von und zu Hohenlohe-Waldenburg');
    for (const { token } of [ann, maya, long]) await server().api('GET', '/api/auth/me', { token });
    const write = (from, to, content, more = {}) => server().api('POST', '/api/messages', { token: from.token, body: { from: from.id, to, content, ...more } });
    for (let index = 0; index < 46; index++) {
      const name = ['Noah', 'Mia', 'Yusuf', 'Chloé', 'Đặng', 'Zuzana', 'Ivo', '静香', 'Olu', 'Tariq'][index % 10];
      const other = person(`friend${index}`, `${name} ${String.fromCharCode(65 + (index % 26))}.`);
      await server().api('GET', '/api/auth/me', { token: other.token });
      await write(other, { user: ann.id }, ['Thanks!', 'Did you see the photos?', 'On my way, ten minutes', '👍', 'مرحبا، كيف حالك؟'][index % 5]);
    }
    await write(long, { user: ann.id }, 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft and Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz');
    await write(ann, { user: long.id }, 'That is a long word.');
    const group = await makeGroup(server(), { user: ann }, [{ user: maya }, { user: long }], 'Weekend 🏕️');
    for (const [from, content] of [[maya, 'Who is in for the lake?'], [long, 'Me, from Saturday noon on. I can take three more in the car, if nobody minds the dog.'], [ann, 'Perfect'], [ann, 'I bring the tent']]) {
      await server().api('POST', `/api/conversations/${group}/messages`, { token: from.token, body: { content } });
    }
    await write(maya, { user: ann.id }, 'Hey! Are we still on for tonight?');
    await write(ann, { user: maya.id }, 'Sure. I booked the table by the window, the one that we had last year: https://example.org/tables?id=7');
    await write(maya, { user: ann.id }, '🎉');
    const { file } = await upload(server(), maya.token, 'view.png', LAKE);
    await write(maya, { user: ann.id }, 'The view from there', { file });
    await write(ann, { user: maya.id }, 'Wow');
    const { file: notes } = (await tryUpload(server(), ann.token, 'directions to the restaurant.pdf', PDF, 'application/pdf')).body;
    await write(ann, { user: maya.id }, '', { file: notes });
    await write(maya, { user: ann.id }, 'See you at eight');
    const online = await connect(server(), maya, { dialect: 'messenger' });
    test.after(() => online.close());
    return { ann };
  }

  for (const [shape, options] of Object.entries(SHAPES)) {
    it(`can be looked at and used by everybody: ${shape}`, { timeout: 240_000 }, async (test) => {
      const world = await makeWorld(test);
      for (const [view, arrive] of Object.entries(VIEWS)) {
        // The page's policy would keep axe-core out.
        const page = await browser.page(test, server(), { ...options, bypassCSP: true });
        await watch(page);
        await arrive(page, world);
        await picture(page, `web-chat-${shape}-${view}`);
        const [wide, shown] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
        assert.ok(wide <= shown, `${view}: no scrolling sideways: ${wide} in ${shown}`);
        await page.evaluate(AXE);
        const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
        const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
        assert.deepEqual(serious.map(({ id, nodes }) => `${view}: ${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 120)} ${failureSummary}`).join('\n')}`), []);
        const shifts = await page.evaluate(() => window.shifts);
        const sum = shifts.reduce((all, { value }) => all + value, 0);
        assert.ok(sum < 0.01, `${view}: what is there stays where it is: ${JSON.stringify(shifts)}`);
        assert.deepEqual(page.failures, [], view);
        await page.context().close();
      }
    });
  }
});
