// Plain HTTP of clients and proxies that send further requests before they are answered, or stand still.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as dial } from 'node:net';
import { it } from 'node:test';

import { useServer } from '../lib/server.mjs';

const holder = useServer();

/** Sends raw bytes; returns everything that comes until the server ends the connection. */
async function exchange(bytes, { until = 10_000 } = {}) {
  const socket = dial(Number(new URL(holder.server.url).port), '127.0.0.1');
  let answer = '';
  socket.setEncoding('latin1').on('data', (text) => (answer += text));
  socket.on('error', () => {});
  socket.write(bytes);
  const closed = once(socket, 'close', { signal: AbortSignal.timeout(until) });
  try {
    await closed;
  } finally {
    socket.destroy();
  }
  return answer;
}

const request = (method, path, fields = '') => `${method} ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;

it('answers to pipelined requests are framed each as its own request asks', async () => {
  const last = request('GET', '/healthz', 'Connection: close\r\n');
  const body = '{"login":"nobody","password":"x"}';
  const login = `${request('POST', '/api/auth/login', `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`)}${body}`;
  const chunked = `${request('POST', '/api/auth/login', 'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n')}${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  const answer = await exchange([request('HEAD', '/healthz'), request('GET', '/healthz'), login, request('HEAD', '/healthz'), chunked, last].join(''));
  const answers = answer.split(/(?=HTTP\/1\.1 )/);
  assert.equal(answers.length, 6, answer);
  const lengths = answers.map((one) => {
    const [head, ...rest] = one.split('\r\n\r\n');
    return { told: Number(/content-length: (\d+)/i.exec(head)?.[1]), has: rest.join('\r\n\r\n').length };
  });
  for (const [index, { told, has }] of lengths.entries()) {
    const isHead = index === 0 || index === 3;
    assert.equal(has, isHead ? 0 : told, `${index}: ${answers[index]}`);
    assert.ok(isHead || has > 0);
  }
});

it('a second head that does not end ends the connection', async () => {
  const begun = Date.now();
  const answer = await exchange(`${request('GET', '/healthz')}GET /healthz HT`, { until: 30_000 });
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.ok(Date.now() - begun < 20_000);
});
