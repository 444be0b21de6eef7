// The Admin UI itself, unmodified from npm, in a real Chromium.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { PASSWORD, USER, WITH_ADMIN_UI } from '../lib/admin-ui.mjs';
import { picture, useBrowser } from '../lib/browser.mjs';
import { people } from '../lib/chat.mjs';
import { useServer } from '../lib/server.mjs';

describe('the Admin UI in a browser', () => {
  const holder = useServer({ env: { ...WITH_ADMIN_UI, RATE_LIMIT_LOGINS: '0' } });
  const browser = useBrowser();

  async function fillIn(page, password) {
    await page.getByLabel('Server URL').fill(holder.server.url);
    await page.getByLabel('Username').fill(USER);
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Connect' }).click();
  }

  /** Opens a page that is logged in. */
  async function logIn(test) {
    const page = await browser.page(test, holder.server);
    await page.goto(`${holder.server.url}/admin/ui/`);
    await fillIn(page, PASSWORD);
    await page.getByLabel('Password').waitFor({ state: 'hidden' });
    return page;
  }

  const visit = (page, name) => page.goto(`${holder.server.url}/admin/ui/#/${name}/`);

  it('opens its form again after a wrong password, and keeps a login over a reload', async (test) => {
    const page = await browser.page(test, holder.server);
    await page.goto(`${holder.server.url}/admin/ui/`);
    await fillIn(page, 'wrong password');
    await page.getByText('Invalid credentials').waitFor();
    await picture(page, 'wrong-password');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByLabel('Password').waitFor({ state: 'hidden' });
    await page.waitForFunction(() => localStorage.getItem('session_id'));
    const stats = page.waitForEvent('websocket');
    await page.reload();
    await stats;
    await page.getByText('connected', { exact: false }).first().waitFor();
    assert.equal(await page.getByLabel('Password').isVisible(), false, 'the password is not asked for again');
    await picture(page, 'dashboard');
    assert.deepEqual(page.failures, []);
  });

  it('shows sockets, rooms, clients and events as they come, and puts one out', async (test) => {
    const [ann] = await people(test, holder.server, ['ann'], { dialect: 'listing' });
    const page = await logIn(test);
    await visit(page, 'sockets');
    await page.getByText(ann.socket.id).first().waitFor();
    const [bob] = await people(test, holder.server, ['bob'], { dialect: 'listing' });
    const { id } = bob.socket;
    await page.getByText(id).first().waitFor();
    await picture(page, 'sockets');

    await bob.succeed('joinRoom', 7);
    await visit(page, 'rooms');
    await page.getByText('room:7').waitFor();
    await page.getByText(`user:${bob.user.id}`).waitFor();
    await picture(page, 'rooms');

    await visit(page, 'clients');
    await page.getByText('127.0.0.1').first().waitFor();
    await picture(page, 'clients');

    await visit(page, 'events');
    await ann.succeed('joinRoom', 8);
    await page.getByText('joinRoom').first().waitFor();
    await page.getByText('room:8').first().waitFor();
    await picture(page, 'events');

    await visit(page, 'servers');
    await page.getByText('Healthy').first().waitFor();
    await picture(page, 'servers');

    await visit(page, 'sockets');
    await page.locator('tr', { hasText: id }).getByRole('button').last().click();
    assert.equal(await bob.disconnected(), 'io server disconnect');
    // The page shows the details of the disconnected one; the list no longer has it.
    await visit(page, 'clients');
    await visit(page, 'sockets');
    await page.waitForFunction(([gone, here]) => {
      const text = document.body.innerText;
      return text.includes(here) && !text.includes(gone);
    }, [id, ann.socket.id]);
    assert.ok(ann.socket.connected);
    await picture(page, 'after-disconnect');
    assert.deepEqual(page.failures, []);
  });
});
