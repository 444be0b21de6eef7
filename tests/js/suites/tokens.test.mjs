// Tokens that are made elsewhere: by whom, for whom, and with which keys (docs/tokens.md).
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { assertHttpError } from '../lib/chat.mjs';
import { closeAfter, connect, refusal } from '../lib/client.mjs';
import { DATABASES } from '../lib/database.mjs';
import { Issuer, Signer } from '../lib/issuer.mjs';
import { BINARY, Server } from '../lib/server.mjs';
import { SECRET, epoch, sign } from '../lib/token.mjs';
import { LIMIT, pipelined } from '../lib/wait.mjs';

/** A server of this test alone. */
async function start(test, env, options = {}) {
  const server = await Server.start({ env, ...options });
  test.after(() => server.remove());
  return server;
}

/** Settings with which a thousand come without being told of each other. */
const MANY = { PRESENCE_SCOPE: 'contacts', DIALECTS: 'messenger', RATE_LIMIT_EVENTS: '0' };

/** Settings of a server that takes an issuer's tokens for the audience `chat`. */
const trusting = (issuer, more = {}) => ({ OIDC_ISSUER: issuer.url, JWT_AUDIENCE: 'chat', ...more });

/** Claims of a token of this issuer. */
const claims = (issuer, more = {}) => ({ iss: issuer.url, aud: 'chat', sub: 'ann', exp: epoch(600), ...more });

/** The id of the user whom a token proves. */
async function idOf(server, token) {
  const { status, body } = await server.api('GET', '/api/auth/me', { token });
  assert.equal(status, 200, JSON.stringify(body));
  return body.user.id;
}

/** That a token is refused, by HTTP and by a handshake. */
async function assertRefused(server, token, code = 'INVALID_TOKEN') {
  assertHttpError(await server.api('GET', '/api/auth/me', { token }), 401, code);
  assert.equal((await refusal(server, { auth: { token } })).data.code, code);
}

/** A start that ends with a line. */
function failure(env) {
  try {
    const settings = { PATH: process.env.PATH, PORT: '0', JWT_SECRET: SECRET, ...env };
    execFileSync(BINARY, ['serve'], { env: settings, cwd: tmpdir(), stdio: 'pipe', timeout: LIMIT });
  } catch ({ stderr }) {
    return String(stderr);
  }
  throw new Error('it started');
}

/** Providers: the address behind the host, the algorithm, what their tokens say, and who it is. */
const PROVIDERS = {
  Auth0: {
    algorithm: 'RS256',
    claims: { sub: 'auth0|5f7c8ec7c33c6c004bbafe82', aud: ['chat', 'https://tenant.auth0.example/userinfo'], azp: 'spa', scope: 'openid profile' },
    id: 'auth0|5f7c8ec7c33c6c004bbafe82',
    slash: true,
  },
  Clerk: {
    env: { JWT_AUDIENCE: '*' },
    algorithm: 'RS256',
    claims: { sub: 'user_2NNEqL2nrIRdJ194ndJqAHwEfxC', azp: 'https://app.example', sid: 'sess_2NNEqL', nbf: epoch(-5), aud: undefined },
    id: 'user_2NNEqL2nrIRdJ194ndJqAHwEfxC',
  },
  Supabase: {
    path: '/auth/v1',
    env: { JWT_AUDIENCE: 'authenticated' },
    algorithm: 'ES256',
    claims: {
      sub: '3f8a4c2e-8f2a-4a55-9d4d-0c9e8f1f7a11', aud: 'authenticated', role: 'authenticated', email: 'ann@example.org', is_anonymous: false,
      user_metadata: { full_name: 'Ann Lee' },
    },
    id: '3f8a4c2e-8f2a-4a55-9d4d-0c9e8f1f7a11',
  },
  Firebase: {
    path: '/my-project',
    env: { JWT_AUDIENCE: 'my-project' },
    algorithm: 'RS256',
    claims: {
      aud: 'my-project', user_id: 'Zk2xqz0J9bQpV', sub: 'Zk2xqz0J9bQpV', auth_time: epoch(-60), email_verified: true,
      firebase: { identities: {}, sign_in_provider: 'password' },
    },
    id: 'Zk2xqz0J9bQpV',
  },
  Keycloak: {
    path: '/realms/chat',
    env: { JWT_AUDIENCE: 'account', JWT_USER_CLAIM: 'preferred_username' },
    algorithm: 'EdDSA',
    claims: {
      typ: 'Bearer', aud: 'account', azp: 'front-end', sub: 'f:9c:7', preferred_username: 'DOMAIN\\ann', name: 'Ann Lee', email: 'ann@example.org',
      realm_access: { roles: ['offline_access'] },
    },
    id: 'DOMAIN\\ann',
  },
};

