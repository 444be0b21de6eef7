// Admission of clients, and the exact wording of refusals (docs/dialects/).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { people, settle } from '../lib/chat.mjs';
import { assertRefusal, closeAfter, connect, open, refusal } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { useServer } from '../lib/server.mjs';
import { epoch, newUser, sign } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const KEY = 'the-key-of-a-server';
const NO_TOKEN = ['NO_TOKEN', 'Authentication error: No token provided'];
const INVALID = ['INVALID_TOKEN', 'Authentication error: Invalid token'];
const EXPIRED = ['TOKEN_EXPIRED', 'Authentication error: Invalid token'];
const UNKNOWN_USER = ['USER_NOT_FOUND', 'Authentication error: User not found'];

const withToken = (token) => ({ auth: { token } });
const claims = (more = {}) => ({ id: 'mallory', exp: epoch(3600), ...more });

/** Refused connects, and their answers. */
const REFUSED = {
  'nothing at all': [{}, NO_TOKEN],
  'an empty token, though a good one stands in a header': [
    { auth: { token: '' }, extraHeaders: { authorization: `Bearer ${sign(claims())}` } }, NO_TOKEN,
  ],
  'a null token': [withToken(null), NO_TOKEN],
  'a good token in the query': [{ query: { token: sign(claims()) } }, NO_TOKEN],
  'a number for a token': [withToken(7), INVALID],
  'no token but some text': [withToken('hello'), INVALID],
  'a foreign key': [withToken(sign(claims(), { secret: 'another' })), INVALID],
  'algorithm none': [withToken(`${sign(claims(), { header: { alg: 'none' } }).split('.').slice(0, 2).join('.')}.`), INVALID],
  'algorithm none with a signature': [withToken(sign(claims(), { header: { alg: 'none' } })), INVALID],
  'another algorithm than it says': [withToken(sign(claims(), { header: { alg: 'HS512' } })), INVALID],
  'a header that says where its key is': [withToken(sign(claims(), { header: { alg: 'HS256', jku: 'https://evil.example' } })), INVALID],
  'an algorithm of key pairs': [withToken(sign(claims(), { header: { alg: 'RS256' } })), INVALID],
  'a huge token': [withToken(sign(claims({ filler: 'x'.repeat(40_000) }), { secret: 'another' })), INVALID],
  'not valid yet': [withToken(sign(claims({ nbf: epoch(600) }))), INVALID],
  'no user in it': [withToken(sign({ exp: epoch(60) })), INVALID],
  'an id with a line end': [withToken(sign(claims({ id: 'a\nb' }))), INVALID],
  'past its time': [withToken(sign(claims({ exp: epoch(-600) }))), EXPIRED],
};

async function assertRefused(server, options, [code, message], status = 401) {
  const error = await refusal(server, options);
  assert.equal(error.message, message);
  assert.deepEqual(error.data, { code, status });
}

describe('refused with the common sentences', () => {
  const holder = useServer();
  for (const [what, [options, expected]] of Object.entries(REFUSED)) {
    for (const transport of ['polling', 'websocket']) {
      it(`${what}, ${transport}`, () => assertRefused(holder.server, { ...options, transport }, expected));
    }
  }

  it('an unknown dialect, before the token is looked at', async () => {
    for (const dialect of ['klingon', ['messenger', 'klingon'], 7]) {
      const error = await refusal(holder.server, { auth: { dialect } });
      assert.match(error.message, /^Unknown dialect, known are: .*messenger/);
      assert.deepEqual(error.data, { code: 'UNKNOWN_DIALECT', status: 400 });
    }
    const error = await refusal(holder.server, { query: { dialect: 'klingon' }, ...withToken(newUser().token) });
    assert.equal(error.data.code, 'UNKNOWN_DIALECT');
  });

  it('is asked again on the same connection', async (test) => {
    const client = open(holder.server, withToken('bad'));
    closeAfter(test, client);
    const refused = new Promise((resolve) => client.socket.once('connect_error', resolve));
    assert.equal((await refused).data.code, 'INVALID_TOKEN');
    client.socket.auth = { token: newUser().token };
    client.socket.connect();
    await client.connected();
  });
});

describe('refused with the sentences of a lone messenger', () => {
  const holder = useServer({ env: { DIALECTS: 'messenger', AUTO_PROVISION_USERS: 'false' } });
  const cases = {
    'nothing at all': [{}, ['NO_TOKEN', 'No token provided']],
    'a foreign key': [withToken(sign(claims(), { secret: 'another' })), ['INVALID_TOKEN', 'Authentication failed']],
    'past its time': [withToken(sign(claims({ exp: epoch(-600) }))), ['TOKEN_EXPIRED', 'Authentication failed']],
    'nobody we know': [withToken(newUser().token), ['USER_NOT_FOUND', 'User not found']],
  };
  for (const [what, [options, expected]] of Object.entries(cases)) {
    it(what, () => assertRefused(holder.server, options, expected));
  }
});

describe('a client that pins messenger can speak exactly that one', () => {
  const holder = useServer({ env: { AUTO_PROVISION_USERS: 'false' } });
  it('and gets its sentences', async () => {
    await assertRefused(holder.server, { auth: { dialect: 'messenger' } }, ['NO_TOKEN', 'No token provided']);
    await assertRefused(holder.server, withToken(newUser().token), UNKNOWN_USER);
  });
});

