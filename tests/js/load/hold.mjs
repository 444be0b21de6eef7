// Many idle connections over several loopback addresses: how much memory does each take, in the server and in the
// kernel?
//
//   PARLANCE_BINARY=../../target/release/parlance node load/hold.mjs [connections] [--tls yes]
//
// For 50 000 a process has to be allowed 67 000 open files (`ulimit -Hn`); with fewer it holds fewer.
import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { Authority } from '../lib/certificate.mjs';
import { cpuSeconds } from '../lib/cpu.mjs';
import { Server } from '../lib/server.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const { positionals, values } = parseArgs({ allowPositionals: true, options: { tls: { type: 'string', default: 'no' } } });
const isTls = values.tls === 'yes';
const MUST = isTls ? 5.5 : 2.8;
/** Open files of a server beside its connections. */
const SPARE = 300;
/** Connections of one process and address: fewer than an address has ports. */
const CROWD = 10_000;
const IDLE_SECONDS = 30;

const number = (file, pattern) => Number(pattern.exec(readFileSync(file, 'utf8'))[1]);
const openFiles = number('/proc/self/limits', /^Max open files\s+\d+\s+(\d+)/m);
// A server gives its sessions three quarters of what it may open.
const connections = Math.min(Number(positionals[0] ?? 50_000), Math.floor((openFiles - SPARE) * 0.75));

const authority = isTls ? new Authority() : undefined;
const server = await Server.start({ env: { MAX_SOCKETS_PER_ADDRESS: '0', ...authority?.env } });
const { pid } = server.process;
/** Kilobytes in the server, and in the kernel for sockets of both ends. */
const memory = () => ({
  resident: number(`/proc/${pid}/status`, /VmRSS:\s+(\d+)/),
  kernel: number('/proc/meminfo', /^Slab:\s+(\d+)/m) + 4 * number('/proc/net/sockstat', /^TCP:.* mem (\d+)/m),
});
const crowds = [];
let lost = 0;
try {
  const before = memory();
  for (let left = connections; left > 0; left -= CROWD) {
    const child = fork(fileURLToPath(new URL('holders.mjs', import.meta.url)), [server.url, `127.0.0.${crowds.length + 2}`, String(Math.min(left, CROWD))]);
    crowds.push(child);
    await within(30 * LIMIT, 'connections of one address', new Promise((resolve, reject) => {
      child.on('message', (word) => (word === 'ready' ? resolve() : lost++)).on('exit', () => reject(new Error('a process of clients ended')));
    }));
  }
  const cpu = cpuSeconds(pid);
  await pause(IDLE_SECONDS * 1000);
  const after = memory();
  const each = (kind) => ((after[kind] - before[kind]) / connections).toFixed(2);
  console.log(`${connections} idle connections${isTls ? ' with TLS' : ''}, ${lost} lost: ${each('resident')} KB each resident (must: ${MUST}), of ${(after.resident / 1024).toFixed(1)} MB`);
  console.log(`the kernel's share: ${each('kernel')} KB for the sockets of both ends, half of it the server's; ${((cpuSeconds(pid) - cpu) / IDLE_SECONDS).toFixed(4)} processors while idle`);
} finally {
  for (const child of crowds) child.removeAllListeners('exit').kill();
  await server.remove();
  authority?.remove();
}
