// Number of commits that a direct message costs on Postgres while many talk, as counted by Postgres.
//
//   PARLANCE_BINARY=../../target/release/parlance node load/commits.mjs [pairs] [seconds]
import { execFileSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';

import { connect } from '../lib/client.mjs';
import { Postgres, createDatabase } from '../lib/database.mjs';
import { Server } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';

const [pairs, seconds] = [100, 10].map((preset, index) => Number(process.argv[2 + index] ?? preset));

const instance = await Postgres.start();
const databaseUrl = createDatabase(instance.url);
const server = await Server.start({ databaseUrl, env: { MAX_SOCKETS_PER_ADDRESS: '0', RATE_LIMIT_EVENTS: '0', PRESENCE_SCOPE: 'contacts' } });
try {
  const clients = await Promise.all(Array.from({ length: 2 * pairs }, () => connect(server, newUser())));
  const commits = async () => {
    // Postgres publishes its statistics with a delay.
    await pause(2_000);
    const query = 'select xact_commit from pg_stat_database where datname = current_database()';
    return Number(execFileSync('psql', ['-X', '-q', '-A', '-t', '-d', databaseUrl, '-c', query], { encoding: 'utf8' }));
  };
  const talk = async (until) => {
    let sent = 0;
    await Promise.all(Array.from({ length: pairs }, async (_, index) => {
      const [one, other] = [clients[2 * index], clients[2 * index + 1]];
      while (performance.now() < until) {
        await one.succeed('send_direct_message', { recipientId: other.user.id, content: 'x' });
        sent += 1;
      }
    }));
    return sent;
  };
  await talk(performance.now() + 2_000);
  const before = await commits();
  const sent = await talk(performance.now() + seconds * 1_000);
  const made = (await commits()) - before;
  console.log(`${sent} messages, ${made} commits: ${(made / sent).toFixed(3)} commits per message (must: at most 0.2)`);
  clients.forEach((client) => client.close());
} finally {
  await server.remove();
  await instance.remove();
}
