// The two databases: SQLite needs nothing, Postgres is an instance of our own in a temporary folder.
import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, chmodSync, chownSync, copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { LIMIT, within } from './wait.mjs';

/** Databases that every suite runs on; `PARLANCE_TEST_DATABASES=sqlite` restricts them. */
export const DATABASES = (process.env.PARLANCE_TEST_DATABASES ?? 'sqlite,postgres').split(',');

/** Returns a free port. */
function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

const run = (program, args, options) => execFileSync(program, args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8', ...options });

/** Finds a server program: on the PATH, or in Debian's folder. */
function postgresProgram(name) {
  const folders = (process.env.PATH ?? '').split(':');
  try {
    const root = '/usr/lib/postgresql';
    folders.push(...readdirSync(root).sort((one, other) => other - one).map((version) => join(root, version, 'bin')));
  } catch {
    // Not Debian: rely on the PATH.
  }
  const folder = folders.find((candidate) => {
    try {
      return readdirSync(candidate).includes(name);
    } catch {
      return false;
    }
  });
  if (!folder) throw new Error(`no ${name} found: install PostgreSQL, or run tests/run, which does`);
  return join(folder, name);
}

/** Signals a process, which may have ended meanwhile. */
function signal(id, name) {
  try {
    process.kill(id, name);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** A Postgres instance of our own. */
export class Postgres {
  /** Starts an instance. With an `authority` it requires TLS, with that authority's certificate. */
  static async start({ authority } = {}) {
    const instance = new Postgres();
    instance.folder = mkdtempSync(join(tmpdir(), 'parlance-postgres-'));
    // Postgres refuses to run as root.
    const account = {};
    if (process.getuid() === 0) {
      account.uid = Number(run('id', ['-u', 'postgres']));
      account.gid = Number(run('id', ['-g', 'postgres']));
      chownSync(instance.folder, account.uid, account.gid);
    }
    instance.data = join(instance.folder, 'data');
    instance.options = { cwd: instance.folder, ...account };
    run(postgresProgram('initdb'), ['-D', instance.data, '-U', 'parlance', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], instance.options);
    if (authority) instance.speakTls(authority, account);
    instance.port = await freePort();
    instance.url = `postgres://parlance@127.0.0.1:${instance.port}`;
    await instance.launch();
    return instance;
  }

  /** Makes it accept only TLS connections over TCP. */
  speakTls(authority, { uid, gid }) {
    for (const [file, name] of [[authority.env.TLS_CERT, 'server.crt'], [authority.env.TLS_KEY, 'server.key']]) {
      const own = join(this.data, name);
      copyFileSync(file, own);
      chmodSync(own, 0o600);
      if (uid !== undefined) chownSync(own, uid, gid);
    }
    appendFileSync(join(this.data, 'postgresql.conf'), '\nssl = on\n');
    const access = join(this.data, 'pg_hba.conf');
    writeFileSync(access, readFileSync(access, 'utf8').replace(/^host /gm, 'hostssl '));
  }

  /** Starts it on its data, and waits until it is ready. */
  async launch() {
    // Tests never cut the machine's power, so this instance need not sync its disk.
    const settings = ['-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=${this.folder}`, '-c', 'fsync=off', '-c', 'max_connections=300'];
    this.process = spawn(postgresProgram('postgres'), ['-D', this.data, '-p', String(this.port), ...settings], { ...this.options, stdio: ['ignore', 'ignore', 'pipe'] });
    const ready = new Promise((resolve, reject) => {
      let log = '';
      this.process.stderr.on('data', (bytes) => {
        log = (log + bytes).slice(-20_000);
        if (log.includes('ready to accept connections')) resolve();
      });
      this.process.on('exit', () => reject(new Error(`Postgres ended\n${log}`)));
    });
    await within(LIMIT, 'Postgres to be ready', ready);
  }

  /** Ends it at once, like a crash: work in progress is rolled back at the next start. */
  async crash() {
    const ended = new Promise((resolve) => this.process.on('exit', resolve));
    this.process.kill('SIGQUIT');
    await ended;
  }

  /** Returns its processes: each backend has a session of its own, so that one signal to the group is not enough. */
  processes() {
    const parentOf = (id) => {
      try {
        return Number(readFileSync(`/proc/${id}/stat`, 'utf8').split(') ')[1].split(' ')[1]);
      } catch {
        return undefined;
      }
    };
    const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((id) => parentOf(id) === this.process.pid);
    return [this.process.pid, ...children.map(Number)];
  }

  /** Stops answering, like a database on a hung machine. */
  freeze() {
    // Stopped first, the postmaster forks no new ones.
    signal(this.process.pid, 'SIGSTOP');
    for (const id of this.processes()) signal(id, 'SIGSTOP');
  }

  /** Continues as if nothing had happened. */
  thaw() {
    for (const id of this.processes().reverse()) signal(id, 'SIGCONT');
  }

  async remove() {
    this.thaw();
    await this.crash();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Makes an empty database in the instance at `url` and returns its URL. */
export function createDatabase(url) {
  const name = `chat_${process.pid}_${Math.random().toString(36).slice(2)}`;
  run('psql', ['-X', '-q', '-d', `${url}/postgres`, '-c', `create database ${name}`]);
  return `${url}/${name}`;
}

/** Returns the `DATABASE_URL` of a new empty database; `undefined` is the server's default. */
export function newDatabase(kind) {
  if (kind === 'sqlite') return undefined;
  const { PARLANCE_TEST_POSTGRES: url } = process.env;
  if (!url) throw new Error('no PARLANCE_TEST_POSTGRES: run the suites by `npm test`, which starts one');
  return createDatabase(url);
}

/** Returns the result of SQL, one row a line. */
export function query(url, sql) {
  return run('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', url, '-c', sql]);
}

/** Runs SQL on a server's database, bypassing the server. */
export function runSql(server, sql) {
  const { DATABASE_URL: url } = server.env;
  if (url) return run('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', url, '-c', sql]);
  return run('sqlite3', [join(server.folder, 'parlance.db'), `.timeout 10000`, sql]);
}
