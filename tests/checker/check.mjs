// Shows that no acked message is lost, repeated or out of order. README.md explains its use.
import { parseArgs } from 'node:util';

import { ALLOWANCES, RULES } from './judge.mjs';
import { KINDS } from './nemesis.mjs';
import { runOnce } from './run.mjs';

const USAGE = `node tests/checker/check.mjs [options]     (the server: PARLANCE_BINARY, else target/debug/parlance)

  --seed TEXT            what the faults are drawn from (1)
  --seconds N            how long one run lasts, not counting start and judging (30)
  --messages N           … or until so many messages are acked
  --kills N              so many times the server is killed in each run (3), a quarter as often stopped, half as often the database goes away
  --database LIST        sqlite,postgres
  --delivery LIST        live,stored: DELIVERY of the server
  --lanes N              each page has so many requests under way (3)
  --pause MS             … and waits so long, on average, before the next (30)
  --without LIST         leaves these out (see below)
  --allow LIST           excuses besides those of the contract (see below)
  --env NAME=VALUE       a setting of the server; repeatable
  --webhooks             a webhook is told of every message; its receiver refuses a tenth, and is killed with each fault of the server
  --hooks                a hook is asked about every message and edit; it refuses, changes, is slow, hangs, and is killed with the server
  --keep                 leaves the logs of the pages and of the server, and says where

A run is made for every database and delivery. Exits 0 if no run has a violation. What can be left out:
${Object.entries(KINDS).map(([name, what]) => `  ${name.padEnd(26)} ${what}`).join('\n')}
Excuses:
${Object.entries(ALLOWANCES).map(([name, reason]) => `  ${name.padEnd(26)} ${reason}`).join('\n')}
`;

const { values: options } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '30' },
    messages: { type: 'string' },
    kills: { type: 'string', default: '3' },
    database: { type: 'string', default: 'sqlite,postgres' },
    delivery: { type: 'string', default: 'live,stored' },
    lanes: { type: 'string', default: '3' },
    pause: { type: 'string', default: '30' },
    without: { type: 'string', default: '' },
    allow: { type: 'string', default: '' },
    env: { type: 'string', multiple: true, default: [] },
    webhooks: { type: 'boolean', default: false },
    hooks: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (options.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}

/** Number of violations of one rule that are printed in full. */
const SHOWN = 5;

const list = (text) => text.split(',').map((word) => word.trim()).filter(Boolean);
const say = (text) => console.log(text);
const join = (counts) => Object.entries(counts).filter(([, count]) => count > 0).map(([name, count]) => `${name} ${count}`).join(', ') || 'none';

function report({ violations, allowed, counts, faults, seconds, folder, serverLog }) {
  say(`  ${seconds.toFixed(0)} s: ${join(counts)}`);
  say(`  faults: ${join(faults)}`);
  say(`  excused: ${join(allowed)}`);
  const byRule = groupBy(violations, ({ rule }) => rule);
  say(`  violations: ${join(Object.fromEntries([...byRule].map(([rule, found]) => [rule, found.length])))}`);
  for (const [rule, found] of byRule) {
    say(`  ${rule} (${RULES[rule] ?? 'the run itself'})`);
    for (const { text } of found.slice(0, SHOWN)) say(`    ${text}`);
    if (found.length > SHOWN) say(`    … and ${found.length - SHOWN} more`);
  }
  if (violations.length > 0 && serverLog) say(`  the server's last words:\n${serverLog.split('\n').slice(-15).map((line) => `    ${line}`).join('\n')}`);
  if (options.keep) say(`  logs: ${folder}`);
}

function groupBy(items, keyOf) {
  const groups = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(item);
  }
  return groups;
}

process.on('SIGINT', () => process.exit(130)).on('SIGTERM', () => process.exit(143));

const allow = list(options.allow);
const without = list(options.without);
for (const name of without) if (!(name in KINDS)) throw new Error(`nothing is called ${name}; known: ${Object.keys(KINDS).join(', ')}`);
const kinds = new Set(Object.keys(KINDS).filter((name) => !without.includes(name)));

let failed = 0;
for (const database of list(options.database)) {
  for (const delivery of list(options.delivery)) {
    const { seed, keep } = options;
    say(`${database}, DELIVERY=${delivery}, seed ${seed}`);
    const result = await runOnce({
      seed,
      database,
      delivery,
      seconds: Number(options.seconds),
      messages: options.messages && Number(options.messages),
      kills: Number(options.kills),
      lanes: Number(options.lanes),
      pauseMs: Number(options.pause),
      allow,
      kinds,
      env: Object.fromEntries(options.env.map((pair) => pair.split(/=(.*)/s).slice(0, 2))),
      keep,
      webhooks: options.webhooks,
      hooks: options.hooks,
      say,
    });
    report(result);
    failed += result.violations.length > 0 ? 1 : 0;
  }
}
process.exitCode = failed === 0 ? 0 : 1;
