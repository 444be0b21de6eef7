// Tokens as made by a deployment's own login.
import { createHmac } from 'node:crypto';

/** The `JWT_SECRET` of every test server. */
export const SECRET = 'a-secret-of-the-client-tests';

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Seconds since 1970, `offset` seconds from now. */
export const epoch = (offset = 0) => Math.floor(Date.now() / 1000) + offset;

/** Signs a token with these claims; header and key may be wrong on purpose. */
export function sign(claims, { header = { alg: 'HS256', typ: 'JWT' }, secret = SECRET, digest = 'sha256' } = {}) {
  const signed = `${base64url(header)}.${base64url(claims)}`;
  return `${signed}.${createHmac(digest, secret).update(signed).digest('base64url')}`;
}

let made = 0;

/**
 * Returns a user unique in this process: `{id, username, token}`. The server creates it on first use
 * (`AUTO_PROVISION_USERS`).
 */
export function newUser(name = 'user', claims = {}) {
  const username = `${name}-${process.pid}-${++made}`;
  const id = `id-${username}`;
  return { id, username, token: sign({ id, username, exp: epoch(3600), ...claims }) };
}
