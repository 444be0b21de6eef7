// Draws faults from a seed and inflicts them. The same seed plans the same faults at the same points; their effect
// depends on the machine.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';

import { LOSSES, databaseFile } from './files.mjs';
import { Random } from './random.mjs';

/** Faults of one page and its connection, with weights. Times in ms. */
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
  'long absence': 2,
  'burst, then left': 4,
  'burst, then cut': 4,
};

/** Kinds of faults that can be left out, and the faults above that belong to each. */
export const KINDS = {
  commands: 'commands beside the server, and between a kill and the next start',
  files: "the loss of SQLite's files while the server runs",
  edits: 'edits and deletions',
  leftovers: 'more requests than are answered at once, when a connection or the server ends',
};

const NEEDS = { 'burst, then left': 'leftovers', 'burst, then cut': 'leftovers' };

/** Mean time between two of them, in ms. */
const LINE_PAUSE = 500;

/** Time in ms after a burst in which a page suffers no other fault: delayed requests are carried out by then. */
const BURST_PAUSE = 1_000;

/** Commands to run beside a server or while none runs, with weights; `FILE` is a new file. */
const COMMANDS = {
  both: { 'user list': 4, 'token new --role user somebody': 2, check: 1, 'migrate status': 1, 'export FILE': 2 },
  sqlite: { 'backup FILE': 2 },
  postgres: {},
};

/** An endless sequence of faults: device, kind, duration, and pause until the next. */
export function* lineFaults(seed, devices, kinds) {
  const random = new Random(`${seed} lines`);
  const weights = Object.fromEntries(Object.entries(LINE_FAULTS).filter(([what]) => !NEEDS[what] || kinds.has(NEEDS[what])));
  for (;;) {
    // Two in three end before the heartbeat of server or client can notice.
    const lastsMs = random.oneIn(3) ? random.between(2_000, 5_000) : random.between(100, 1_500);
    yield { what: random.weighted(weights), device: random.pick(devices), lastsMs, thenReset: random.oneIn(2), burst: drawBurst(random), pauseMs: random.between(0, 2 * LINE_PAUSE) };
  }
}

/**
 * Fewer than the rate limit delays (50), so that none is refused; often queued behind the reads that a first message to
 * somebody needs.
 */
const drawBurst = (random) => ({ count: random.between(20, 34), news: random.between(0, 2), backMs: random.oneIn(3) ? random.between(2_500, 4_000) : random.between(0, 500) });

/**
 * Returns the faults of server and database: `[{at, what, lastsMs, burst, command, loss}]`; `at` is the elapsed
 * fraction of the run. `command`: `{args, when}`, with `when` before or after the end of the server.
 */
export function serverFaults(seed, database, kills, kinds) {
  const random = new Random(`${seed} server`);
  const commands = { ...COMMANDS.both, ...COMMANDS[database] };
  const outages = database === 'postgres' ? ['restarted Postgres', 'frozen Postgres'] : ['locked database'];
  const faults = [
    ...Array(kills).fill('killed server'),
    ...Array(Math.ceil(kills / 4)).fill('stopped server'),
    ...Array.from({ length: Math.ceil(kills / 2) }, (_, index) => outages[index % outages.length]),
    ...Array(kinds.has('files') && database === 'sqlite' ? Math.ceil(kills / 6) : 0).fill('lost files'),
    ...Array(kinds.has('commands') ? Math.ceil(kills / 3) : 0).fill('command'),
  ];
  for (let last = faults.length - 1; last > 0; last--) {
    const other = random.between(0, last);
    [faults[last], faults[other]] = [faults[other], faults[last]];
  }
  return faults.map((what, index) => ({
    what,
    at: (index + 0.5) / faults.length,
    lastsMs: random.between(0, 1_500),
    burst: drawBurst(random),
    loss: random.pick(LOSSES),
    command: { args: random.weighted(commands).split(' '), when: random.pick(['before', 'before', 'after', 'never']) },
  }));
}

/** Inflicts faults on `devices` (name → `{way, freeze(), thaw(), kill(), restart()}`), `server` and `database`. */
export class Nemesis {
  constructor({ devices, host, postgres, kinds, say }) {
    this.kinds = kinds;
    this.devices = devices;
    this.host = host;
    this.postgres = postgres;
    this.say = say;
    /** Number of times that each fault was inflicted. */
    this.done = {};
    this.busy = new Set();
    /** Devices whose connections must be left intact for now. */
    this.spared = new Set();
    this.underway = new Set();
  }

