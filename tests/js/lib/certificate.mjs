// Certificates of an authority that only the test trusts.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** An authority, and the files of the server's certificate and key. */
export class Authority {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'parlance-tls-'));
    this.openssl('req', '-x509', ...KEY, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=an authority');
    writeFileSync(join(this.folder, 'names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
    this.ca = readFileSync(join(this.folder, 'ca.pem'));
    this.env = { TLS_CERT: join(this.folder, 'server.pem'), TLS_KEY: join(this.folder, 'server.key') };
    this.issue();
  }

  openssl(...args) {
    return execFileSync('openssl', args, { cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] }).toString();
  }

  /** Replaces the certificate like renewing programs do. Returns its serial number. */
  issue() {
    this.openssl('req', ...KEY, '-keyout', 'new.key', '-out', 'new.csr', '-subj', '/CN=localhost');
    this.openssl('x509', '-req', '-in', 'new.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names', '-out', 'new.pem');
    renameSync(join(this.folder, 'new.key'), this.env.TLS_KEY);
    renameSync(join(this.folder, 'new.pem'), this.env.TLS_CERT);
    return this.openssl('x509', '-in', 'server.pem', '-noout', '-serial').trim().replace('serial=', '');
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
