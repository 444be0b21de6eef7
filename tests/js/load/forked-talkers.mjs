// Controls the process of `talkers.mjs`.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/**
 * Forks talking pairs, each pausing `rest` ms after an ack. `timesOf(work)` returns the times of their acks while
 * `work` runs, in ms.
 */
export async function talkersOf(server, pairs, rest = 50) {
  const talkers = fork(fileURLToPath(new URL('talkers.mjs', import.meta.url)), [server.url, pairs, rest].map(String));
  const heard = async () => (await once(talkers, 'message'))[0];
  await heard();
  const timesOf = async (work) => {
    talkers.send('start');
    await work();
    talkers.send('stop');
    return heard();
  };
  return { timesOf, end: () => talkers.kill() };
}