describe('where a token is looked for', () => {
  const holder = useServer({ env: { ALLOW_QUERY_TOKEN: 'true', JWT_SECRETE: 'the second secret' } });
  const places = {
    'the header': (token) => ({ extraHeaders: { authorization: `Bearer ${token}` } }),
    'the cookie': (token) => ({ extraHeaders: { cookie: `theme=dark; token=${token}` } }),
    'the query, where that is allowed': (token) => ({ query: { token } }),
  };
  for (const [what, options] of Object.entries(places)) {
    for (const transport of ['polling', 'websocket']) {
      it(`${what}, ${transport}`, async (test) => {
        const client = open(holder.server, { ...options(newUser().token), transport });
        closeAfter(test, client);
        await client.connected();
      });
    }
  }

  it('userId and sub serve where there is no id, and a number is its digits', async (test) => {
    const tokens = { 'u-1': { userId: 'u-1', sub: 'not-me' }, 's-1': { sub: 's-1' }, 4711: { id: 4711 } };
    for (const [id, content] of Object.entries(tokens)) {
      const client = await connect(holder.server, { id, token: sign({ ...content, exp: epoch(60) }) });
      closeAfter(test, client);
      const online = await client.next('user_online');
      assert.equal(online.userId, id);
    }
  });

  it('every secret that is set verifies', async (test) => {
    const user = newUser('second');
    const token = sign({ id: user.id, exp: epoch(60) }, { secret: 'the second secret' });
    closeAfter(test, await connect(holder.server, { ...user, token }));
  });
});

describe('a token that ends while its client is connected', () => {
  const holder = useServer();

  it('expires: the code, then a disconnect that is final', async (test) => {
    const client = await connect(holder.server, newUser('brief', { exp: epoch(2) }));
    closeAfter(test, client);
    assertRefusal(await client.next('error'), 'TOKEN_EXPIRED');
    assert.equal(await client.disconnected(), 'io server disconnect');
  });

  it('is logged out: the same, and others go on', async (test) => {
    const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
    const answer = await holder.server.api('POST', '/api/auth/logout', { token: alice.user.token });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assertRefusal(await alice.next('error'), 'INVALID_TOKEN');
    assert.equal(await alice.disconnected(), 'io server disconnect');
    await assertRefused(holder.server, withToken(alice.user.token), INVALID);
    const [carol] = await people(test, holder.server, ['carol']);
    await settle(carol, bob);
  });
});

for (const database of DATABASES) {
  describe(`what an administrator does, on ${database}`, () => {
    const holder = useServer({ database, env: { API_KEYS: KEY } });
    const act = (method, path, body) => holder.server.api(method, path, { headers: { 'x-api-key': KEY }, body });

    it('a kick: the code, then a disconnect that is final; the client may come again', async (test) => {
      const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
      const { status } = await act('POST', `/api/admin/sockets/${alice.socket.id}/kick`, {});
      assert.equal(status, 200);
      assertRefusal(await alice.next('error'), 'KICKED');
      assert.equal(await alice.disconnected(), 'io server disconnect');
      const again = await connect(holder.server, alice.user);
      closeAfter(test, again);
      await settle(again, bob);
    });

    it('disables an account: its sockets go, its token is refused; enabled, it gets what it missed', async (test) => {
      const [alice, bob] = await people(test, holder.server, ['alice', 'bob']);
      const other = await connect(holder.server, alice.user, { reconnection: true, reconnectionDelay: 10 });
      closeAfter(test, other);
      assert.equal((await act('PATCH', `/api/admin/users/${alice.user.id}`, { disabled: true })).status, 200);
      for (const client of [alice, other]) {
        assertRefusal(await client.next('error'), 'ACCOUNT_DISABLED');
        assert.equal(await client.disconnected(), 'io server disconnect');
      }
      await assertRefused(holder.server, withToken(alice.user.token), ['ACCOUNT_DISABLED', 'Authentication error: Account disabled']);
      assert.equal((await holder.server.api('GET', '/api/auth/me', { token: alice.user.token })).body.code, 'ACCOUNT_DISABLED');
      const answer = await bob.ask('send_direct_message', { recipientId: alice.user.id, content: 'meanwhile' });
      assert.equal(answer.success, true);
      await act('PATCH', `/api/admin/users/${alice.user.id}`, { disabled: false });
      const again = await connect(holder.server, alice.user);
      closeAfter(test, again);
      assert.equal((await again.next('new_message')).message.content, 'meanwhile');
    });
  });
}

describe('who never shows a token', () => {
  const holder = useServer({ env: { CONNECT_TIMEOUT: '500ms' } });
  // By hand, because the stock client closes by itself when it is refused.
  it('is closed after a while', async () => {
    const endpoint = `${holder.server.url}/socket.io/?EIO=4&transport=polling`;
    const { sid } = JSON.parse((await (await fetch(endpoint)).text()).slice(1));
    const url = `${endpoint}&sid=${sid}`;
    await fetch(url, { method: 'POST', body: '40' });
    await within(LIMIT, 'the end', (async () => {
      for (let isOver = false; !isOver;) {
        const response = await fetch(url);
        isOver = response.status === 400 || /(^|\x1e)1$/.test(await response.text());
      }
    })());
  });
});
