// A stand-in for an AI provider: a real HTTP server on loopback that answers as the test tells it.
import { once } from 'node:events';
import { createServer } from 'node:http';

import { LIMIT, within } from './wait.mjs';

/** Key given to the server; it may appear in one header only. */
export const KEY = 'sk-hush-hush-0123456789';

/** Differences between the providers. */
const PROVIDERS = {
  gemini: {
    path: (stream) => `/v1beta/models/stand-in:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
    keyHeader: { name: 'x-goog-api-key', value: KEY },
    request: (turns) => ({ contents: turns.map(([role, text]) => ({ role, parts: [{ text }] })) }),
    said: (text, finishReason = 'STOP') => ({ candidates: [{ content: { parts: [{ text }], role: 'model' }, finishReason, index: 0 }], usageMetadata: {} }),
    piece: (text, finishReason) => ({ candidates: [{ content: { parts: [{ text }], role: 'model' }, finishReason, index: 0 }] }),
    reasons: { cut: 'MAX_TOKENS', broken: ['SAFETY', 'RECITATION', 'OTHER'] },
    tooLong: 'The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).',
    /** Addresses of the same method, complete or in part. */
    addresses: ['/v1beta', '/v1beta/', '/v1beta/models', '/v1beta/models/stand-in', '/v1beta/models/stand-in:generateContent', '/v1beta/models/stand-in:streamGenerateContent?alt=sse'],
    last: () => [{ candidates: [{ content: { parts: [{ text: '' }], role: 'model' }, finishReason: 'STOP', index: 0 }] }],
    error: (status, name) => ({ error: { code: status, message: `It failed, and ${KEY} is to blame`, status: name } }),
  },
  openai: {
    path: () => '/v1/chat/completions',
    keyHeader: { name: 'authorization', value: `Bearer ${KEY}` },
    request: (turns, stream) => ({
      model: 'stand-in',
      messages: turns.map(([role, content]) => ({ role: role === 'model' ? 'assistant' : role, content })),
      stream,
    }),
    said: (content, finish_reason = 'stop') => ({ id: 'x', object: 'chat.completion', choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason }] }),
    piece: (content, finish_reason = null) => ({ id: 'x', choices: [{ index: 0, delta: { content }, finish_reason }] }),
    reasons: { cut: 'length', broken: ['content_filter', 'error'] },
    tooLong: "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    addresses: ['/v1', '/v1/', '/v1/chat/completions', '/v1/chat/completions/'],
    last: () => [{ id: 'x', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }, '[DONE]'],
    error: (status, name) => ({ error: { message: `It failed, and ${KEY} is to blame`, type: name.toLowerCase(), code: null } }),
  },
};

export const PROVIDER_NAMES = Object.keys(PROVIDERS);

/** Merges turns as all models require: the user begins, and consecutive turns of one side are one. */
function byTurns(turns) {
  const told = [];
  for (const [role, text] of turns) {
    if (told.at(-1)?.[0] === role) told.at(-1)[1] += `\n\n${text}`;
    else if (told.length > 0 || role === 'user') told.push([role, text]);
  }
  return told;
}

/** A question to the stand-in, open until it is answered. */
class Asked {
  constructor(provider, request, response, body) {
    Object.assign(this, { provider, response, path: request.url, headers: request.headers, body });
    this.gone = once(response, 'close');
  }

  /** Asserts that the request is as the provider documents it, streamed or not, with these `[role, text]` turns. */
  isFor(turns, stream = false) {
    const { path, keyHeader, request } = this.provider;
    return {
      actual: { path: this.path, key: this.headers[keyHeader.name], body: this.body },
      expected: { path: path(stream), key: keyHeader.value, body: request(byTurns(turns), stream) },
    };
  }

  send(status, body, headers = {}) {
    this.response.writeHead(status, { 'content-type': 'application/json', ...headers });
    this.response.end(typeof body === 'string' ? body : JSON.stringify(body));
  }

  answer(text, reason) {
    this.send(200, this.provider.said(text, reason));
  }

  refuse(status, headers = {}, name = 'SOME_REASON') {
    this.send(status, this.provider.error(status, name), headers);
  }

  /** Sends half of an answer with the length of a whole one, and cuts the connection. */
  cutAnswer(text) {
    const body = JSON.stringify(this.provider.said(text));
    this.response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    this.response.write(body.slice(0, body.length / 2), () => this.cut());
  }

  halfAnswer(text) {
    const body = JSON.stringify(this.provider.said(text));
    this.send(200, body.slice(0, body.length / 2));
  }

  /** Starts or continues a stream. */
  line(text, headers = {}) {
    if (!this.response.headersSent) this.response.writeHead(200, { 'content-type': 'text/event-stream', ...headers });
    return new Promise((resolve) => this.response.write(text, resolve));
  }

  event(data) {
    return this.line(`data: ${typeof data === 'string' ? data : JSON.stringify(data)}\r\n\r\n`);
  }

  piece(text, reason) {
    return this.event(this.provider.piece(text, reason));
  }

  /** Sends this at intervals while somebody is listening. */
  drip(milliseconds, say) {
    const timer = setInterval(say, milliseconds);
    this.gone.then(() => clearInterval(timer));
    return timer;
  }

  async finish() {
    for (const data of this.provider.last()) await this.event(data);
    this.response.end();
  }

  end() {
    this.response.end();
  }

  /** Cuts the connection. */
  cut() {
    this.response.destroy();
  }
}

/** The stand-in. */
export class Model {
  static async start(name) {
    const model = new Model();
    Object.assign(model, { name, provider: PROVIDERS[name], asked: [], waiting: [], sockets: new Set() });
    await model.open(0);
    return model;
  }

  async open(port) {
    this.server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      this.asked.push(new Asked(this.provider, request, response, JSON.parse(body)));
      this.waiting.shift()?.();
    });
    this.server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket)).on('error', () => {});
    });
    this.server.listen(port, '127.0.0.1');
    await within(LIMIT, 'the stand-in', once(this.server, 'listening'));
    this.port = this.server.address().port;
  }

  /** Settings that point a server here. */
  get env() {
    return { AI_PROVIDER: this.name, AI_URL: `http://127.0.0.1:${this.port}`, AI_API_KEY: KEY, AI_MODEL: 'stand-in' };
  }

  /** Returns the next question. */
  async next(limit = LIMIT) {
    if (this.asked.length === 0) await within(limit, 'a question', new Promise((resolve) => this.waiting.push(resolve)));
    return this.asked.shift();
  }

  /** Stops, and cuts all connections. */
  async kill() {
    const closed = once(this.server, 'close');
    this.server.close();
    this.sockets.forEach((socket) => socket.destroy());
    await closed;
  }

  /** Restarts at its old address. */
  async revive() {
    await this.open(this.port);
  }
}
