// How the cost grows with the messages that are stored: the list of conversations, a search of users, direct messages, and
// the memory that stays.
//
//   PARLANCE_BINARY=../../target/release/parlance node load/growth.mjs [sqlite|postgres] [messages,…] [seconds] [quiet seconds]
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { connect } from '../lib/client.mjs';
import { median, percentile } from '../lib/cpu.mjs';
import { Postgres, createDatabase } from '../lib/database.mjs';
import { Server } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { talkersOf } from './forked-talkers.mjs';

const database = process.argv[2] ?? 'sqlite';
const sizes = (process.argv[3] ?? '10000,100000,1000000').split(',').map(Number);
const [seconds, quietSeconds] = [10, 60].map((preset, index) => Number(process.argv[4 + index] ?? preset));
const USERS = 200_000;
const CONVERSATIONS = 100;
const PAIRS = 64;
const SEARCHES = 32;
/** Milliseconds since 1970 of the first message. */
const START = 1_700_000_000_000;
/** Four letters each. */
const FIRST = 'annabertcleodoraemilfredginahugoinesjohnkarlleonmaranilsottopaularosastefuweszoey';
const LAST = 'bergdorffalkgrafhahnjungkochlangmohrnoltostaparkreifstarthomulmevoltwolfyorkzorn';
/** Rare ones, common ones, such as nobody has, and one of two letters. */
const TEXTS = ['anna', 'a.berg', '12345', 'zoey.zorn', 'ey zo', '19999', 'nobody', 'wolf1', 'oey', 'rt'];

/** Returns SQL that fills a database; `reader` has not read any of the messages. */
function sql(messages, reader) {
  const is = (of) => database === of;
  const numbers = (count) => (is('sqlite')
    ? `(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) SELECT i FROM n)`
    : `generate_series(1, ${count}) AS n(i)`);
  const hex = (number, digits) => (is('sqlite') ? `printf('%0${digits}x', ${number})` : `lpad(to_hex(${number}), ${digits}, '0')`);
  const uuid = (number, kind) => `'${kind}0000000-0000-7000-8000-' || ${hex(number, 12)}`;
  const line = is('sqlite') ? 'char(10)' : 'chr(10)';
  const name = `substr('${FIRST}', i % 20 * 4 + 1, 4)`;
  const family = `substr('${LAST}', i / 20 % 20 * 4 + 1, 4)`;
  const each = Math.ceil(messages / CONVERSATIONS);
  return `
${is('sqlite') ? 'PRAGMA synchronous = OFF;' : ''}
BEGIN;
INSERT INTO users (id, username, username_key, full_name, search_text, role, status, disabled, created_at)
SELECT 'grown-' || i, ${name} || '.' || ${family} || i, ${name} || '.' || ${family} || i, ${name} || ' ' || ${family},
  ${name} || '.' || ${family} || i || ${line} || ${name} || ' ' || ${family}, 'user', 'offline', false, ${START} FROM ${numbers(USERS)};
INSERT INTO users (id, username, username_key, search_text, role, status, disabled, created_at)
VALUES ('${reader.id}', '${reader.username}', '${reader.username}', '${reader.username}' || ${line}, 'user', 'offline', false, ${START});
INSERT INTO conversations (id, kind, direct_key, last_seq, last_position, created_at, updated_at)
SELECT ${uuid('i', 1)}, 'direct', 'grown-' || i || ${line} || '${reader.id}', ${each}, i * ${each}, ${START}, ${START} + i * ${each} FROM ${numbers(CONVERSATIONS)};
INSERT INTO participants (conversation, user_id, delivered_seq, read_seq, joined_at, joined_rank, joined_position, not_unread)
SELECT ${uuid('i', 1)}, 'grown-' || i, 0, 0, ${START}, 0, 0, ${each} FROM ${numbers(CONVERSATIONS)};
INSERT INTO participants (conversation, user_id, delivered_seq, read_seq, joined_at, joined_rank, joined_position, not_unread)
SELECT ${uuid('i', 1)}, '${reader.id}', ${each}, 0, ${START}, 1, 0, 0 FROM ${numbers(CONVERSATIONS)};
INSERT INTO messages (id, place, seq, position, sender, created_at, updated_at, role, message_type, content)
SELECT ${uuid('i', 2)}, ${uuid(`((i - 1) / ${each} + 1)`, 1)}, (i - 1) % ${each} + 1, i, 'grown-' || ((i - 1) / ${each} + 1), ${START} + i, ${START} + i, 'user', 'text',
  'plain words, as most messages are: see you at eight? ' || i FROM ${numbers(each * CONVERSATIONS)};
COMMIT;
${is('sqlite') ? 'PRAGMA wal_checkpoint(TRUNCATE);' : ''}
ANALYZE;
`;
}

