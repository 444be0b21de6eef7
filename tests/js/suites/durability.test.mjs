// Acked means on disk: observed from outside, in the server's system calls (P1).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { people } from '../lib/chat.mjs';
import { Server } from '../lib/server.mjs';

const TRACED = 'trace=fsync,fdatasync,write,writev,sendto,sendmsg';

/**
 * Reads a trace in the order of completion: `sync` for a finished fsync or fdatasync, `sent` with the text for a write
 * that has begun (its bytes may be out from then on).
 */
function read(file) {
  const events = [];
  const pending = new Map();
  for (const line of readFileSync(file, 'latin1').split('\n')) {
    const [, thread, rest] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    if (!rest) continue;
    const begun = /^(fsync|fdatasync|write|writev|sendto|sendmsg)\(/.exec(rest)?.[1];
    const isSync = begun?.endsWith('sync');
    if (begun && !isSync) events.push({ kind: 'sent', text: rest });
    if (isSync && rest.includes('unfinished')) pending.set(thread, true);
    if (isSync && / = 0$/.test(rest)) events.push({ kind: 'sync' });
    if (/^<\.\.\. f(data)?sync resumed>.* = 0$/.test(rest) && pending.delete(thread)) events.push({ kind: 'sync' });
  }
  return events;
}

describe('under strace', () => {
  for (const transport of ['websocket', 'polling']) {
    it(`an fsync or fdatasync ends before the first ack byte of each batch, ${transport}`, async (test) => {
      const trace = join(tmpdir(), `parlance-trace-${process.pid}-${transport}`);
      // -D: the server stays our child. -yy is not needed: the acks are known by their text.
      const wrap = ['strace', '-D', '-f', '-q', '-s', '600', '-e', TRACED, '-o', trace];
      const server = await Server.start({ wrap, env: { RATE_LIMIT_EVENTS: '0' } });
      test.after(() => server.remove());
      const [alice, bob] = await people(test, server, ['alice', 'bob'], { transport });
      const send = (content) => alice.succeed('send_direct_message', { recipientId: bob.user.id, content });
      // One at a time: each is a batch of its own, and nothing else is stored between two acks.
      const names = Array.from({ length: 25 }, (_, index) => `single-${index}-end`);
      for (const name of names) await send(name);
      // Together: whatever batches they form, the first ack follows a sync.
      await Promise.all(Array.from({ length: 40 }, (_, index) => send(`burst-${index}-end`)));
      assert.equal((await server.end('SIGTERM')).code, 0);

      const events = read(trace);
      // An ack packet, which only the sending socket gets. A recipient's live copy also contains "success" in `agent`,
      // and may be sent before the commit.
      const isAck = ({ kind, text }, name) => kind === 'sent' && text.includes(name) && /43\d+\[\{\\"success\\":true/.test(text);
      let before = events.findIndex((event) => isAck(event, names[0]));
      assert.ok(before > 0, 'the first ack is in the trace');
      assert.ok(events.slice(0, before).some(({ kind }) => kind === 'sync'), 'a sync before the first ack');
      for (const name of [...names.slice(1), 'burst-']) {
        const ack = events.findIndex((event, index) => index > before && isAck(event, name));
        assert.ok(ack > before, `the ack of ${name} is in the trace`);
        assert.ok(events.slice(before, ack).some(({ kind }) => kind === 'sync'), `no sync between the acks before ${name} and its own`);
        before = ack;
      }
    });
  }
});
