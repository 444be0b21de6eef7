// Front ends on another site: cookies, origins, addresses and types of files (docs/operating/other-origins.md).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { assertHttpError } from '../lib/chat.mjs';
import { closeAfter, connect } from '../lib/client.mjs';
import { PNG, tryUpload } from '../lib/files.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';

const PAGE = 'https://app.example.org';
const USER = { username: 'ann', email: 'ann@example.org', password: 'a long password' };

/** A server of this test alone. */
async function start(test, env) {
  const server = await Server.start({ env });
  test.after(() => server.remove());
  return server;
}

describe('cookies', { concurrency: 3 }, () => {
  for (const [setting, pattern] of [['lax', /SameSite=Lax; Path/], ['strict', /SameSite=Strict; Path/], ['none', /SameSite=None; Secure; Path/]]) {
    it(`COOKIE_SAMESITE=${setting}`, async (test) => {
      const server = await start(test, { COOKIE_SAMESITE: setting, CLIENT_URL: PAGE });
      const { headers } = await server.api('POST', '/api/auth/register', { body: USER });
      assert.match(headers.get('set-cookie'), pattern);
      const [cookie] = headers.get('set-cookie').split(';');
      const change = (more) => server.api('PATCH', '/api/users/me', { headers: { cookie, ...more }, body: { fullName: 'Ann' } });
      assert.equal((await change({ origin: PAGE })).status, 200);
      assert.equal((await change({ origin: server.url })).status, 200);
      assertHttpError(await change({ origin: 'https://evil.example' }), 403, 'FORBIDDEN');
      const without = await change({});
      // Any site's form bears such a cookie.
      if (setting === 'none') assertHttpError(without, 403, 'FORBIDDEN');
      else assert.equal(without.status, 200);
      assert.equal((await server.api('GET', '/api/users/me', { headers: { cookie } })).status, 200);
      const { token } = (await server.api('POST', '/api/auth/login', { body: { login: 'ann', password: USER.password } })).body;
      assert.equal((await server.api('PATCH', '/api/users/me', { token, body: { fullName: 'Ann' } })).status, 200);
    });
  }
});

describe('origins', () => {
  const holder = useServer({ env: { CLIENT_URL: 'https://*.example.app,null,file://', HOST: '127.0.0.1' } });
  const ask = (origin, headers = {}) => holder.server.api('GET', '/api/users/me', { headers: { origin, ...headers } });

  it('by a pattern', async () => {
    const { token } = newUser();
    for (const origin of ['https://a.example.app', 'https://a.b.example.app']) {
      const { headers } = await ask(origin);
      assert.deepEqual([headers.get('access-control-allow-origin'), headers.get('access-control-allow-credentials')], [origin, 'true']);
      assert.match(headers.get('access-control-expose-headers'), /X-Error-Id/);
    }
    for (const origin of ['https://example.app', 'https://evilexample.app', 'http://a.example.app', 'https://a.example.app:1']) {
      const { headers } = await ask(origin);
      assert.equal(headers.get('access-control-allow-origin'), null, origin);
      assertHttpError(await holder.server.api('PATCH', '/api/users/me', { token, headers: { origin }, body: {} }), 403, 'FORBIDDEN');
    }
  });

  it('of no site may ask with a token, and no cookie counts for them', async (test) => {
    for (const origin of ['null', 'file://']) {
      const { token } = newUser();
      const { status, headers } = await ask(origin, { authorization: `Bearer ${token}` });
      assert.equal(status, 200);
      assert.deepEqual([headers.get('access-control-allow-origin'), headers.get('access-control-allow-credentials')], [origin, null]);
      assertHttpError(await ask(origin, { cookie: `token=${token}` }), 401, 'NO_TOKEN');
      for (const transport of ['polling', 'websocket']) {
        closeAfter(test, await connect(holder.server, { token }, { transport, extraHeaders: { origin } }));
      }
    }
  });
});

describe('files', { concurrency: 2 }, () => {
  it('PUBLIC_URL: are named by the address that browsers know', async (test) => {
    const server = await start(test, { PUBLIC_URL: 'https://chat.example.org/' });
    const [ann, bob] = [newUser('ann'), newUser('bob')];
    const { body: { file } } = await tryUpload(server, ann.token, 'a.png', PNG);
    assert.match(file.url, /^https:\/\/chat\.example\.org\/uploads\/[0-9a-f]{32}\.png$/);
    const path = new URL(file.url).pathname;
    const [here, there] = [await connect(server, ann, { dialect: 'messenger' }), await connect(server, bob)];
    closeAfter(test, here, there);
    // As it was answered, and as older clients have it.
    for (const url of [file.url, path]) {
      const { message } = await here.succeed('send_direct_message', { recipientId: bob.id, content: '', file: { ...file, url } });
      assert.equal(message.file.url, file.url);
      assert.equal((await there.next('new_message')).message.file.url, file.url);
      const shown = await there.next('directMessage');
      assert.ok(shown.message.includes(file.url), JSON.stringify(shown));
      const { body } = await server.api('GET', `/api/conversations/${message.conversationId}/messages`, { token: bob.token });
      assert.equal(body.messages.at(-1).file.url, file.url);
    }
    assert.equal((await server.api('GET', path)).status, 200);
  });

  it('UPLOAD_TYPES: are of these types, by name and content, and none can be run by a page', async (test) => {
    const server = await start(test, { UPLOAD_TYPES: 'webp,txt,zip,webm,png' });
    const { token } = newUser();
    const files = {
      'a.webp': ['RIFF\x10\0\0\0WEBPVP8 ', 'image/webp', 'inline'],
      'a.txt': ['<script>alert(1)</script>', 'text/plain; charset=utf-8', 'attachment'],
      'a.zip': ['PK\x03\x04aaaa', 'application/zip', 'attachment'],
      'a.webm': ['\x1A\x45\xDF\xA3\x01\0\0\0\0\0\0\x1F\x42\x82\x84webm', 'video/webm', 'inline'],
    };
    for (const [name, [content, type, disposition]] of Object.entries(files)) {
      const { status, body } = await tryUpload(server, token, name, Buffer.from(content, 'latin1'));
      assert.equal(status, 200, `${name}: ${JSON.stringify(body)}`);
      assert.equal(body.file.mimetype, type);
      const served = await server.api('GET', body.file.url);
      assert.equal(served.headers.get('content-type'), type);
      assert.equal(served.headers.get('x-content-type-options'), 'nosniff');
      assert.ok(served.headers.get('content-disposition').startsWith(disposition), name);
    }
    for (const [name, content] of [['a.gif', 'GIF89a'], ['a.html', '<html>'], ['a.zip', 'MZ\x90\0'], ['a.txt', '\xff\xfe\0a'], ['a.webp', 'GIF89a']]) {
      assertHttpError(await tryUpload(server, token, name, Buffer.from(content, 'latin1')), 415, 'UNSUPPORTED_TYPE');
    }
  });
});