for (const database of DATABASES) {
  describe(`users of providers on ${database}`, { concurrency: 2 }, () => {
    for (const [name, provider] of Object.entries(PROVIDERS)) {
      it(name, async (test) => {
        const issuer = await Issuer.start(test, { signers: [new Signer(provider.algorithm)], path: provider.path });
        const server = await start(test, trusting(issuer, provider.env), { database });
        const iss = issuer.url + (provider.slash ? '/' : '');
        const user = (more = {}) => {
          const all = claims(issuer, { ...provider.claims, iss, ...more });
          return { id: provider.id, token: issuer.signers[0].token(all) };
        };
        const ann = await connect(server, user());
        closeAfter(test, ann);
        assert.equal(await idOf(server, user({ iat: epoch() }).token), provider.id);
        // By the id of the provider, everywhere: in an event, in a path, in what others see.
        const bob = { id: 'bob+chat@x.org', token: sign({ id: 'bob+chat@x.org', aud: 'chat', exp: epoch(600) }) };
        const { body } = await server.api('GET', `/api/users/${encodeURIComponent(provider.id)}`, { token: user().token });
        assert.equal(body.user.id, provider.id);
        const { message } = await ann.succeed('send_direct_message', { recipientId: bob.id, content: 'hello' });
        assert.equal(message.sender._id, provider.id);
        const history = await server.api('GET', `/api/conversations/${message.conversationId}/messages`, { token: user().token });
        assert.deepEqual(history.body.messages.map(({ sender }) => sender._id), [provider.id]);
        await assertRefused(server, new Signer(provider.algorithm, issuer.signers[0].kid).token(claims(issuer, { ...provider.claims, iss })));
        if (provider.env?.JWT_AUDIENCE !== '*') await assertRefused(server, user({ aud: 'another-app' }).token);
      });
    }
  });
}

