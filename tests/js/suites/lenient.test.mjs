// Harmless additions by clients, their pages and proxies are no reason to refuse a request.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { people } from '../lib/chat.mjs';
import { closeAfter, connect } from '../lib/client.mjs';
import { PNG, tryUpload, upload } from '../lib/files.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';

describe('what is meant is taken', () => {
  const holder = useServer({ env: { RUST_LOG: 'warn,parlance::refusals=debug' } });

  it('a WebSocket that offers subprotocols, and a path without its last slash', async (test) => {
    for (const transport of ['websocket', 'upgrading']) {
      const client = await connect(holder.server, newUser(), { transport, protocols: ['chat', 'v2'] });
      closeAfter(test, client);
      if (transport === 'upgrading') await client.upgraded();
    }
    for (const transport of ['polling', 'websocket', 'upgrading']) {
      const client = await connect(holder.server, newUser(), { transport, addTrailingSlash: false });
      closeAfter(test, client);
      if (transport === 'upgrading') await client.upgraded();
    }
  });

  it('a token with a scheme, quotes or blanks around it', async (test) => {
    const ann = newUser('ann');
    for (const token of [`Bearer ${ann.token}`, `bearer ${ann.token}\n`, `"${ann.token}"`, ` "Bearer ${ann.token}" `]) {
      closeAfter(test, await connect(holder.server, { ...ann, token }));
      const { status } = await holder.server.api('GET', '/api/auth/me', { headers: { authorization: `Bearer ${token.trim()}` } });
      assert.equal(status, 200, token);
    }
  });

  it('a file with quotes in its name, and an MP4 of any brand', async (test) => {
    const [ann] = await people(test, holder.server, ['ann']);
    const { file } = await upload(holder.server, ann.user.token, 'a"b.png', PNG);
    const { status, headers } = await holder.server.api('GET', file.url, { headers: { range: 'bytes=9000-' } });
    assert.equal(status, 416);
    assert.equal(headers.get('content-range'), `bytes */${PNG.length}`);
    assert.ok(headers.get('x-error-id'), 'the log has a line of it');
    const film = Buffer.concat([Buffer.from('\0\0\0\x1cftypXAVC', 'latin1'), Buffer.alloc(64)]);
    assert.equal((await tryUpload(holder.server, ann.user.token, 'a.mp4', film)).status, 200);
  });
});

it('an event that no dialect has: its ack comes, so that a client with `retries` goes on', async (test) => {
  const server = await Server.start();
  test.after(() => server.remove());
  const [ann, bob] = await people(test, server, ['ann', 'bob'], { retries: 2, ackTimeout: 60_000 });
  const unknown = await ann.socket.emitWithAck('a-word-of-another-server', 1);
  assert.deepEqual([unknown.success, unknown.code], [false, 'UNKNOWN_EVENT']);
  ann.socket.volatile.emit('a-word-of-another-server', 2);
  const sent = await ann.socket.emitWithAck('send_direct_message', { recipientId: bob.user.id, content: 'behind it' });
  assert.equal(sent.success, true);
  assert.deepEqual(ann.told('error'), [], 'without an ack nothing is said');
});
