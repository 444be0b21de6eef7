// Draws faults from a seed and inflicts them. The same seed plans the same faults at the same places; what they hit is up to the machine.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { Random } from './random.mjs';

/** Faults of one page and its line, and how often each comes. Times in ms. */
const LINE_FAULTS = {
  reset: 6,
  'reset of all lines': 1,
  blackhole: 3,
  'nothing up': 2,
  'nothing down': 2,
  delay: 3,
  'half-close to the client': 2,
  'half-close to the server': 2,
  'reset to the client only': 3,
  'reset to the server only': 2,
  'frozen page': 2,
  'killed page': 2,
};

/** Mean time between two of them. */
const LINE_PAUSE = 500;

/** Endless: what happens to which page, how long it lasts and when the next one comes. */
export function* lineFaults(seed, devices) {
  const random = new Random(`${seed} lines`);
  for (;;) {
    // Two in three end before the server's or the client's heartbeat can notice.
    const lastsMs = random.oneIn(3) ? random.between(2_000, 5_000) : random.between(100, 1_500);
    yield { what: random.weighted(LINE_FAULTS), device: random.pick(devices), lastsMs, thenReset: random.oneIn(2), pauseMs: random.between(0, 2 * LINE_PAUSE) };
  }
}

/** What happens to the server and its database: `[{at, what, lastsMs}]`, `at` is how much of the run is over, from 0 to 1. */
export function serverFaults(seed, database, kills) {
  const random = new Random(`${seed} server`);
  const outages = database === 'postgres' ? ['restarted Postgres', 'frozen Postgres'] : ['locked database'];
  const faults = [
    ...Array(kills).fill('killed server'),
    ...Array(Math.ceil(kills / 4)).fill('stopped server'),
    ...Array.from({ length: Math.ceil(kills / 2) }, (_, index) => outages[index % outages.length]),
  ];
  for (let last = faults.length - 1; last > 0; last--) {
    const other = random.between(0, last);
    [faults[last], faults[other]] = [faults[other], faults[last]];
  }
  return faults.map((what, index) => ({ what, at: (index + 0.5) / faults.length, lastsMs: random.between(0, 1_500) }));
}

/** Inflicts faults on `devices` (name → `{way, freeze(), thaw(), kill(), restart()}`), `server` and `database`. */
export class Nemesis {
  constructor({ devices, host, postgres, say }) {
    this.devices = devices;
    this.host = host;
    this.postgres = postgres;
    this.say = say;
    /** How often each fault was inflicted. */
    this.done = {};
    this.busy = new Set();
    this.underway = new Set();
  }

  /** Runs line faults until `signal` aborts. */
  async tormentLines(seed, signal) {
    for (const fault of lineFaults(seed, [...this.devices.keys()])) {
      await pause(fault.pauseMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      this.begin(fault.device, this.onLine(fault), fault.what);
    }
  }

  /** One fault at a time per device: while one is under way, others that were drawn for it are left out. */
  begin(key, inflict, what) {
    if (this.busy.has(key)) return;
    this.busy.add(key);
    this.done[what] = (this.done[what] ?? 0) + 1;
    const running = inflict().catch((error) => this.say(`${what}: ${error.stack}`)).finally(() => {
      this.busy.delete(key);
      this.underway.delete(running);
    });
    this.underway.add(running);
  }

  onLine({ what, device: name, lastsMs, thenReset }) {
    const device = this.devices.get(name);
    const { way } = device;
    const hold = async (...directions) => {
      way.hold(...directions);
      await pause(lastsMs);
      if (thenReset) way.reset();
      way.release();
    };
    return {
      reset: async () => way.reset(),
      'reset of all lines': async () => this.devices.forEach((each) => each.way.reset()),
      blackhole: () => hold('up', 'down'),
      'nothing up': () => hold('up'),
      'nothing down': () => hold('down'),
      delay: async () => {
        way.delay(Math.min(lastsMs, 800));
        await pause(lastsMs);
        way.delay(0);
      },
      'half-close to the client': async () => way.halfClose('client'),
      'half-close to the server': async () => way.halfClose('server'),
      'reset to the client only': async () => way.forget('client'),
      'reset to the server only': async () => way.forget('server'),
      'frozen page': async () => {
        device.freeze();
        await pause(lastsMs);
        device.thaw();
      },
      'killed page': async () => {
        await device.kill();
        await pause(Math.min(lastsMs, 2_000));
        device.restart();
      },
    }[what];
  }

  /** Inflicts one fault on the server or its database, and waits until it is over. */
  async onServer({ what, lastsMs }) {
    this.done[what] = (this.done[what] ?? 0) + 1;
    await {
      'killed server': () => this.host.kill(lastsMs),
      'stopped server': () => this.host.stop(lastsMs),
      'restarted Postgres': async () => {
        await this.postgres.crash();
        await pause(lastsMs);
        await this.postgres.launch();
      },
      'frozen Postgres': async () => {
        this.postgres.freeze();
        await pause(lastsMs);
        this.postgres.thaw();
      },
      'locked database': () => lockSqlite(this.host.folder, lastsMs),
    }[what]();
  }

  /** Ends all that is under way. */
  async heal() {
    await Promise.all(this.underway);
    for (const { way } of this.devices.values()) way.heal();
  }
}

/** Another process holds the write lock of the server's database file. */
async function lockSqlite(folder, lastsMs) {
  const file = readdirSync(folder).find((name) => /\.(db|sqlite3?)$/.test(name));
  if (!file) throw new Error(`no database file in ${readdirSync(folder)}`);
  const shell = spawn('sqlite3', [join(folder, file)], { stdio: ['pipe', 'pipe', 'inherit'] });
  shell.stdin.write('.timeout 10000\nbegin exclusive;\nselect 1;\n');
  await once(shell.stdout, 'data');
  await pause(lastsMs);
  shell.stdin.end('commit;\n');
  await once(shell, 'exit');
}
