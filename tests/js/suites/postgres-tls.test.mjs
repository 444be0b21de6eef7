// Postgres over TLS, by a binary with the feature `postgres-tls`: `PARLANCE_TLS_BINARY`, built by tests/run; a binary
// without it is `PARLANCE_PLAIN_BINARY`.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { Authority } from '../lib/certificate.mjs';
import { people } from '../lib/chat.mjs';
import { Postgres, createDatabase, query } from '../lib/database.mjs';
import { BINARY, Server } from '../lib/server.mjs';

const { PARLANCE_TLS_BINARY: TLS_BINARY, PARLANCE_PLAIN_BINARY: PLAIN_BINARY = BINARY } = process.env;

describe('Postgres over TLS', () => {
  let authority;
  let postgres;
  let folder;
  before(async () => {
    assert.ok(TLS_BINARY, 'no PARLANCE_TLS_BINARY: `cargo build --features postgres-tls` makes one');
    folder = mkdtempSync(join(tmpdir(), 'parlance-'));
    authority = new Authority();
    postgres = await Postgres.start({ authority });
  });
  after(async () => {
    await postgres?.remove();
    authority?.remove();
    rmSync(folder, { recursive: true, force: true });
  });
  const url = (database, options) => `${database}?${new URLSearchParams(options)}`;
  const verified = () => ({ sslmode: 'verify-full', sslrootcert: join(authority.folder, 'ca.pem') });

  /** Returns the one line of a failed start of `binary`. */
  function refused(binary, options) {
    const env = { PATH: process.env.PATH, DATA_DIR: folder, PORT: '0', STORE_RETRY_FOR: '20s', DATABASE_URL: url(`${postgres.url}/postgres`, options) };
    const { status, stderr } = spawnSync(binary, { cwd: folder, env, encoding: 'utf8', timeout: 10_000 });
    const lines = stderr.trim().split('\n').filter((line) => line.startsWith('parlance: '));
    assert.deepEqual([status, lines.length], [1, 1], stderr);
    return lines[0];
  }

  it('what is acked is stored, and nothing went in the clear', async (test) => {
    const database = createDatabase(postgres.url);
    const server = await Server.start({ binary: TLS_BINARY, env: { DATABASE_URL: url(database, verified()) } });
    test.after(() => server.remove());
    const [ann, bob] = await people(test, server, ['ann', 'bob']);
    await ann.succeed('send_direct_message', { recipientId: bob.user.id, content: 'over TLS' });
    assert.equal(query(database, 'select content from messages'), 'over TLS\n');
    const connections = query(database, "select ssl, count(*) > 0 from pg_stat_ssl join pg_stat_activity using (pid) where application_name like 'parlance%' group by ssl");
    assert.equal(connections, 't|t\n', 'of the writer and the readers all');
  });

  it('an authority that is not known ends the start at once, as does a file that is not there', () => {
    const other = join(folder, 'other.pem');
    const stranger = new Authority();
    writeFileSync(other, stranger.ca);
    stranger.remove();
    assert.match(refused(TLS_BINARY, { sslmode: 'verify-full', sslrootcert: other }), /certificate verify failed/);
    assert.match(refused(TLS_BINARY, { sslmode: 'verify-full', sslrootcert: '/nowhere' }), /root certificate file "\/nowhere" does not exist/);
  });

  it('a binary without it says how to build one', () => {
    assert.match(refused(PLAIN_BINARY, { sslmode: 'require' }), /SSL support is not compiled in: build with `--features postgres-tls`$/);
  });
});
