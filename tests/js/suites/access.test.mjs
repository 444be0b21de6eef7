// Access rights: every route and every event that names something owned, requested by everybody.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

import { makeGroup, people } from '../lib/chat.mjs';
import { connect } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { PNG, upload } from '../lib/files.mjs';
import { BINARY, useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';

const KEY = 'the-key-of-a-server';
/** Rights of keys. */
const SCOPES = ['send', 'read', 'users', 'conversations', 'emit', 'admin'];
const ROLES = ['anonymous', 'stranger', 'member', 'owner', 'administrator', 'server'];

/** Answers to each role, in the order of `ROLES`. */
const ANYONE = (ok) => [ok, ok, ok, ok, ok, ok];
const USERS = (ok) => [401, ok, ok, ok, ok, 401];
const MEMBERS = (ok) => [401, 403, ok, ok, 403, 401];
const OWNER = (ok) => [401, 403, 403, ok, 403, 401];
const OWNER_OR_SERVER = (ok) => [401, 403, 403, ok, 403, ok];
const ADMINISTRATORS = (ok) => [401, 403, 403, 403, ok, ok];

const group = ({ group }) => `/api/conversations/${group}`;
const message = ({ message }) => `/api/messages/${message}`;
const form = () => {
  const body = new FormData();
  body.append('file', new Blob([PNG], { type: 'image/png' }), 'a.png');
  return body;
};

/** Every route of the server: path and body of a request, and the roles that are allowed. */
const ROUTES = {
  'POST /api/auth/register': [() => '/api/auth/register', () => ({ username: newUser('new').username, email: `${newUser().username}@x.org`, password: 'correct horse' }), ANYONE(201)],
  'POST /api/auth/login': [() => '/api/auth/login', () => ({ login: 'root', password: 'correct horse' }), ANYONE(200)],
  // Only the administrator has logged in here: the others' tokens are foreign.
  'POST /api/auth/refresh': [() => '/api/auth/refresh', () => ({}), [401, 403, 403, 403, 200, 401]],
  'POST /api/auth/logout': [() => '/api/auth/logout', () => ({}), USERS(200)],
  'GET /api/auth/me': [() => '/api/auth/me', undefined, USERS(200)],
  // A user without a password here has none to change: `INVALID_CREDENTIALS`; so it is for the administrator with this
  // one.
  'POST /api/auth/password': [() => '/api/auth/password', () => ({ oldPassword: 'not this one', newPassword: 'another horse' }), ANYONE(401)],
  'GET /api/users': [() => '/api/users?query=a', undefined, USERS(200)],
  'GET /api/users/online': [() => '/api/users/online', undefined, USERS(200)],
  'GET /api/users/me': [() => '/api/users/me', undefined, USERS(200)],
  // Even an authenticated user must give the password: `INVALID_CREDENTIALS` with this one.
  'DELETE /api/users/me': [() => '/api/users/me', () => ({ password: 'not the password' }), ANYONE(401)],
  'GET /api/users/me/export': [() => '/api/users/me/export', undefined, USERS(200)],
  'GET /api/users/me/sessions': [() => '/api/users/me/sessions', undefined, USERS(200)],
  // Who may is told that there is none.
  'DELETE /api/users/me/sessions/{id}': [() => '/api/users/me/sessions/nowhere', undefined, USERS(404)],
  'PATCH /api/users/me': [() => '/api/users/me', () => ({ fullName: 'Somebody' }), USERS(200)],
  'GET /api/users/{id}': [({ owner }) => `/api/users/${owner.id}`, undefined, USERS(200)],
  'GET /api/users/{id}/sockets': [({ owner }) => `/api/users/${owner.id}/sockets`, undefined, ADMINISTRATORS(200)],
  'POST /api/messages/sync': [() => '/api/messages/sync', ({ owner }) => ({ otherUserId: owner.id }), USERS(200)],
  'GET /api/messages/sync-status': [() => '/api/messages/sync-status', undefined, USERS(200)],
  'PUT /api/listings/{id}': [() => '/api/listings/flat', () => ({ title: 'A flat' }), ADMINISTRATORS(200)],
  'GET /api/conversations': [() => '/api/conversations', undefined, USERS(200)],
  'POST /api/conversations': [() => '/api/conversations', ({ owner }) => ({ type: 'group', name: 'New', participants: [], owner: owner.id }), [401, 201, 201, 201, 201, 201]],
  'GET /api/conversations/{id}': [group, undefined, MEMBERS(200)],
  'PATCH /api/conversations/{id}': [group, () => ({ name: 'Renamed' }), OWNER_OR_SERVER(200)],
  'DELETE /api/conversations/{id}': [group, undefined, OWNER_OR_SERVER(200)],
  'POST /api/conversations/{id}/participants': [(made) => `${group(made)}/participants`, ({ other }) => ({ participants: [other.id] }), OWNER_OR_SERVER(200)],
  'DELETE /api/conversations/{id}/participants/{user}': [(made) => `${group(made)}/participants/${made.third.id}`, undefined, OWNER_OR_SERVER(200)],
  'GET /api/conversations/{id}/messages': [(made) => `${group(made)}/messages`, undefined, MEMBERS(200)],
  'POST /api/conversations/{id}/messages': [(made) => `${group(made)}/messages`, () => ({ content: 'posted' }), MEMBERS(201)],
  'PATCH /api/messages/{id}': [message, () => ({ content: 'edited' }), OWNER(200)],
  'DELETE /api/messages/{id}': [message, undefined, OWNER(200)],
  'POST /api/messages': [() => '/api/messages', ({ owner, member }) => ({ from: owner.id, to: { user: member.id }, content: 'x' }), [401, 403, 403, 201, 403, 201]],
  'GET /api/rooms/{room}/messages': [() => '/api/rooms/square/messages', undefined, USERS(200)],
  'GET /api/common-chat/messages': [() => '/api/common-chat/messages', undefined, USERS(200)],
  'GET /api/notifications': [() => '/api/notifications', undefined, USERS(200)],
  'POST /api/notifications': [() => '/api/notifications', ({ owner }) => ({ userId: owner.id, type: 'sale', message: 'Sold' }), ADMINISTRATORS(201)],
  'POST /api/notifications/read': [() => '/api/notifications/read', () => ({}), USERS(200)],
  'POST /api/emit': [() => '/api/emit', ({ owner }) => ({ to: { user: owner.id }, event: 'news', data: 1 }), ADMINISTRATORS(200)],
  'POST /api/upload': [() => '/api/upload', form, USERS(200)],
  'GET /uploads/{name}': [({ file }) => file, undefined, ANYONE(200)],
  'GET /app/get-connection-id': [() => '/app/get-connection-id', undefined, ANYONE(200)],
  'GET /api/socket/health': [() => '/api/socket/health', undefined, ANYONE(200)],
  'GET /api/openapi.json': [() => '/api/openapi.json', undefined, ANYONE(200)],
  'GET /api/asyncapi.json': [() => '/api/asyncapi.json', undefined, ANYONE(200)],
  'GET /api/types.d.ts': [() => '/api/types.d.ts', undefined, ANYONE(200)],
  'GET /admin/ui': [() => '/admin/ui', undefined, ANYONE(404)],
  'GET /admin/ui/{file:.*}': [() => '/admin/ui/', undefined, ANYONE(404)],
  'GET /healthz': [() => '/healthz', undefined, ANYONE(200)],
  'GET /readyz': [() => '/readyz', undefined, ANYONE(200)],
  'GET /': [() => '/', undefined, ANYONE(200)],
  'POST /api/demo': [() => '/api/demo', () => ({}), ANYONE(404)],
  'GET /widget.js': [() => '/widget.js', undefined, ANYONE(200)],
  'GET /web-chat/{digest}/{file:.*}': [() => '/web-chat/another-release/app.js', undefined, ANYONE(404)],
  'GET /admin': [() => '/admin', undefined, ANYONE(200)],
  'GET /admin/': [() => '/admin/', undefined, ANYONE(200)],
  'GET /admin/page.css': [() => '/admin/page.css', undefined, ANYONE(200)],
  'GET /admin/page.js': [() => '/admin/page.js', undefined, ANYONE(200)],
  'GET /api/admin/stats': [() => '/api/admin/stats', undefined, ADMINISTRATORS(200)],
  'GET /api/admin/stats/stream': [() => '/api/admin/stats/stream', undefined, ADMINISTRATORS(200)],
  'GET /api/admin/events/stream': [() => '/api/admin/events/stream', undefined, ADMINISTRATORS(200)],
  'GET /metrics': [() => '/metrics', undefined, ANYONE(200)],
  'GET /api/admin/log': [() => '/api/admin/log', undefined, ADMINISTRATORS(200)],
  'PUT /api/admin/log': [() => '/api/admin/log', () => ({ filter: 'warn' }), ADMINISTRATORS(200)],
  'POST /api/admin/users': [() => '/api/admin/users', () => ({ username: newUser('made').username }), ADMINISTRATORS(201)],
  'PATCH /api/admin/users/{id}': [({ third }) => `/api/admin/users/${third.id}`, () => ({ disabled: true }), ADMINISTRATORS(200)],
  'GET /api/admin/sockets': [() => '/api/admin/sockets', undefined, ADMINISTRATORS(200)],
  'GET /api/admin/explain/user/{who}': [({ owner }) => `/api/admin/explain/user/${owner.id}`, undefined, ADMINISTRATORS(200)],
  'GET /api/admin/explain/message/{id}': [({ message }) => `/api/admin/explain/message/${message}`, undefined, ADMINISTRATORS(200)],
  'GET /api/admin/rooms': [() => '/api/admin/rooms', undefined, ADMINISTRATORS(200)],
  'GET /api/admin/audit': [() => '/api/admin/audit', undefined, ADMINISTRATORS(200)],
  'GET /api/admin/webhooks': [() => '/api/admin/webhooks', undefined, ADMINISTRATORS(200)],
  'POST /api/admin/webhooks/replay': [() => '/api/admin/webhooks/replay', () => ({ numbers: [1] }), ADMINISTRATORS(200)],
  'POST /api/admin/webhooks/skip': [() => '/api/admin/webhooks/skip', () => ({ numbers: [1] }), ADMINISTRATORS(200)],
  'POST /api/admin/tokens/revoke': [() => '/api/admin/tokens/revoke', ({ third }) => ({ user: third.id }), ADMINISTRATORS(200)],
  // Administrators are told that it does not exist.
  'GET /api/admin/sockets/{id}': [() => `/api/admin/sockets/${'x'.repeat(20)}`, undefined, ADMINISTRATORS(404)],
  'GET /api/admin/rooms/{room}': [() => '/api/admin/rooms/room:nowhere', undefined, ADMINISTRATORS(404)],
  'DELETE /api/admin/users/{id}': [() => '/api/admin/users/nobody-of-ours', undefined, ADMINISTRATORS(404)],
  'POST /api/admin/sockets/{id}/kick': [() => `/api/admin/sockets/${'x'.repeat(20)}/kick`, () => ({}), ADMINISTRATORS(404)],
};

/** Events that name something of a group's or an author's, per dialect, with their payloads: members are allowed. */
const EVENTS = {
  messenger: {
    send_group_message: ({ group }) => ({ conversationId: group, content: 'x' }),
    join_group: ({ group }) => group,
    mark_as_read: ({ message }) => ({ messageId: message }),
    typing_start: ({ group }) => ({ conversationId: group }),
    typing_stop: ({ group }) => ({ conversationId: group }),
  },
  conversation: {
    'conversation:join': ({ group }) => group,
    'message:send': ({ group }) => ({ conversationId: group, content: 'x' }),
    'message:read': ({ group, message }) => ({ conversationId: group, messageId: message }),
    'typing:start': ({ group }) => ({ conversationId: group }),
    'typing:stop': ({ group }) => ({ conversationId: group }),
  },
  agent: {
    'message:send': ({ group }) => ({ conversationId: group, content: 'x' }),
  },
};

/** A group of owner, member and a third, with a message of the owner's. */
async function makeWorld(server, administrator) {
  const [owner, member, stranger, third, other] = ['owner', 'member', 'stranger', 'third', 'other'].map((name) => newUser(name));
  for (const user of [member, stranger, third, other]) await server.api('GET', '/api/auth/me', { token: user.token });
  const id = await makeGroup(server, { user: owner }, [{ user: member }, { user: third }]);
  const sent = await server.api('POST', `/api/conversations/${id}/messages`, { token: owner.token, body: { content: 'ours' } });
  const { file } = await upload(server, owner.token, 'a.png', PNG);
  return { owner, member, stranger, third, other, administrator, group: id, message: sent.body.message._id, file: file.url };
}

for (const database of DATABASES) {
  describe(`access on ${database}`, () => {
    const keys = {
      API_KEYS: [KEY, ...SCOPES.map((scope) => `only-${scope}:${KEY}-${scope}`)].join(','),
      API_KEY_SCOPES: SCOPES.map((scope) => `only-${scope}:${scope}`).join(','),
    };
    const holder = useServer({ database, env: { ...keys, RATE_LIMIT_EVENTS: '0', RATE_LIMIT_LOGINS: '0' } });

    /** Returns somebody with that role; logs in again only if the last login was ended. */
    async function administrator() {
      const { server } = holder;
      if (!server.root) {
        execFileSync(BINARY, ['user', 'add', 'root', '--password', 'correct horse', '--role', 'admin'], { env: server.env, cwd: server.folder });
      }
      if (!server.root || (await server.api('GET', '/api/auth/me', { token: server.root.token })).status !== 200) {
        const { body } = await server.api('POST', '/api/auth/login', { body: { login: 'root', password: 'correct horse' } });
        server.root = { ...body.user, token: body.token };
      }
      return server.root;
    }

    it('every route is in the table', () => {
      const source = ['api', 'admin', 'webchat'].map((module) => readFileSync(new URL(`../../../src/${module}/routes.rs`, import.meta.url), 'utf8')).join('\n');
      const built = [...source.matchAll(/endpoint\(\s*"([^"]+)",\s*"([^"]+)"/g)]
        .flatMap(([, path, methods]) => methods.split(', ').filter((method) => method !== 'HEAD').map((method) => `${method} ${path}`));
      assert.ok(built.length > 30, `${built.length} routes found`);
      assert.deepEqual(Object.keys(ROUTES).sort(), built.sort());
    });

    for (const [route, [path, body, expected]] of Object.entries(ROUTES)) {
      it(route, async () => {
        const { server } = holder;
        const [method] = route.split(' ');
        for (const [place, role] of ROLES.entries()) {
          const world = await makeWorld(server, await administrator());
          const headers = role === 'server' ? { 'x-api-key': KEY } : {};
          const options = { token: world[role]?.token, headers, body: body?.(world) };
          const { status, body: answer } = /[/](stream|export)$/.test(route)
            ? await statusOf(server, path(world), options)
            : await server.api(method, path(world), options);
          assert.equal(status, expected[place], `${role}: ${JSON.stringify(answer)}`);
          if (status < 400) continue;
          const code = { 401: /^(NO_TOKEN|INVALID_CREDENTIALS)$/, 403: /^FORBIDDEN$/, 404: /^NOT_FOUND$/ }[status];
          assert.match(answer.code, code, role);
          assert.equal(answer.success, false);
        }
      });
    }

    it('a key does what its scope lets it, and nothing else', async () => {
      const { server } = holder;
      const { paths } = (await server.api('GET', '/api/openapi.json')).body;
      const scopes = Object.fromEntries(Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods)
        .map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation['x-key-scope']])));
      assert.deepEqual(new Set(Object.values(scopes).filter(Boolean)), new Set(SCOPES));
      for (const [route, [path, body, expected]] of Object.entries(ROUTES)) {
        const openToServers = expected[5] !== expected[0];
        assert.equal(Boolean(scopes[route]), openToServers, `${route} has a scope if a key may use it`);
        if (!openToServers || route.endsWith('/stream')) continue;
        const [method] = route.split(' ');
        for (const scope of SCOPES) {
          const world = await makeWorld(server, await administrator());
          const headers = { 'x-api-key': `${KEY}-${scope}` };
          const { status, body: answer } = await server.api(method, path(world), { headers, body: body?.(world) });
          if (scope === scopes[route]) assert.equal(status, expected[5], `${route} with ${scope}: ${JSON.stringify(answer)}`);
          else assert.deepEqual([status, answer.code], [403, 'FORBIDDEN'], `${route} with ${scope}`);
        }
      }
    });

    for (const [dialect, events] of Object.entries(EVENTS)) {
      for (const [event, payload] of Object.entries(events)) {
        it(`${event} (${dialect})`, async (test) => {
          const { server } = holder;
          for (const role of ['stranger', 'member', 'owner', 'administrator']) {
            const world = await makeWorld(server, await administrator());
            const listener = await connect(server, world.third, { dialect });
            const client = await connect(server, world[role], { dialect });
            test.after(() => [listener, client].forEach((one) => one.close()));
            const answer = await client.ask(event, payload(world));
            const mayDo = role === 'member' || role === 'owner';
            assert.equal(answer.success ?? answer.data?.success, mayDo, `${role}: ${JSON.stringify(answer)}`);
            if (mayDo) continue;
            assert.equal(answer.code ?? answer.error?.code, 'FORBIDDEN', JSON.stringify(answer));
            const { body } = await server.api('GET', `/api/conversations/${world.group}/messages`, { token: world.owner.token });
            assert.equal(body.messages.length, 1, 'nothing is stored');
          }
        });
      }
    }

    it('whoever is not in asks for nothing', async (test) => {
      const [watcher] = await people(test, holder.server, ['watcher']);
      const response = await fetch(`${holder.server.url}/socket.io/?EIO=4&transport=polling`);
      const { sid } = JSON.parse((await response.text()).slice(1));
      const url = `${holder.server.url}/socket.io/?EIO=4&transport=polling&sid=${sid}`;
      const said = `42${JSON.stringify(['send_direct_message', { recipientId: watcher.user.id, content: 'from nobody' }])}`;
      assert.equal((await fetch(url, { method: 'POST', body: said })).status, 200);
      assert.match(await (await fetch(url)).text(), /1$/, 'the session is over');
      const { body } = await holder.server.api('GET', '/api/conversations', { token: watcher.user.token });
      assert.deepEqual(body.conversations, []);
    });
  });
}

/** Returns the status of a stream, of which nothing more is read. */
async function statusOf(server, path, { token, headers }) {
  const abort = new AbortController();
  const response = await fetch(server.url + path, { headers: { ...headers, ...(token && { authorization: `Bearer ${token}` }) }, signal: abort.signal });
  const body = response.ok ? undefined : await response.json();
  abort.abort();
  return { status: response.status, body };
}
