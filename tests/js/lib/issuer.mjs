// A provider of identities on this machine: it publishes its keys as such do, and signs with them.
import { constants, generateKeyPairSync, sign as signBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

/** How keys of an algorithm are made, and how they sign. */
const ALGORITHMS = {
  RS256: ['rsa', { modulusLength: 2048 }, 'sha256', {}],
  PS256: ['rsa', { modulusLength: 2048 }, 'sha256', { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }],
  ES256: ['ec', { namedCurve: 'P-256' }, 'sha256', { dsaEncoding: 'ieee-p1363' }],
  ES384: ['ec', { namedCurve: 'P-384' }, 'sha384', { dsaEncoding: 'ieee-p1363' }],
  EdDSA: ['ed25519', {}, null, {}],
};

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
let made = 0;

/** A pair of keys that signs tokens. */
export class Signer {
  constructor(algorithm = 'RS256', kid = `key-${++made}`) {
    const [kind, options] = ALGORITHMS[algorithm];
    this.algorithm = algorithm;
    this.kid = kid;
    Object.assign(this, generateKeyPairSync(kind, options));
  }

  /** The public key, as a set has it. */
  get jwk() {
    return { ...this.publicKey.export({ format: 'jwk' }), kid: this.kid, use: 'sig', alg: this.algorithm };
  }

  /** The public key, as a file has it. */
  get pem() {
    return this.publicKey.export({ type: 'spki', format: 'pem' });
  }

  /** A token with these claims. */
  token(claims, header = {}) {
    const [, , digest, options] = ALGORITHMS[this.algorithm];
    const signed = `${base64url({ alg: this.algorithm, typ: 'JWT', kid: this.kid, ...header })}.${base64url(claims)}`;
    return `${signed}.${signBytes(digest, Buffer.from(signed), { key: this.privateKey, ...options }).toString('base64url')}`;
  }
}

/** An issuer that listens on this machine. */
export class Issuer {
  /** Starts one with these keys; `path` is behind its address, as `/realms/chat`. It is gone after the test. */
  static async start(test, { signers = [new Signer()], path = '' } = {}) {
    const issuer = new Issuer();
    issuer.signers = signers;
    /** How often its keys were read. */
    issuer.reads = 0;
    /** What it answers in place of its keys: `(response) => …`. */
    issuer.answer = undefined;
    issuer.server = createServer((request, response) => issuer.serve(request, response)).listen(0, '127.0.0.1');
    await once(issuer.server, 'listening');
    test.after(() => issuer.away());
    issuer.url = `http://127.0.0.1:${issuer.server.address().port}${path}`;
    return issuer;
  }

  serve({ url }, response) {
    const { pathname } = new URL(this.url);
    const below = url.slice(pathname === '/' ? 0 : pathname.length);
    if (below === '/.well-known/openid-configuration') {
      return response.end(JSON.stringify({ issuer: this.url, jwks_uri: `${this.url}/keys`, id_token_signing_alg_values_supported: ['RS256'] }));
    }
    if (below !== '/keys') return response.writeHead(404).end();
    this.reads += 1;
    if (this.answer) return this.answer(response);
    return response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: this.signers.map(({ jwk }) => jwk) }));
  }

  /** Answers nobody any more. */
  away() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
