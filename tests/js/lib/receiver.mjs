// A receiver of webhooks: a real HTTP server on loopback that checks each request and answers as the test says.
import assert from 'node:assert/strict';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

import { unlikeCall } from './documents.mjs';
import { LIMIT, within } from './wait.mjs';

/** Secret with which requests are signed. */
export const WEBHOOK_SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

/** Largest difference between a request's time and ours, in seconds, as the specification's libraries tolerate. */
const TOLERANCE = 5 * 60;

/** Returns whether a request is signed with the secret, by the rules of Standard Webhooks. */
export function isSigned({ headers, body }, secret = WEBHOOK_SECRET) {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const right = Buffer.from(`v1,${createHmac('sha256', key).update(signed).digest('base64')}`);
  const given = Buffer.from(String(headers['webhook-signature']));
  const isNow = Math.abs(Date.now() / 1000 - Number(headers['webhook-timestamp'])) < TOLERANCE;
  return isNow && given.length === right.length && timingSafeEqual(given, right);
}

/** A receiver. `answer(event, response)` may answer itself; without it, or if it returns a number, that is the status. */
export class Receiver {
  /** All requests, those that were refused, too: `{event, status}`. */
  requests = [];
  /** Events that were accepted. */
  events = [];
  waiting = [];
  answer = () => 204;

  static async start(test, { port = 0 } = {}) {
    const receiver = new Receiver();
    receiver.server = createServer((request, response) => receiver.take(request, response));
    receiver.server.listen(port, '127.0.0.1');
    await once(receiver.server, 'listening');
    receiver.port = receiver.server.address().port;
    receiver.url = `http://127.0.0.1:${receiver.port}/events`;
    test.after(() => receiver.close());
    return receiver;
  }

  /** Settings of a server whose webhook it is. */
  settings(events) {
    return { WEBHOOK_URL: this.url, WEBHOOK_SECRET, WEBHOOK_EVENTS: [events].flat().join(',') };
  }

  async take(request, response) {
    const chunks = [];
    request.on('error', () => {});
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    try {
      assert.equal(request.method, 'POST');
      assert.match(request.headers['content-type'], /^application\/json/);
      assert.ok(isSigned({ headers: request.headers, body }), 'the signature');
    } catch (error) {
      process.nextTick(() => { throw error; });
    }
    const event = JSON.parse(body);
    if (event.id !== request.headers['webhook-id']) process.nextTick(() => { throw new Error(`two ids: ${body}`); });
    try {
      assert.equal(unlikeCall('webhook', event), undefined);
    } catch (error) {
      process.nextTick(() => { throw error; });
    }
    const status = await this.answer(event, response, this);
    this.requests.push({ event, status });
    if (status >= 200 && status < 300) this.events.push(event);
    if (typeof status === 'number') {
      response.writeHead(status);
      response.end();
    }
    this.waiting = this.waiting.filter((look) => !look());
  }

  /** Waits until `count` accepted events match; returns them. */
  async holds(count, matches = () => true, limit = LIMIT) {
    const found = () => this.events.filter(matches);
    const soFar = () => this.events.slice(-20).map((event) => JSON.stringify(event).slice(0, 200)).join('\n');
    await within(limit, () => `${count} events; so far ${found().length}:\n${soFar()}`, this.until(() => found().length >= count));
    return found();
  }

  /** Returns the first accepted event of this type that matches, waiting for it if need be. */
  async next(type, matches = () => true, limit = LIMIT) {
    return (await this.holds(1, (event) => event.type === type && matches(event), limit))[0];
  }

  /** Waits until something holds after a request. */
  until(holds) {
    return new Promise((resolve) => {
      const look = () => holds() && (resolve(), true);
      if (!look()) this.waiting.push(look);
    });
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}
