// The back ends of the examples: run as they stand, beside a server with stock clients.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { ROOT } from '../lib/blocks.mjs';
import { people } from '../lib/chat.mjs';
import { connect } from '../lib/client.mjs';
import { makeDirect } from '../lib/conversation.mjs';
import { WEBHOOK_SECRET } from '../lib/receiver.mjs';
import { Server } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const KEY = 'the-key-of-the-examples-back-ends';

/** Returns a free port. */
function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(String(port)));
    });
  });
}

/** Starts a program of the examples, and waits until it listens. */
async function start(test, program, file, env) {
  const child = spawn(program, [join(ROOT, 'examples/backend', file)], { env: { PATH: process.env.PATH, HOME: process.env.HOME, WEBHOOK_SECRET, ...env } });
  test.after(() => child.kill('SIGKILL'));
  const said = { text: '' };
  child.stdout.on('data', (bytes) => (said.text += bytes));
  child.stderr.on('data', (bytes) => (said.text += bytes));
  said.until = (pattern) => within(LIMIT, () => `${pattern} of ${file}: ${said.text}`, new Promise((resolve) => {
    const look = () => pattern.test(said.text) && resolve();
    child.stdout.on('data', look);
    look();
  }));
  await said.until(/listening/);
  return said;
}

describe('back ends of the examples', () => {
  for (const [program, file] of [['node', 'mail.mjs'], ['python3', 'mail.py']]) {
    it(`${file} mails whom a message has not reached, and nobody whom it has`, async (test) => {
      const PORT = await freePort();
      const said = await start(test, program, file, { PORT });
      const server = await Server.start({ env: {
        WEBHOOK_URL: `http://127.0.0.1:${PORT}`, WEBHOOK_SECRET, WEBHOOK_EVENTS: 'message.unreached', WEBHOOK_UNREACHED_AFTER: '1s', PROOF_INTERVAL: '100ms',
      } });
      test.after(() => server.remove());
      const [alice, bob] = await people(test, server, ['alice', 'bob'], { dialect: 'conversation' });
      const carol = newUser('carol', { email: 'carol@example.org' });
      const visitor = await connect(server, carol);
      visitor.close();
      await visitor.disconnected();
      await alice.succeed('message:send', { conversationId: await makeDirect(server, alice, bob), content: 'Here?' });
      await alice.succeed('message:send', { conversationId: await makeDirect(server, alice, { user: carol }), content: 'Are you there?' });
      await said.until(/to carol@example\.org/);
      assert.equal(said.text.trim().split('\n').at(-1), `to carol@example.org: ${alice.user.username} wrote to you: Are you there?`);
    });
  }

  it('woken-bot.mjs answers what its account is sent', async (test) => {
    const [PORT, bot] = [await freePort(), newUser('bot')];
    const server = await Server.start({ env: {
      WEBHOOK_URL: `http://127.0.0.1:${PORT}`, WEBHOOK_SECRET, WEBHOOK_EVENTS: 'message.created', API_KEYS: KEY,
    } });
    test.after(() => server.remove());
    await start(test, 'node', 'woken-bot.mjs', { PORT, CHAT_URL: server.url, CHAT_KEY: KEY, BOT: bot.id });
    const [alice] = await people(test, server, ['alice'], { dialect: 'conversation' });
    const account = await connect(server, bot);
    account.close();
    await account.disconnected();
    await alice.succeed('message:send', { conversationId: await makeDirect(server, alice, { user: bot }), content: 'hello' });
    assert.equal((await alice.next('message:new', ({ senderId }) => senderId === bot.id)).content, 'You said: hello');
  });
});
