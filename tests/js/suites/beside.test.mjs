// Beside a running server: commands that must not count as a start, and files that disappear.
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { conversationHistory, people } from '../lib/chat.mjs';
import { newPlace, succeed } from '../lib/command.mjs';
import { DATABASES, query, runSql } from '../lib/database.mjs';
import { Server } from '../lib/server.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

/** Returns the number that an SQL query gives. */
const ask = (server, sql) => Number(server.env.DATABASE_URL ? query(server.env.DATABASE_URL, sql) : runSql(server, sql));

for (const database of DATABASES) {
  describe(`beside a server on ${database}`, () => {
    it('no command counts as a start', async (test) => {
      const server = await Server.start({ database });
      test.after(() => server.remove());
      const [ann, bob] = await people(test, server, ['ann', 'bob']);
      const send = (content) => ann.succeed('send_direct_message', { recipientId: bob.user.id, content });
      const { message: { conversationId } } = await send('1');
      await bob.next('new_message');
      const place = { folder: server.folder, env: server.env };
      const copies = newPlace(test, 'sqlite').folder;
      for (const command of [
        ['check'],
        ['config'],
        ['migrate', 'status'],
        ['migrate', 'up'],
        ['user', 'list'],
        ['user', 'add', 'dan', '--password', 'correct horse'],
        ['user', 'role', 'dan', 'admin'],
        ['user', 'export', 'dan'],
        ['token', 'new', 'dan'],
        ['token', 'revoke', '--all-of', 'dan'],
        ['export', join(copies, 'export.jsonl')],
        ...(database === 'sqlite' ? [['backup', join(copies, 'backup.db')]] : []),
      ]) {
        // The newest message is about to be stored as received: a start would create its notification.
        await send(`before ${command.join(' ')}`);
        await succeed({ ...place, env: { ...place.env, PARLANCE_URL: '', API_KEYS: '', PORT: new URL(server.url).port } }, ...command);
        assert.equal(ask(server, 'SELECT count(*) FROM boots'), 1, command.join(' '));
        assert.equal(ask(server, 'SELECT count(*) FROM notifications WHERE seen_at IS NULL AND read_at IS NULL'), 0, command.join(' '));
      }
      await server.end('SIGKILL');
      await server.launch();
      assert.equal(ask(server, 'SELECT count(*) FROM boots'), 2);
      const history = await conversationHistory(server, ann.user.token, conversationId);
      assert.equal(history[0].content, '1');
    });

    it('after a crash who was online was seen no longer than a minute before', async (test) => {
      const server = await Server.start({ database });
      test.after(() => server.remove());
      const [ann, bob, cid] = await people(test, server, ['ann', 'bob', 'cid']);
      cid.close();
      await within(LIMIT, 'who is online to be stored', (async () => {
        while (ask(server, 'SELECT count(*) FROM online_users') !== 2) await server.api('GET', '/healthz');
      })());
      const left = ask(server, `SELECT last_seen FROM users WHERE id = '${cid.user.id}'`);
      await server.end('SIGKILL');
      const died = Date.now();
      await server.launch();
      for (const { user } of [ann, bob]) {
        const seen = ask(server, `SELECT last_seen FROM users WHERE id = '${user.id}'`);
        assert.ok(seen <= died && seen > died - 60_000, `${seen}, dead at ${died}`);
      }
      assert.equal(ask(server, `SELECT last_seen FROM users WHERE id = '${cid.user.id}'`), left);
    });
  });
}

if (DATABASES.includes('sqlite')) {
  describe('the file of SQLite under a server', () => {
    const setUp = async (test) => {
      const server = await Server.start({ env: { RATE_LIMIT_EVENTS: '0' } });
      test.after(() => server.remove());
      const [ann, bob] = await people(test, server, ['ann', 'bob']);
      const send = (content) => ann.askWithin(4 * LIMIT, 'send_direct_message', { recipientId: bob.user.id, content });
      const { message: { conversationId } } = await send('before');
      const file = join(server.folder, 'parlance.db');
      return { server, ann, bob, send, conversationId, file };
    };
    const isGivenUp = async ({ server, bob, send }) => {
      // With `live`, the first may be seen before its commit.
      const first = await send('gone');
      assert.ok(['NOT_STORED', 'STORAGE_UNAVAILABLE'].includes(first.code), JSON.stringify(first));
      if (first.code === 'NOT_STORED') await bob.next('new_message', ({ message }) => message.content === 'gone');
      else assert.ok(!bob.told('new_message').some(({ message }) => message.content === 'gone'));
      assert.equal((await send('gone, too')).code, 'STORAGE_UNAVAILABLE');
      const ready = await server.api('GET', '/readyz');
      assert.deepEqual([ready.status, ready.body.code], [503, 'STORAGE_UNAVAILABLE']);
      assert.equal((await server.api('GET', '/healthz')).status, 200);
      const errors = server.log.split('\n').filter((line) => line.includes('ERROR'));
      assert.equal(errors.length, 1, server.log);
      assert.match(errors[0], /removed or replaced .*until the next start/);
    };

    for (const [what, change] of [
      ['is removed', (file) => rmSync(file)],
      ['is moved away', (file) => renameSync(file, `${file}.old`)],
      ['is replaced', (file) => { rmSync(file); writeFileSync(file, ''); }],
      ['loses its log', (file) => rmSync(`${file}-wal`)],
      ['loses its index', (file) => rmSync(`${file}-shm`)],
    ]) {
      it(`that ${what}: nothing is acked any more, and none is made in its place`, async (test) => {
        const place = await setUp(test);
        change(place.file);
        const isThere = existsSync(place.file);
        await isGivenUp(place);
        assert.equal(existsSync(place.file), isThere);
        if (what === 'is replaced') assert.equal(readFileSync(place.file).length, 0);
        assert.equal((await place.server.end()).code, 0);
      });
    }

    it('that is gone is noticed without a message', async (test) => {
      const { server, file } = await setUp(test);
      rmSync(file);
      await within(LIMIT, 'readiness to end', (async () => {
        while ((await server.api('GET', '/readyz')).status === 200);
      })());
    });

    it('a backup that is restored without a stop of the server is whole at the next start', async (test) => {
      const place = await setUp(test);
      const { server, ann, send, conversationId, file } = place;
      const copy = join(newPlace(test, 'sqlite').folder, 'backup.db');
      await succeed({ folder: server.folder, env: server.env }, 'backup', copy);
      for (let number = 0; number < 50; number += 1) assert.equal((await send(`after the backup ${number}`)).success, true);
      // docs/operating/backup.md, except for the stop.
      rmSync(`${file}-wal`);
      rmSync(`${file}-shm`);
      copyFileSync(copy, file);
      await isGivenUp(place);
      assert.equal((await server.end()).code, 0);
      await server.launch();
      const kept = await conversationHistory(server, ann.user.token, conversationId);
      assert.deepEqual(kept.map(({ content }) => content), ['before']);
    });
  });
}
