// A page's log: one line per event, on disk before the page does anything else, so that it survives a kill.
import { closeSync, openSync, readSync, writeSync } from 'node:fs';

/** Fields of each kind of record after `kind` and `at`. */
const FIELDS = {
  connect: ['recovered', 'transport'],
  disconnect: ['reason'],
  'turned away': ['code'],
  loaded: ['conversation', 'seq'],
  send: ['name', 'conversation', 'once'],
  ack: ['name', 'id'],
  refused: ['name', 'code'],
  unknown: ['name'],
  burst: ['how', 'names'],
  edit: ['name', 'id', 'version'],
  delete: ['name', 'id'],
  changed: ['name', 'version'],
  unchanged: ['name', 'version', 'code'],
  got: ['id', 'conversation', 'name', 'sender', 'version', 'isHooked'],
  'told edit': ['id', 'conversation', 'name', 'version'],
  'told deletion': ['id', 'conversation'],
  delivered: ['id', 'user'],
};

/** Microseconds of the machine's monotonic clock, the same in all processes. */
export const now = () => Number(process.hrtime.bigint() / 1000n);

/** A log being written. */
export class LogWriter {
  constructor(file) {
    this.descriptor = openSync(file, 'a');
  }

  add(kind, ...values) {
    if (values.length !== FIELDS[kind]?.length) throw new Error(`${kind} has the fields ${FIELDS[kind]}`);
    writeSync(this.descriptor, `${JSON.stringify([kind, now(), ...values])}\n`);
  }
}

const CHUNK_BYTES = 1 << 20;

/** Yields the lines of a file, except one that a kill cut off. */
function* lines(file) {
  const descriptor = openSync(file, 'r');
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    let rest = Buffer.alloc(0);
    for (let read; (read = readSync(descriptor, chunk)) > 0;) {
      const bytes = Buffer.concat([rest, chunk.subarray(0, read)]);
      const end = bytes.lastIndexOf(10) + 1;
      rest = Buffer.from(bytes.subarray(end));
      for (const line of bytes.toString('utf8', 0, end).split('\n')) if (line) yield line;
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Yields the records of a log, read anew each time: those of a long run do not fit in memory. */
export const readLog = (file) => ({
  * [Symbol.iterator]() {
    for (const line of lines(file)) {
      const [kind, at, ...values] = JSON.parse(line);
      const record = { kind, at };
      FIELDS[kind].forEach((field, index) => {
        record[field] = values[index];
      });
      yield record;
    }
  },
});

/** Returns the messages sent without an answer, which are to be repeated: `[{name, conversation}]`. */
export function unansweredIn(records) {
  const open = new Map();
  for (const { kind, name, conversation, once } of records) {
    if (kind === 'send' && !once) open.set(name, { name, conversation });
    if (kind === 'ack' || kind === 'refused') open.delete(name);
  }
  return [...open.values()];
}

/** Returns the names of conversations that did not exist when they were written to. */
export function draftsIn(records) {
  const drafts = new Set();
  for (const { kind, conversation } of records) if (kind === 'send' && conversation.includes('|')) drafts.add(conversation);
  return [...drafts];
}
