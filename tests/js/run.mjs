// Runs the suites in processes of their own, two at a time, with one Postgres for all. Arguments select suites: `npm
// test -- retry`; the full name of a suite selects only that one.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

import { DATABASES, Postgres } from './lib/database.mjs';

const folder = fileURLToPath(new URL('suites', import.meta.url));
const wanted = process.argv.slice(2);
const suites = readdirSync(folder).filter((name) => name.endsWith('.test.mjs'));
const isMeant = (name, word) => (suites.includes(`${word}.test.mjs`) ? name === `${word}.test.mjs` : name.includes(word));
const files = suites
  .filter((name) => wanted.length === 0 || wanted.some((word) => isMeant(name, word)))
  .map((name) => join(folder, name));

const postgres = DATABASES.includes('postgres') ? await Postgres.start() : undefined;
process.env.PARLANCE_TEST_POSTGRES = postgres?.url ?? '';
try {
  const tests = run({ files, concurrency: 3, timeout: 600_000 });
  tests.on('test:fail', () => {
    process.exitCode = 1;
  });
  const report = tests.compose(new spec());
  report.pipe(process.stdout);
  await finished(report, { writable: false });
} finally {
  await postgres?.remove();
}
