// A copy of the database while the server is working, and a server on that copy.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { conversationHistory, people } from '../lib/chat.mjs';
import { begin, newPlace, refused, succeed } from '../lib/command.mjs';
import { DATABASES } from '../lib/database.mjs';
import { populate } from '../lib/populate.mjs';
import { Server } from '../lib/server.mjs';

describe('backup', () => {
  it('under load has all that was acked before it began, and hinders nobody', async (test) => {
    const place = newPlace(test, 'sqlite');
    await succeed(place, 'migrate', 'up');
    populate(place.file, 20_000);
    const server = await Server.start({ env: { DATA_DIR: place.folder, RATE_LIMIT_EVENTS: '0' } });
    test.after(() => server.remove());
    const [alice, bob] = await people(test, server, ['alice', 'bob']);
    const acked = [];
    let conversation;
    let running = true;
    const talk = async (lane) => {
      for (let number = 0; running; number += 1) {
        const content = `lane ${lane} number ${number}`;
        const { message } = await alice.succeed('send_direct_message', { recipientId: bob.user.id, content });
        conversation = message.conversationId;
        acked.push(content);
      }
    };
    const load = Promise.all(Array.from({ length: 8 }, (_, lane) => talk(lane)));
    load.catch(() => {});
    const upTo = async (count) => {
      while (acked.length < count) await Promise.race([load, new Promise(setImmediate)]);
    };
    await upTo(200);

    const before = [...acked];
    const copy = join(place.folder, 'copy.db');
    const child = begin(place, ['backup', copy, '--json']);
    let done;
    child.done.then((how) => (done = how));
    while (!done) await Promise.race([load, new Promise(setImmediate)]);
    const during = acked.length - before.length;
    assert.equal(done.code, 0, done.errors);
    const { bytes } = JSON.parse(done.out);
    await upTo(acked.length + 50);
    running = false;
    await load;
    assert.ok(during > 20, `only ${during} were acked meanwhile`);

    assert.equal(statSync(copy).size, bytes);
    assert.equal(statSync(copy).mode & 0o777, 0o600);
    assert.equal(execFileSync('sqlite3', [copy, 'PRAGMA integrity_check'], { encoding: 'utf8' }), 'ok\n');
    assert.deepEqual(readdirSync(place.folder).filter((name) => name.includes('.part')), []);

    const elsewhere = newPlace(test, 'sqlite');
    copyFileSync(copy, elsewhere.file);
    const restored = await Server.start({ env: { DATA_DIR: elsewhere.folder } });
    test.after(() => restored.remove());
    const contents = (await conversationHistory(restored, bob.user.token, conversation)).map((message) => message.content);
    const there = new Set(contents);
    assert.deepEqual(before.filter((content) => !there.has(content)), [], 'acked before the backup began');
    assert.equal(there.size, contents.length, 'each once');
    assert.ok(contents.every((content) => acked.includes(content)));
  });

  it('overwrites nothing unless told to, and leaves nothing half done', async (test) => {
    const place = newPlace(test, 'sqlite');
    assert.match(await refused(place, 'backup', 'copy.db'), /there is no database/);
    await succeed(place, 'migrate', 'up');
    const target = join(place.folder, 'copy.db');
    writeFileSync(target, 'mine');
    assert.match(await refused(place, 'backup', 'copy.db'), /exists.*--force/);
    assert.equal(readFileSync(target, 'utf8'), 'mine');
    assert.match(await succeed(place, 'backup', 'copy.db', '--force'), /wrote and checked copy\.db/);
    assert.match(readFileSync(target, 'latin1'), /^SQLite format 3/);
    assert.match(await refused(place, 'backup', 'nowhere/copy.db'), /nowhere\/copy\.db: No such file/);

    // Corrupts a page of the file.
    populate(place.file, 2_000);
    const bytes = readFileSync(place.file);
    bytes.fill(0x5a, bytes.length - 30 * 4096, bytes.length - 29 * 4096);
    writeFileSync(place.file, bytes);
    assert.match(await refused(place, 'backup', 'other.db'), /malformed|damaged/);
    assert.deepEqual(readdirSync(place.folder).filter((name) => name.startsWith('other.db')), []);
  });

  if (DATABASES.includes('postgres')) {
    it('of Postgres says how', async (test) => {
      assert.match(await refused(newPlace(test, 'postgres'), 'backup', 'copy.db'), /pg_dump --format=custom/);
    });
  }
});