describe('keys', { concurrency: 4 }, () => {
  it('JWT_PUBLIC_KEY: of files, whatever their kind', async (test) => {
    const signers = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'].map((algorithm) => new Signer(algorithm));
    const server = await start(test, {});
    await server.end();
    const files = signers.map(({ pem }, place) => {
      const file = join(server.folder, `${place}.pem`);
      writeFileSync(file, pem);
      return file;
    });
    server.env.JWT_PUBLIC_KEY = files.join(',');
    await server.launch();
    for (const signer of signers) assert.equal(await idOf(server, signer.token({ sub: 'ann', exp: epoch(60) })), 'ann', signer.algorithm);
    await assertRefused(server, new Signer().token({ sub: 'ann', exp: epoch(60) }));
    writeFileSync(files[0], signers[0].privateKey.export({ type: 'pkcs8', format: 'pem' }));
    assert.match(failure({ JWT_PUBLIC_KEY: files[0] }), /JWT_PUBLIC_KEY: .*private key/);
    assert.match(failure({ JWT_PUBLIC_KEY: '/nowhere/a.pem' }), /JWT_PUBLIC_KEY: \/nowhere\/a\.pem: /);
    assert.match(failure({ JWT_SECRET: signers[0].pem }), /JWT_SECRET: is a key and no secret/);
  });

  it('JWKS_URL: of an address, for the issuer that JWT_ISSUER names', async (test) => {
    const issuer = await Issuer.start(test);
    const server = await start(test, { JWKS_URL: `${issuer.url}/keys`, JWT_AUDIENCE: 'chat', JWT_ISSUER: 'https://issuer.example' });
    const [signer] = issuer.signers;
    assert.equal(await idOf(server, signer.token(claims(issuer, { iss: 'https://issuer.example' }))), 'ann');
    await assertRefused(server, signer.token(claims(issuer)));
    await assertRefused(server, signer.token(claims(issuer, { iss: undefined })));
  });

  it('JWT_AUDIENCE and JWT_ISSUER hold for secrets that others have, too, and not for logins here', async (test) => {
    const server = await start(test, { JWT_AUDIENCE: 'chat,mail', JWT_ISSUER: 'https://backend.example' });
    const token = (more) => sign({ id: 'ann', iss: 'https://backend.example', aud: 'mail', exp: epoch(60), ...more });
    assert.equal(await idOf(server, token()), 'ann');
    for (const wrong of [{ aud: 'other' }, { aud: undefined }, { iss: 'https://other.example' }, { iss: undefined }]) {
      await assertRefused(server, token(wrong));
    }
    const body = { username: 'bob', email: 'bob@example.org', password: 'a long password' };
    const registered = (await server.api('POST', '/api/auth/register', { body })).body;
    assert.equal(await idOf(server, registered.token), registered.user.id);
  });

  it('of an issuer without JWT_AUDIENCE end the start with a line', () => {
    for (const name of ['OIDC_ISSUER', 'JWKS_URL']) {
      assert.match(failure({ [name]: 'https://login.example' }), new RegExp(`JWT_AUDIENCE: must be set where ${name} is`));
      assert.match(failure({ [name]: 'http://login.example', JWT_AUDIENCE: '*' }), new RegExp(`${name}: .*https://`));
    }
  });

  it('JWT_LEEWAY: a clock may be off by that', async (test) => {
    const issuer = await Issuer.start(test);
    const server = await start(test, trusting(issuer, { JWT_LEEWAY: '5m' }));
    const [signer] = issuer.signers;
    assert.equal(await idOf(server, signer.token(claims(issuer, { exp: epoch(-200), nbf: epoch(200) }))), 'ann');
    await assertRefused(server, signer.token(claims(issuer, { exp: epoch(-400) })), 'TOKEN_EXPIRED');
    await assertRefused(server, signer.token(claims(issuer, { nbf: epoch(400) })));
  });

  it('JWT_USER_CLAIM: says who it is', async (test) => {
    const server = await start(test, { JWT_USER_CLAIM: 'https://app.example/id,account.key' });
    assert.equal(await idOf(server, sign({ id: 'no', 'https://app.example/id': 'a/b', exp: epoch(60) })), 'a/b');
    assert.equal(await idOf(server, sign({ id: 'no', account: { key: 'c' }, exp: epoch(60) })), 'c');
    await assertRefused(server, sign({ id: 'no', exp: epoch(60) }));
  });

  it('are rotated under a thousand sockets: nobody is refused, and they are read once', async (test) => {
    const issuer = await Issuer.start(test, { signers: [new Signer('EdDSA')] });
    const server = await start(test, trusting(issuer, { ...MANY, MAX_SOCKETS_PER_ADDRESS: '0' }));
    const token = (number, signer) => signer.token(claims(issuer, { sub: `user-${number}` }));
    const [old] = issuer.signers;
    const come = async (signer, from) => {
      const clients = await pipelined(500, 100, (number) => connect(server, { token: token(from + number, signer) }));
      clients.forEach((client) => closeAfter(test, client));
    };
    await come(old, 0);
    assert.equal(issuer.reads, 1);
    const fresh = new Signer('EdDSA');
    issuer.signers = [fresh, old];
    await come(fresh, 500);
    assert.equal(issuer.reads, 2);
    // One that is made up has nobody asked again, nor does it wait.
    await assertRefused(server, new Signer('EdDSA').token(claims(issuer)));
    assert.equal(issuer.reads, 2);
    assert.equal(await idOf(server, token(1, old)), 'user-1');
  });

  it('`authenticate` with a token of a new key waits for it', async (test) => {
    const issuer = await Issuer.start(test);
    const server = await start(test, trusting(issuer));
    const ann = await connect(server, { token: issuer.signers[0].token(claims(issuer)) }, { dialect: 'conversation' });
    closeAfter(test, ann);
    issuer.signers = [new Signer()];
    const answer = await ann.ask('authenticate', { token: issuer.signers[0].token(claims(issuer, { exp: epoch(900) })) });
    assert.equal(answer.success, true, JSON.stringify(answer));
  });

  it('stay good while the issuer is away: a line, and a figure', async (test) => {
    const issuer = await Issuer.start(test);
    const server = await start(test, trusting(issuer));
    const [signer] = issuer.signers;
    assert.equal(await idOf(server, signer.token(claims(issuer))), 'ann');
    issuer.away();
    // A key that is not known has it asked.
    await assertRefused(server, new Signer().token(claims(issuer)));
    await server.logged((line) => line.includes('gives no keys') && line.includes(issuer.url));
    assert.equal(await idOf(server, signer.token(claims(issuer, { jti: 'another' }))), 'ann');
    const metrics = (await server.api('GET', '/metrics')).body;
    const label = `issuer="${issuer.url}"`;
    for (const sample of [`parlance_issuer_keys{${label}} 1`, `parlance_issuer_reads_total{${label}} 2`, `parlance_issuer_read_failures_total{${label}} 1`]) {
      assert.ok(metrics.includes(sample), `${sample}\n${metrics}`);
    }
    assert.match(metrics, /parlance_issuer_keys_age_seconds\{issuer="[^"]+"\} \d/);
  });

  const answers = {
    'garbage': [(response) => response.end('<html>'), 'no set of keys'],
    'a redirect': [(response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(), 'leads elsewhere (302)'],
    'fifty megabytes': [(response) => {
      response.on('error', () => {});
      response.write('{"keys":[');
      for (let sent = 0; sent < 50; sent++) response.write(' '.repeat(1 << 20));
      response.end(']}');
    }, 'too long'],
    'an error': [(response) => response.writeHead(500).end(), 'is 500'],
    'no key that signs': [(response) => response.end('{"keys":[{"kty":"oct","k":"AAAA"}]}'), 'a secret'],
  };
  for (const [what, [answer, word]] of Object.entries(answers)) {
    it(`are none where the answer is ${what}: a line, and the server goes on`, async (test) => {
      const issuer = await Issuer.start(test);
      issuer.answer = answer;
      const server = await start(test, trusting(issuer));
      const token = issuer.signers[0].token(claims(issuer));
      await server.logged((line) => line.includes('gives no keys') && line.includes(word), word);
      await assertRefused(server, token);
      const body = { username: 'bob', email: 'bob@example.org', password: 'a long password' };
      assert.equal((await server.api('POST', '/api/auth/register', { body })).status, 201);
    });
  }

  it('that are private are left out with a line', async (test) => {
    const issuer = await Issuer.start(test);
    const [signer] = issuer.signers;
    const leaked = new Signer();
    const keys = [{ ...leaked.privateKey.export({ format: 'jwk' }), kid: leaked.kid }, signer.jwk];
    issuer.answer = (response) => response.end(JSON.stringify({ keys }));
    const server = await start(test, trusting(issuer));
    assert.equal(await idOf(server, signer.token(claims(issuer))), 'ann');
    await server.logged((line) => line.includes(leaked.kid) && line.includes('private key'));
    await assertRefused(server, leaked.token(claims(issuer)));
  });

  it('a token is looked into with them', async (test) => {
    const issuer = await Issuer.start(test);
    const [signer] = issuer.signers;
    const env = { PATH: process.env.PATH, PORT: '0', AUTO_PROVISION_USERS: 'true', ...trusting(issuer) };
    const server = await start(test, {});
    const inspect = async (token, more = {}) => {
      // Not waited for by this thread: the issuer lives in it.
      return new Promise((resolve) => {
        const options = { env: { ...env, DATA_DIR: server.folder, ...more }, cwd: server.folder };
        execFile(BINARY, ['token', 'inspect', '--json', token], options, (_, stdout, stderr) => resolve(stdout ? JSON.parse(stdout) : { stderr }));
      });
    };
    const fine = await inspect(signer.token(claims(issuer)));
    assert.deepEqual([fine.valid, fine.signedBy, fine.reasons], [true, issuer.url, []]);
    for (const [token, pattern] of [
      [signer.token(claims(issuer, { aud: 'other' })), /JWT_AUDIENCE is chat/],
      [signer.token(claims(issuer, { exp: epoch(-600) })), /expired/],
      [signer.token(claims(issuer), { jku: 'https://evil.example' }), /jku/],
      [signer.token(claims(issuer, { iss: 'https://evil.example' })), /counts for/],
      [new Signer().token(claims(issuer)), /is none of those of/],
    ]) {
      const { valid, reasons } = await inspect(token);
      assert.equal(valid, false);
      assert.equal(reasons.length, 1, JSON.stringify(reasons));
      assert.match(reasons[0], pattern);
    }
    issuer.away();
    const away = await inspect(signer.token(claims(issuer)));
    assert.match(away.reasons.join('\n'), /cannot be read/);
  });
});
