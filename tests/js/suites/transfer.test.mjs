// A whole database moves to the other kind and back, and nothing is lost, repeated or changed.
import assert from 'node:assert/strict';
import { createReadStream, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { begin, newPlace, refused, succeed } from '../lib/command.mjs';
import { DATABASES } from '../lib/database.mjs';
import { populate } from '../lib/populate.mjs';
import { Server } from '../lib/server.mjs';
import { sign } from '../lib/token.mjs';

const MESSAGES = 20_000;

/** Makes an SQLite database with rows of every kind. */
async function populated(test, messages) {
  const place = newPlace(test, 'sqlite');
  await succeed(place, 'migrate', 'up');
  populate(place.file, messages);
  return place;
}

/** Returns counts and checksums by table, without the starts: an import adds one. */
function sumsOf(file) {
  const text = readFileSync(file, 'utf8');
  const { end } = JSON.parse(text.slice(text.lastIndexOf('\n', text.length - 2) + 1));
  const { boots, ...sums } = end;
  assert.ok(boots.count > 0);
  return sums;
}

/** Feeds an import with the first `bytes` of a file, and kills it once it has read them. */
async function importUntilKilled(place, file, bytes) {
  const child = begin(place, ['import', '-']);
  const input = createReadStream(file, { end: bytes - 1 });
  // Not `end`: it must not learn that the file is cut off.
  input.pipe(child.stdin, { end: false });
  await new Promise((resolve) => {
    input.on('end', () => child.stdin.write('', resolve));
    child.on('exit', resolve);
  });
  child.kill('SIGKILL');
  assert.equal((await child.done).signal, 'SIGKILL', (await child.done).errors);
}

/** Changes one place in the file's text. */
function changed(place, file, from, to) {
  const text = readFileSync(file, 'utf8');
  assert.ok(text.includes(from), from);
  const other = join(place.folder, `changed-${Math.random()}.jsonl`);
  writeFileSync(other, text.replace(from, to));
  return other;
}

describe('moving a database', () => {
  const kinds = DATABASES.includes('postgres') ? ['postgres', 'sqlite'] : ['sqlite'];
  it(`from sqlite to ${kinds.join(' to ')}, killed three times on the way`, async (test) => {
    const source = await populated(test, MESSAGES);
    let file = join(source.folder, 'first.jsonl');
    await succeed(source, 'export', file);
    assert.equal(statSync(file).mode & 0o777, 0o600, 'it holds hashes of passwords');
    const first = sumsOf(file);
    assert.equal(first.messages.count, MESSAGES);
    assert.ok(Object.values(first).every(({ count }) => count > 0), 'rows of every kind');

    for (const kind of kinds) {
      const target = newPlace(test, kind);
      const { size } = statSync(file);
      for (const part of [0.3, 0.55, 0.8]) await importUntilKilled(target, file, Math.round(size * part));
      assert.match(await refused(target, 'serve'), /import into it is not finished/);
      const figures = JSON.parse(await succeed(target, 'import', file, '--json'));
      assert.ok(figures.resumedAfterLine > MESSAGES / 4, `it continued after line ${figures.resumedAfterLine}`);
      assert.match(await succeed(target, 'export', file, '--verify'), /equal/);
      const next = join(target.folder, 'next.jsonl');
      await succeed(target, 'export', next);
      assert.deepEqual(sumsOf(next), first);
      // A start above all earlier ones, and above every position.
      const boots = readFileSync(next, 'utf8').split('\n').filter((line) => line.startsWith('{"boots"')).map((line) => JSON.parse(line).boots);
      const [last] = boots.sort((one, other) => other.id - one.id);
      assert.ok(boots.every((boot) => boot === last || boot.id < last.id) && last.last_position >= MESSAGES, JSON.stringify(last));
      file = next;
    }
  });

  it('a server on the imported database has the messages, and gives new ones their place behind them', async (test) => {
    const source = await populated(test, 2_000);
    const file = join(source.folder, 'all.jsonl');
    await succeed(source, 'export', file);
    const target = newPlace(test, DATABASES.at(-1));
    await succeed(target, 'import', file);
    const server = await Server.start({ databaseUrl: target.env.DATABASE_URL, env: { DATA_DIR: target.folder } });
    test.after(() => server.remove());
    const lines = readFileSync(file, 'utf8').split('\n').slice(1, -2).map((line) => Object.entries(JSON.parse(line))[0]);
    const texts = lines.filter(([table, row]) => table === 'messages' && row.place === 'room:hall 0').map(([, row]) => row);
    const token = sign({ id: 'user-1', username: 'User 1' });
    const { status, body } = await server.api('GET', '/api/rooms/hall%200/messages?limit=200', { token });
    assert.equal(status, 200, JSON.stringify(body));
    const kept = texts.sort((one, other) => one.seq - other.seq).filter((row) => row.deleted_at === undefined);
    const found = body.messages.filter((message) => kept.some((row) => row.seq === message.seq));
    assert.ok(kept.length > 0);
    assert.deepEqual(found.map(({ message, content }) => message ?? content), kept.map((row) => row.content));

    const direct = lines.find(([table, row]) => table === 'conversations' && row.kind === 'direct' && row.last_seq > 0)[1];
    const [, member] = lines.find(([table, row]) => table === 'participants' && row.conversation === direct.id);
    const sent = await server.api('POST', `/api/conversations/${direct.id}/messages`, { token: sign({ id: member.user_id }), body: { content: 'after the move' } });
    assert.equal(sent.status, 201, JSON.stringify(sent.body));
    const { body: { messages } } = await server.api('GET', `/api/conversations/${direct.id}/messages?limit=1`, { token: sign({ id: member.user_id }) });
    assert.deepEqual([messages[0].content, messages[0].seq], ['after the move', direct.last_seq + 1]);
  });
});

for (const kind of DATABASES) {
  describe(`import into ${kind}`, () => {
    it('refuses what is no whole export, and goes on with the whole file', async (test) => {
      const source = await populated(test, 3_000);
      const file = join(source.folder, 'all.jsonl');
      await succeed(source, 'export', file);
      const target = newPlace(test, kind);
      const text = readFileSync(file, 'utf8');

      const other = join(source.folder, 'other.jsonl');
      writeFileSync(other, 'id,name\n1,ann\n');
      assert.match(await refused(target, 'import', other), /no export/);
      assert.match(await refused(target, 'import', changed(source, file, '"format":1', '"format":2')), /format 2.*reads format 1/);
      assert.match(await refused(target, 'import', join(source.folder, 'none.jsonl')), /none\.jsonl: No such file/);

      const cut = join(source.folder, 'cut.jsonl');
      writeFileSync(cut, text.slice(0, text.lastIndexOf('\n', text.length / 2) + 20));
      assert.match(await refused(target, 'import', cut), /cut off after line \d+/);
      assert.match(await refused(target, 'import', changed(source, file, '"id":"user-1"', '"id":"user-x"')), /is not what was imported/);
      assert.match(await refused(target, 'import', changed(source, file, /"id":"([0-9a-f-]{36})","version"/.exec(text)[0], '"id":"another","version"')), /another file is not finished/);
      assert.match(await refused(target, 'user', 'list'), /import FILE/);
      assert.match(await succeed(target, 'import', file), /continued after line/);
      assert.match(await refused(target, 'import', file), /not empty/);
    });

    it('names the line, the table, or the row that is wrong; --restart begins anew', async (test) => {
      const source = await populated(test, 500);
      const file = join(source.folder, 'all.jsonl');
      await succeed(source, 'export', file);
      const target = newPlace(test, kind);
      const first = await refused(target, 'import', changed(source, file, '{"rooms":{"place"', '{"rooms":{"plaice"'));
      assert.match(first, /line \d+ of the file: .*plaice/);
      const again = (from, to) => refused(target, 'import', changed(source, file, from, to), '--restart');
      assert.match(await again('{"rooms":', '{"rumours":'), /line \d+ .*rumours/);
      assert.match(await again('"role":"admin"', '"role":"king"'), /up to line \d+ of the file were refused/);
      assert.match(await again('"full_name":"Zoë', '"full_name":"Zoe'), /users: the file has other rows/);
      const lines = readFileSync(file, 'utf8').split('\n');
      const without = lines.filter((line, index) => index !== lines.findIndex((row) => row.startsWith('{"messages"'))).join('\n');
      assert.match(await again(lines.join('\n'), () => without), /messages: the file has 499 rows instead of 500/);
      await succeed(target, 'import', file, '--restart');
      assert.match(await succeed(target, 'export', '--verify', file), /equal/);
    });

    it('does nothing while a server runs on the database; an export may', async (test) => {
      const source = await populated(test, 500);
      const file = join(source.folder, 'all.jsonl');
      await succeed(source, 'export', file);
      const server = await Server.start({ database: kind });
      test.after(() => server.remove());
      const target = { folder: server.folder, env: server.env };
      assert.match(await refused(target, 'import', file), /in use/);
      const { out } = await new Promise((resolve) => resolve(begin(target, ['export', '-']).done));
      assert.equal(JSON.parse(out.split('\n')[0]).parlance.source, kind);
      assert.match(await refused(target, 'export', '--verify', file), /messages: the database has 0 rows instead of 500/);
      assert.match(await refused(target, 'export', file), /exists/);
    });
  });
}