  /** Runs line faults until `signal` aborts. */
  async tormentLines(seed, signal) {
    for (const fault of lineFaults(seed, [...this.devices.keys()], this.kinds)) {
      await pause(fault.pauseMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      this.begin(fault.device, this.onLine(fault), fault.what);
    }
  }

  /** Begins a fault, one at a time per device: while one is active, others drawn for it are skipped. */
  begin(key, inflict, what) {
    if (this.busy.has(key)) return;
    this.busy.add(key);
    this.count(what);
    const running = inflict().catch((error) => this.say(`${what}: ${error.stack}`)).finally(() => {
      this.busy.delete(key);
      this.underway.delete(running);
    });
    this.underway.add(running);
  }

  count(what) {
    this.done[what] = (this.done[what] ?? 0) + 1;
  }

  /** Leaves the connections of these devices intact while `act` runs. */
  async sparing(names, act) {
    for (const name of names) this.spared.add(name);
    await act().finally(() => names.forEach((name) => this.spared.delete(name)));
  }

  onLine({ what, device: name, lastsMs, thenReset, burst }) {
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
      'reset of all lines': async () => this.devices.forEach((each, other) => this.spared.has(other) || each.way.reset()),
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
      // Longer than the server keeps its session.
      'long absence': async () => {
        way.shut();
        await pause(4_000 + lastsMs / 2);
        way.open();
      },
      'burst, then left': () => this.sparing([name], async () => {
        await device.burst({ ...burst, how: 'left' });
        await pause(BURST_PAUSE);
      }),
      'burst, then cut': () => this.sparing([name], async () => {
        await device.burst({ ...burst, how: 'cut' });
        way.reset();
        await pause(BURST_PAUSE);
      }),
    }[what];
  }

  /** Inflicts one fault on the server or its database, and waits until it is over. */
  async onServer({ what, lastsMs, burst, command, loss }) {
    this.count(what);
    const between = command.when === 'after' ? () => this.command(command.args) : undefined;
    await {
      'killed server': async () => {
        // Leaves time for messages between the command and the kill.
        if (command.when === 'before') await this.command(command.args).then(() => pause(500));
        await this.inFlight({ ...burst, how: 'kill' }, () => this.host.kill(lastsMs, between));
      },
      'stopped server': () => this.inFlight({ ...burst, how: 'stop' }, () => this.host.stop(lastsMs, between)),
      'lost files': () => this.host.loseFiles(loss, 1_000 + lastsMs),
      command: () => this.command(command.args),
      'restarted Postgres': () => this.host.outage(async () => {
        await this.postgres.crash();
        await pause(lastsMs);
        await this.postgres.launch();
      }),
      'frozen Postgres': () => this.host.outage(async () => {
        this.postgres.freeze();
        await pause(lastsMs);
        this.postgres.thaw();
      }),
      'locked database': () => this.host.outage(() => lockSqlite(this.host.folder, lastsMs)),
    }[what]();
  }

  /** Runs a command on the server's data. */
  async command(args) {
    if (!this.kinds.has('commands')) return;
    this.count(`parlance ${args[0]}`);
    await this.host.command(args);
  }

  /** Makes every unaffected page write more than is answered at once, and disturbs the server meanwhile. */
  async inFlight(burst, act) {
    if (!this.kinds.has('leftovers')) return act();
    const free = [...this.devices.keys()].filter((name) => !this.busy.has(name));
    for (const name of free) this.busy.add(name);
    this.count('burst, then the end of the server');
    await this.sparing(free, async () => {
      await Promise.all(free.map((name) => this.devices.get(name).burst(burst)));
      await act();
    }).finally(() => free.forEach((name) => this.busy.delete(name)));
    return undefined;
  }

  /** Ends all active faults. */
  async heal() {
    await Promise.all(this.underway);
    for (const { way } of this.devices.values()) way.heal();
  }
}

/** Lets another process hold the write lock of the server's database file. */
async function lockSqlite(folder, lastsMs) {
  const shell = spawn('sqlite3', [databaseFile(folder)], { stdio: ['pipe', 'pipe', 'inherit'] });
  shell.stdin.write('.timeout 10000\nbegin exclusive;\nselect 1;\n');
  await once(shell.stdout, 'data');
  await pause(lastsMs);
  shell.stdin.end('commit;\n');
  await once(shell, 'exit');
}
