// A reader of server-sent events with JSON data.
import assert from 'node:assert/strict';
import { get } from 'node:http';

import { within, LIMIT } from './wait.mjs';

/** Entries of an open stream, past and future. */
export class EventStream {
  /** Opens `path` and waits for its first bytes. */
  static async open(server, path, headers) {
    const stream = new EventStream();
    const response = await within(LIMIT, `the answer of ${path}`, new Promise((resolve, reject) => {
      stream.request = get(server.url + path, { headers, agent: false }, resolve).on('error', reject);
    }));
    assert.equal(response.statusCode, 200);
    assert.equal(response.headers['content-type'], 'text/event-stream');
    stream.response = response;
    /** Entries not yet taken by a `next`. */
    stream.inbox = [];
    stream.looks = [];
    stream.ended = new Promise((resolve) => response.on('close', resolve));
    let text = '';
    const begun = new Promise((resolve) => response.once('data', resolve));
    response.setEncoding('utf8').on('data', (more) => {
      const parts = (text + more).split('\n\n');
      text = parts.pop();
      for (const part of parts) if (part.startsWith('data: ')) stream.inbox.push(JSON.parse(part.slice(6)));
      stream.looks = stream.looks.filter((look) => !look());
    });
    await within(LIMIT, `the first bytes of ${path}`, begun);
    return stream;
  }

  /** Takes the first entry that `matches`, waiting for it if necessary. */
  next(matches, limit = LIMIT) {
    const found = new Promise((resolve) => {
      const look = () => {
        const place = this.inbox.findIndex(matches);
        if (place >= 0) resolve(this.inbox.splice(place, 1)[0]);
        return place >= 0;
      };
      if (!look()) this.looks.push(look);
    });
    return within(limit, () => `${matches}; so far:\n${this.inbox.slice(-20).map((entry) => JSON.stringify(entry)).join('\n')}`, found);
  }

  close() {
    this.request.destroy();
  }
}
