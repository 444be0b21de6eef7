// A real Chromium without a window, controlled by Playwright.
import { existsSync } from 'node:fs';
import { after, before } from 'node:test';

import { chromium } from 'playwright-core';

import { LIMIT } from './wait.mjs';

/** Debian's path; another one can be given. */
const CHROMIUM = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/google-chrome'].find(existsSync) ?? '/usr/bin/chromium';

/** It must not contact other hosts. */
const ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

/** Gives the enclosing `describe` one browser; `.page(test, server, options)` opens a page with a profile of its own. */
export function useBrowser() {
  const holder = {};
  before(async () => {
    // Each start has a fresh profile in a folder that Playwright removes.
    holder.browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: ARGS, timeout: 3 * LIMIT });
  });
  after(() => holder.browser?.close());
  holder.page = async (test, server, options = {}) => {
    const context = await holder.browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    test.after(() => context.close());
    context.setDefaultTimeout(LIMIT);
    // Requests to other hosts fail at once, not after a while.
    await context.route((url) => url.origin !== server.url, (route) => route.abort());
    const page = await context.newPage();
    /** Errors in the page. */
    page.failures = [];
    page.on('pageerror', (error) => page.failures.push(String(error)));
    return page;
  };
  return holder;
}

/** Saves a screenshot of the page if `SCREENSHOTS` names a folder. */
export async function picture(page, name) {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png`, fullPage: true });
}
