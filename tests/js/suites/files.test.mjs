// A file is removed with the last message or picture that refers to it, and not before.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { assertHttpError } from '../lib/chat.mjs';
import { connect } from '../lib/client.mjs';
import { DATABASES, runSql } from '../lib/database.mjs';
import { PNG, upload } from '../lib/files.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

for (const database of DATABASES) {
  describe(`files on ${database}`, () => {
    const holder = useServer({ database, env: { API_KEYS: 'the-server-key-of-tests', RATE_LIMIT_EVENTS: '0' } });

    /** A user, with helpers for these tests. */
    class Person {
      constructor(server, name) {
        Object.assign(this, { server, ...newUser(name) });
      }

      async api(method, path, body, expected = 200) {
        const { status, body: answer } = await this.server.api(method, path, { token: this.token, body });
        assert.equal(status, expected, `${method} ${path} ${JSON.stringify(answer)}`);
        return answer;
      }

      async upload() {
        return (await upload(this.server, this.token, 'a.png', PNG)).file;
      }

      async say(conversation, content, rest = {}) {
        return (await this.api('POST', `/api/conversations/${conversation}/messages`, { content, ...rest }, 201)).message;
      }

      async group(...others) {
        const body = { type: 'group', name: 'Friends', participants: others.map(({ id }) => id) };
        return (await this.api('POST', '/api/conversations', body, 201)).conversation.id;
      }

      remove({ _id }) {
        return this.api('DELETE', `/api/messages/${_id}`);
      }
    }

    const isServed = async (server, { url }) => {
      const { status } = await fetch(`${server.url}${url}`);
      assert.ok([200, 404].includes(status));
      return status === 200;
    };
    const pathOf = (server, { url }) => join(server.folder, url);

    /** Waits until a file is gone from disk and from its address. */
    async function goes(server, file, why) {
      await within(LIMIT, `${why}: the file goes`, (async () => {
        while (existsSync(pathOf(server, file)) || await isServed(server, file)) await new Promise(setImmediate);
      })());
    }

    /** Waits for the removal of another file, which comes after all checks requested before. */
    async function settle(server, person) {
      const file = await person.upload();
      await person.api('PATCH', '/api/users/me', { avatar: file.url });
      await person.api('PATCH', '/api/users/me', { avatar: '' });
      await goes(server, file, 'a picture that was changed');
    }

    it('of a message that is deleted, when nothing else names it', async () => {
      const { server } = holder;
      const [ann, bob] = [new Person(server, 'ann'), new Person(server, 'bob')];
      await bob.api('GET', '/api/auth/me');
      const group = await ann.group(bob);
      const files = [];
      for (let index = 0; index < 4; index += 1) files.push(await ann.upload());
      const [alone, shared, written, never] = files;
      const first = await ann.say(group, '', { file: alone, attachments: [shared, written] });
      const second = await ann.say(group, 'again', { attachments: [shared] });
      const third = await bob.say(group, `see ${server.url}${written.url}.`);
      await ann.remove(first);
      await goes(server, alone, 'deleted');
      for (const file of [shared, written, never]) assert.ok(await isServed(server, file) && existsSync(pathOf(server, file)));
      const refused = await server.api('POST', `/api/conversations/${group}/messages`, { token: ann.token, body: { file: alone } });
      assertHttpError(refused, 404, 'NOT_FOUND');
      await ann.remove(second);
      await goes(server, shared, 'its last message deleted');
      await bob.api('PATCH', `/api/messages/${third._id}`, { content: 'never mind' });
      await goes(server, written, 'edited out of the text');
      await settle(server, ann);
      assert.ok(await isServed(server, never), 'what nothing named is not touched');
    });

    it('of a picture that is changed, a group, an account', async () => {
      const { server } = holder;
      const [ann, bob] = [new Person(server, 'ann'), new Person(server, 'bob')];
      await bob.api('GET', '/api/auth/me');
      const group = await ann.group(bob);
      const [one, two, three, four] = [await ann.upload(), await ann.upload(), await ann.upload(), await ann.upload()];
      await ann.api('PATCH', '/api/users/me', { avatar: one.url });
      await ann.api('PATCH', `/api/conversations/${group}`, { avatar: one.url });
      await ann.api('PATCH', '/api/users/me', { avatar: two.url });
      await ann.api('PATCH', '/api/users/me', { fullName: 'Ann' });
      await settle(server, bob);
      assert.ok(await isServed(server, one) && await isServed(server, two), 'the group has it still');
      await ann.api('PATCH', `/api/conversations/${group}`, { avatar: three.url });
      await goes(server, one, 'the last picture');
      await ann.say(group, '', { file: four });
      await ann.api('DELETE', `/api/conversations/${group}`);
      for (const file of [three, four]) await goes(server, file, 'the group deleted');
      const headers = { 'x-api-key': 'the-server-key-of-tests' };
      const unsent = await ann.upload();
      const { status } = await server.api('DELETE', `/api/admin/users/${ann.id}`, { headers });
      assert.equal(status, 200);
      for (const file of [two, unsent]) await goes(server, file, 'the account deleted');
    });

    it('that is sent while it goes is either kept or refused', async () => {
      const { server } = holder;
      const [ann, bob] = [new Person(server, 'ann'), new Person(server, 'bob')];
      await bob.api('GET', '/api/auth/me');
      const group = await ann.group(bob);
      const sender = await connect(server, ann);
      try {
        for (let round = 0; round < 15; round += 1) {
          const file = await ann.upload();
          await ann.remove(await ann.say(group, '', { file }));
          // It is checked at some time within the next third of a second.
          const moment = performance.now() + (round * 20);
          while (performance.now() < moment) await new Promise(setImmediate);
          const { success, code } = await sender.ask('send_group_message', { conversationId: group, content: `${round}`, file });
          if (!success) assert.equal(code, 'NOT_FOUND');
          await settle(server, bob);
          assert.equal(await isServed(server, file), success, `round ${round}`);
          assert.equal(existsSync(pathOf(server, file)), success, `round ${round}`);
        }
      } finally {
        sender.close();
      }
    });

    it('goes also where the server died in between', async (test) => {
      const server = await Server.start({ database });
      test.after(() => server.remove());
      const ann = new Person(server, 'ann');
      const [first, second] = [await ann.upload(), await ann.upload()];
      assert.equal((await server.end()).code, 0);
      // The state after the message was deleted, and then the upload.
      runSql(server, `INSERT INTO unnamed_files (url) VALUES ('${first.url}')`);
      runSql(server, `INSERT INTO unnamed_files (url) VALUES ('${second.url}')`);
      runSql(server, `DELETE FROM uploads WHERE url = '${second.url}'`);
      // A missing file is no problem, and a foreign one is not touched.
      writeFileSync(join(server.folder, 'uploads', 'mine.txt'), 'x');
      runSql(server, "INSERT INTO unnamed_files (url) VALUES ('/uploads/00000000000000000000000000000000.png')");
      runSql(server, "INSERT INTO unnamed_files (url) VALUES ('/uploads/mine.txt')");
      await server.launch();
      for (const file of [first, second]) await goes(server, file, 'after a crash');
      await settle(server, ann);
      // The note of a file is deleted after the file.
      const noted = () => runSql(server, "SELECT 'count ' || count(*) FROM unnamed_files");
      await within(LIMIT, () => `the notes to go: ${noted()}`, (async () => {
        while (!/count 0/.test(noted())) await new Promise(setImmediate);
      })());
      assert.ok(existsSync(join(server.folder, 'uploads', 'mine.txt')));
    });
  });
}
