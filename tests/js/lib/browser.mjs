// A real Chromium without a window, controlled by Playwright.
import assert from 'node:assert/strict';
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

/** Gives the enclosing `describe` one browser; `.page(test, server, options)` opens a page with a profile of its own; `alsoAllowed` are further origins. */
export function useBrowser() {
  const holder = {};
  before(async () => {
    // Each start has a fresh profile in a folder that Playwright removes.
    holder.browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: ARGS, timeout: 3 * LIMIT });
  });
  after(() => holder.browser?.close());
  holder.page = async (test, server, { alsoAllowed = [], ...options } = {}) => {
    const context = await holder.browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    test.after(() => context.close());
    context.setDefaultTimeout(LIMIT);
    // Requests to other hosts fail at once, not after a while.
    await context.route((url) => url.origin !== server.url && !alsoAllowed.includes(url.origin), (route) => route.abort());
    const page = await context.newPage();
    /** Errors in the page. */
    page.failures = [];
    page.on('pageerror', (error) => page.failures.push(String(error)));
    return page;
  };
  /**
   * Runs `work` with the page, and returns the longest task of its main thread in milliseconds of processor time. A machine that does
   * something else at the same time does not count.
   */
  holder.longestTask = async (page, work) => {
    await holder.browser.startTracing(page, { categories: ['toplevel'] });
    await work();
    const { traceEvents } = JSON.parse(await holder.browser.stopTracing());
    const mains = new Set(traceEvents.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain').map(({ pid, tid }) => `${pid}:${tid}`));
    const tasks = traceEvents.filter(({ name, pid, tid, tdur }) => name.endsWith('RunTask') && tdur !== undefined && mains.has(`${pid}:${tid}`));
    assert.ok(tasks.length > 0, 'tasks are traced');
    return Math.max(...tasks.map(({ tdur }) => tdur)) / 1_000;
  };
  /** Stops all pages, like a closed laptop: nothing runs in them. Returns a function that wakes them. */
  holder.sleep = async () => {
    const session = await holder.browser.newBrowserCDPSession();
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    const pages = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id);
    const all = (signal) => pages.forEach((id) => {
      try {
        process.kill(id, signal);
      } catch (error) {
        // Chromium ends those that it keeps in reserve when it likes.
        if (error.code !== 'ESRCH') throw error;
      }
    });
    all('SIGSTOP');
    return () => all('SIGCONT');
  };
  return holder;
}

/** Saves a screenshot of the page if `SCREENSHOTS` names a folder. */
export async function picture(page, name) {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png`, fullPage: true });
}
