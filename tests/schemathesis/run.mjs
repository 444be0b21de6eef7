// Tries a running server against its OpenAPI document. Arguments go to schemathesis, after `run`.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { PNG, upload } from '../js/lib/files.mjs';
import { BINARY, Server } from '../js/lib/server.mjs';

const folder = fileURLToPath(new URL('.', import.meta.url));
// Limits of rate are tested where they are the matter.
const server = await Server.start({ env: { RATE_LIMIT_LOGINS: '0', RATE_LIMIT_EVENTS: '0', RUST_LOG: 'warn' } });
const scratch = mkdtempSync(join(tmpdir(), 'parlance-schemathesis-'));
try {
  execFileSync(BINARY, ['user', 'add', 'root', '--password', 'correct horse', '--role', 'admin'], { env: server.env, cwd: server.folder });
  const { body: { token, user } } = await server.api('POST', '/api/auth/login', { body: { login: 'root', password: 'correct horse' } });
  // Something is there to be found.
  const { body: { user: other } } = await server.api('POST', '/api/admin/users', { token, body: { username: 'other', password: 'correct horse' } });
  const group = { type: 'group', name: 'Friends', participants: [] };
  const { body: { conversation } } = await server.api('POST', '/api/conversations', { token, body: group });
  const path = `/api/conversations/${conversation.id}/messages`;
  const { body: { message } } = await server.api('POST', path, { token, body: { content: 'Hi' } });
  await server.api('POST', '/api/notifications', { token, body: { userId: user.id, type: 'sale', message: 'Sold' } });
  const { file } = await upload(server, token, 'a.png', PNG);
  const args = ['--config-file', join(folder, 'schemathesis.toml'), 'run', `${server.url}/api/openapi.json`, ...process.argv.slice(2)];
  // What it remembers of earlier runs stays out of the tree.
  const program = spawn(join(folder, '.venv/bin/schemathesis'), args, {
    cwd: scratch,
    stdio: 'inherit',
    env: {
      ...process.env,
      NO_COLOR: '1',
      PARLANCE_TOKEN: token,
      PARLANCE_CONVERSATION: conversation.id,
      PARLANCE_MEMBER: 'nobody',
      PARLANCE_USER: other.id,
      PARLANCE_MESSAGE: message._id,
      PARLANCE_UPLOAD: file.url.split('/').at(-1),
    },
  });
  process.exitCode = await new Promise((resolve) => program.on('exit', (code) => resolve(code ?? 1)));
  const lives = (await server.api('GET', '/healthz')).status === 200;
  if (!lives || server.log.includes('panicked')) {
    console.error(`the server does not live any more, or panicked:\n${server.log}`);
    process.exitCode = 1;
  }
} finally {
  await server.remove();
  rmSync(scratch, { recursive: true, force: true });
}
