// The widget in a foreign page, on another origin.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, describe, it } from 'node:test';

import { picture, useBrowser } from '../lib/browser.mjs';
import { connect } from '../lib/client.mjs';
import { Server } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';

const ENV = { RATE_LIMIT_EVENTS: '0', HOST: '0.0.0.0' };

/** A foreign site that answers every path with the page of a test. */
class Site {
  async open() {
    this.server = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', ...this.headers });
      response.end(this.page);
    });
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.url = `http://127.0.0.1:${this.server.address().port}`;
  }

  async close() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

describe('the widget', () => {
  const browser = useBrowser();
  const site = new Site();
  let server;
  let support;

  before(async () => {
    await site.open();
    server = await Server.start({ env: { ...ENV, CLIENT_URL: site.url } });
    server.url = server.url.replace('0.0.0.0', '127.0.0.1');
    support = await connect(server, newUser('support'), { dialect: 'messenger' });
  });
  after(async () => {
    support?.close();
    await server?.remove();
    await site.close();
  });

  /** The page of a shop, with the widget for this user. */
  async function shop(test, user, { attributes = `data-to="${support.user.id}"`, head = '', headers = {}, options = {} } = {}) {
    site.headers = headers;
    site.page = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title><meta name="viewport" content="width=device-width">
      <style>body { font: 700 30px serif; background: #f5efe6; color: red } button, .bubble, p { background: lime !important; font-size: 40px !important }</style>
      <script nonce="n">let token = '${user.token}'; window.chatToken = async () => token; window.heard = []; addEventListener('message', ({ data }) => window.heard.push(data));</script>${head}</head>
      <body><h1>Shop</h1><script src="${server.url}/widget.js" data-token="chatToken" data-title="Ask us" ${attributes}></script></body></html>`;
    const page = await browser.page(test, server, { ...options, alsoAllowed: [site.url] });
    page.said = [];
    page.on('console', (message) => page.said.push(message.text()));
    await page.goto(site.url);
    return page;
  }

  /** Reads and uses a closed shadow root by the DevTools protocol: Playwright sees nothing of it. */
  async function inside(page) {
    const cdp = await page.context().newCDPSession(page);
    const find = async (matches) => {
      for (;;) {
        const { root } = await cdp.send('DOM.getDocument', { depth: -1, pierce: true });
        const walk = (node) => {
          if (matches(node)) return node;
          for (const child of [...(node.shadowRoots ?? []), ...(node.children ?? [])]) {
            const found = walk(child);
            if (found) return found;
          }
          return undefined;
        };
        const found = walk(root);
        if (found) return found;
        await page.evaluate(() => new Promise(requestAnimationFrame));
      }
    };
    const attribute = (node, name) => node.attributes?.[node.attributes.indexOf(name) + 1 || -1];
    const text = (node) => (node.nodeValue ?? '') + (node.children ?? []).map(text).join('');
    const has = (name) => (node) => attribute(node, 'class')?.split(' ').includes(name);
    const call = async ({ backendNodeId }, body) => {
      const { object } = await cdp.send('DOM.resolveNode', { backendNodeId });
      return (await cdp.send('Runtime.callFunctionOn', { objectId: object.objectId, functionDeclaration: body, returnByValue: true })).result.value;
    };
    return {
      find,
      call,
      open: async () => call(await find(has('launcher')), 'function () { this.click(); }'),
      sees: (wanted) => find((node) => has('bubble')(node) && text(node).includes(wanted)),
      launcher: () => find(has('launcher')),
      say: async (content) => {
        const field = await find(({ nodeName }) => nodeName === 'TEXTAREA');
        await call(field, `function () { this.value = ${JSON.stringify(content)}; this.dispatchEvent(new Event('input', { bubbles: true })); this.form.requestSubmit(); }`);
      },
    };
  }

  it('talks, from another origin, in its own clothes', async (test) => {
    const ann = newUser('ann');
    const page = await shop(test, ann);
    const widget = await inside(page);
    await widget.open();
    await widget.say('Do you have it in blue?');
    const { message } = await support.next('new_message', ({ message: { content } }) => content === 'Do you have it in blue?');
    await support.succeed('mark_as_read', { messageId: message._id });
    await support.succeed('send_direct_message', { recipientId: ann.id, content: 'Yes, in <b>blue</b>.' });
    const bubble = await widget.sees('Yes, in <b>blue</b>.');
    assert.notEqual(await widget.call(bubble, 'function () { return getComputedStyle(this).backgroundColor; }'), 'rgb(0, 255, 0)');
    assert.equal(await widget.call(await widget.launcher(), 'function () { return getComputedStyle(this).backgroundColor; }'), 'rgb(68, 80, 207)');
    await picture(page, 'widget-open');
    assert.deepEqual(page.failures, []);
  });

  it('is themed by variables of the page', async (test) => {
    const page = await shop(test, newUser('ann'), { head: '<style>parlance-chat { --parlance-accent: rgb(10, 125, 85) }</style>' });
    const widget = await inside(page);
    assert.equal(await widget.call(await widget.launcher(), 'function () { return getComputedStyle(this).backgroundColor; }'), 'rgb(10, 125, 85)');
  });

  it('neither scripts of the page, nor messages to it, nor frames get its token or what is said', async (test) => {
    const ann = newUser('ann');
    const page = await shop(test, ann);
    const widget = await inside(page);
    await support.succeed('send_direct_message', { recipientId: ann.id, content: 'a secret of ours' });
    await widget.open();
    await widget.sees('a secret of ours');
    await page.evaluate(() => {
      for (const data of ['token', { type: 'token' }, { type: 'getToken', source: 'parlance' }, { parlance: { send: 'x' } }]) window.postMessage(data, '*');
      const frame = document.createElement('iframe');
      frame.srcdoc = '<script>parent.postMessage({ found: (() => { try { return parent.document.querySelector("parlance-chat").shadowRoot } catch (error) { return String(error) } })() }, "*"); parent.postMessage("give me", "*")<\/script>';
      document.body.append(frame);
    });
    await page.waitForFunction(() => window.heard.includes('give me'));
    const seen = await page.evaluate(() => ({
      shadow: document.querySelector('parlance-chat').shadowRoot,
      html: document.documentElement.innerHTML.replaceAll(/<script[\s\S]*?<\/script>/g, ''),
      text: document.body.innerText,
      kept: JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
      globals: Object.keys(window).filter((name) => /parlance|chat|socket/i.test(name)),
      heard: window.heard,
      selection: (document.execCommand('selectAll'), String(getSelection())),
    }));
    assert.equal(seen.shadow, null);
    assert.deepEqual(seen.globals, ['chatToken']);
    const told = JSON.stringify(seen.heard);
    for (const [where, text] of Object.entries({ ...seen, heard: told, shadow: '', globals: '' })) {
      assert.ok(!text.includes('a secret of ours') && !text.includes(ann.token), where);
    }
    assert.deepEqual(seen.heard.filter((data) => data?.found), [], 'a frame finds no shadow root');
  });

  it('what a message says is text', async (test) => {
    const ann = newUser('ann');
    const page = await shop(test, ann);
    const widget = await inside(page);
    await support.succeed('send_direct_message', { recipientId: ann.id, content: '<img src=x onerror="window.pwned=1"> over' });
    await widget.open();
    await widget.sees('onerror');
    assert.equal(await page.evaluate(() => window.pwned), undefined);
  });

  it('stands under a strict policy of the page', async (test) => {
    const ws = server.url.replace('http', 'ws');
    const page = await shop(test, newUser('ann'), {
      headers: { 'content-security-policy': `default-src 'none'; script-src 'nonce-n' ${server.url}; style-src 'unsafe-inline'; connect-src ${server.url} ${ws}; img-src ${server.url}` },
    });
    const widget = await inside(page);
    await widget.open();
    await widget.say('under a policy');
    await support.next('new_message', ({ message: { content } }) => content === 'under a policy');
    assert.deepEqual(page.said.filter((text) => text.includes('Content Security Policy')), []);
  });

  it('a page that CLIENT_URL does not name gets nothing', async (test) => {
    const other = new Site();
    await other.open();
    test.after(() => other.close());
    other.headers = {};
    other.page = `<!doctype html><script>window.chatToken = () => '${newUser('ann').token}'</script><body><script src="${server.url}/widget.js" data-token="chatToken" data-to="x"></script>`;
    const page = await browser.page(test, server, { alsoAllowed: [other.url] });
    const said = page.waitForEvent('console', (message) => message.text().includes('could not be loaded'));
    await page.goto(other.url);
    await said;
    assert.equal(await page.locator('parlance-chat').count(), 0);
  });

  it('fills a phone', async (test) => {
    const page = await shop(test, newUser('ann'), { options: { viewport: { width: 390, height: 844 }, colorScheme: 'dark' } });
    const widget = await inside(page);
    await widget.open();
    const panel = await widget.find((node) => node.attributes?.includes('panel'));
    assert.deepEqual(await widget.call(panel, 'function () { const { width, height } = this.getBoundingClientRect(); return [width, height]; }'), [390, 844]);
    await picture(page, 'widget-phone');
  });
});
