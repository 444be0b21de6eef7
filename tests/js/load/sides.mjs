// Arguments of load scripts, and the servers that they measure one after the other: ours, and with `--beside node` also
// Node's.
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { Server } from '../lib/server.mjs';

const PEER = fileURLToPath(new URL('peer.mjs', import.meta.url));

/** Returns the numbers and options given, else the presets, and the `sides`. */
export function asked(presets, options = {}) {
  const { positionals, values } = parseArgs({ allowPositionals: true, options: { beside: { type: 'string' }, ...options } });
  if (![undefined, 'node'].includes(values.beside)) throw new Error('there is only `--beside node`');
  const numbers = presets.map((preset, index) => Number(positionals[index] ?? preset));
  return { numbers, values, sides: values.beside ? ['ours', 'node'] : ['ours'] };
}

/** Starts a side's server. Node's takes the place of the binary, which it gets as an argument. */
export function startSide(side, env = {}) {
  return Server.start({ env, wrap: side === 'node' ? [process.execPath, PEER] : [] });
}