/** Returns the resident memory of a process, in MB. */
const resident = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1]) / 1024;

/** Returns how long work took, in ms. */
async function timed(work) {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function acksPerSecond(server) {
  const clients = await Promise.all(Array.from({ length: 2 * PAIRS }, () => connect(server, newUser('pair'))));
  const until = performance.now() + seconds * 1000;
  let acks = 0;
  await Promise.all(Array.from({ length: PAIRS }, async (_, index) => {
    const [one, other] = [clients[2 * index], clients[2 * index + 1]];
    while (performance.now() < until) {
      await one.succeed('send_direct_message', { recipientId: other.user.id, content: 'x' });
      acks += 1;
    }
  }));
  for (const client of clients) client.close();
  return acks / seconds;
}

async function measure(messages, databaseUrl) {
  const env = { MAX_SOCKETS_PER_ADDRESS: '0', RATE_LIMIT_EVENTS: '0', RATE_LIMIT_RECEIPTS: '0', PRESENCE_SCOPE: 'contacts' };
  const server = await Server.start({ env, databaseUrl });
  try {
    const pid = () => server.process.pid;
    await server.end();
    const reader = newUser('reader');
    const input = sql(messages, reader);
    const stdio = ['pipe', 'ignore', 'inherit'];
    if (database === 'sqlite') execFileSync('sqlite3', ['-bail', join(server.folder, 'parlance.db')], { input, stdio });
    else execFileSync('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', databaseUrl], { input, stdio });
    const start = await timed(() => server.launch());
    const atStart = resident(pid());

    const list = () => server.api('GET', `/api/conversations?limit=${CONVERSATIONS}`, { token: reader.token });
    const { body } = await list();
    const unread = body.conversations.reduce((sum, { unreadCount }) => sum + unreadCount, 0);
    const lists = [];
    for (let index = 0; index < 50; index++) lists.push(await timed(list));

    const talkers = await talkersOf(server, 10);
    await pause(1000);
    const calm = await talkers.timesOf(() => pause(5000));
    const searchers = Array.from({ length: SEARCHES }, () => newUser('searcher'));
    await Promise.all(searchers.map(({ token }) => server.api('GET', '/api/users/online?limit=1', { token })));
    const search = (token, text) => timed(() => server.api('GET', `/api/users?query=${text}&limit=20`, { token }));
    const alone = new Map();
    for (const text of TEXTS) alone.set(text, median([await search(reader.token, text), await search(reader.token, text), await search(reader.token, text)]));
    const searches = [];
    const busy = await talkers.timesOf(() => Promise.all(searchers.map(async ({ token }, index) => {
      for (let round = 0; round < 20; round++) {
        searches.push(await search(token, TEXTS[(index + round) % TEXTS.length]));
        // As somebody who types.
        await pause(250);
      }
    })));
    talkers.end();

    const acks = await acksPerSecond(server);
    const loaded = resident(pid());
    await pause(quietSeconds * 1000);
    const quiet = resident(pid());
    const ms = (value) => value.toFixed(1);
    console.log(`${database}, ${messages} messages, ${USERS} users: start ${start.toFixed(0)} ms`);
    console.log(`  list of ${body.conversations.length} conversations, ${unread} unread: ${ms(median(lists))} ms, p95 ${ms(percentile(lists, 0.95))} (must: at most 5)`);
    console.log(`  search alone: ${[...alone].map(([text, took]) => `${text} ${ms(took)}`).join(', ')} ms`);
    console.log(`  ${SEARCHES} searchers at once: ${ms(median(searches))} ms, p99 ${ms(percentile(searches, 0.99))} (must: at most 20)`);
    console.log(`  others' p99 of the ack: ${ms(percentile(calm, 0.99))} ms before, ${ms(percentile(busy, 0.99))} meanwhile (must: at most 1.5 ×)`);
    console.log(`  dm, ${PAIRS} pairs: ${acks.toFixed(0)} acks/s`);
    console.log(`  resident: ${atStart.toFixed(0)} MB at the start, ${loaded.toFixed(0)} after the load, ${quiet.toFixed(0)} after ${quietSeconds} s of quiet`);
    return acks;
  } finally {
    await server.remove();
  }
}

const instance = database === 'postgres' ? await Postgres.start() : undefined;
try {
  let empty;
  for (const messages of sizes) {
    const acks = await measure(messages, instance && createDatabase(instance.url));
    empty ??= acks;
    console.log(`  dm beside the first size: ${(acks / empty).toFixed(2)} × (must: at least 0.93)`);
  }
} finally {
  await instance?.remove();
}
