// The chat at `/`, as people use it.
import assert from 'node:assert/strict';

import { newUser } from './token.mjs';

/** Returns users that the server knows. */
export async function known(server, ...names) {
  const users = names.map((name) => newUser(name));
  for (const { token } of users) await server.api('GET', '/api/auth/me', { token });
  return users;
}

/** Opens the chat as this user, by the token of a host. */
export async function enter(browser, test, server, user, options) {
  const page = await browser.page(test, server, options);
  await page.goto(`${server.url}/#token=${encodeURIComponent(user.token)}`);
  await page.getByText('Online', { exact: true }).first().waitFor();
  await page.waitForFunction(() => !document.querySelector('.ghost'));
  page.user = user;
  return page;
}

/** Opens the conversation with somebody, by the search for people. */
export async function writeTo(page, user) {
  await page.getByRole('button', { name: 'New conversation' }).click();
  await page.getByLabel('Whom do you want to write to?').fill(user.username);
  await page.locator('button.person', { hasText: user.username }).first().click();
  await page.getByLabel('Message', { exact: true }).waitFor();
}

/** Writes and sends a text. */
export async function say(page, text) {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.keyboard.press('Enter');
}

/** A visible message. */
export const bubble = (page, text) => page.locator('.row', { has: page.locator('.text', { hasText: text }) });

/** Waits for a message, and checks that it is there once. */
export async function sees(page, text) {
  await bubble(page, text).first().waitFor();
  assert.equal(await bubble(page, text).count(), 1, `${text}, once`);
}

/** Waits until an own message is `Sent`, `Delivered` or `Read`. */
export const ticked = (page, text, state) => bubble(page, text).locator('.ticks', { hasText: state }).waitFor();

/** The drawn texts, in order. */
export const texts = (page) => page.locator('.row .text').allTextContents();

/** A conversation of the list. */
export const item = (page, name) => page.locator('.item', { hasText: name });

/** Notes layout shifts that no input caused, from before the first script. */
export async function watch(page) {
  await page.addInitScript(() => {
    window.shifts = [];
    new PerformanceObserver((list) => {
      for (const { value, hadRecentInput, sources } of list.getEntries()) {
        if (!hadRecentInput) window.shifts.push({ value, what: sources.map(({ node }) => node?.className ?? node?.nodeName) });
      }
    }).observe({ type: 'layout-shift', buffered: true });
  });
}
