// A webhook that is told of every message: its receiver, which is killed now and then, and the rules for what it got.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { WEBHOOK_SECRET } from '../js/lib/receiver.mjs';
import { mayBeDeleted } from './changes.mjs';

const RECEIVER = fileURLToPath(new URL('receiver.mjs', import.meta.url));

/** A receiver in a process of its own, always on the same port. */
export class WebhookReceiver {
  kills = 0;

  static async start(folder) {
    const receiver = new WebhookReceiver();
    receiver.log = join(folder, 'webhook.log');
    receiver.port = 0;
    await receiver.launch();
    return receiver;
  }

  async launch() {
    this.child = fork(RECEIVER, [String(this.port), this.log]);
    [this.port] = await once(this.child, 'message');
  }

  /** Settings of the server. */
  settings() {
    return { WEBHOOK_URL: `http://127.0.0.1:${this.port}`, WEBHOOK_SECRET, WEBHOOK_EVENTS: 'message.created' };
  }

  async kill(downMs) {
    this.kills += 1;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
    await pause(downMs);
    await this.launch();
  }

  /** Waits until nothing waits for it any more. */
  async told(server) {
    for (;;) {
      const metrics = await (await fetch(`${server.url}/metrics`)).text();
      if (/^parlance_webhook_waiting_events\{webhook="default"\} 0$/m.test(metrics)) return;
      await pause(100);
    }
  }

  /** Returns what it accepted, in the order of arrival; the last line may have been cut off by a kill. */
  events() {
    const lines = existsSync(this.log) ? readFileSync(this.log, 'utf8').split('\n').slice(0, -1) : [];
    return lines.map((line) => JSON.parse(line));
  }

  remove() {
    this.child.kill('SIGKILL');
  }
}

/**
 * Judges what a webhook was told: `[{id, message, conversation, seq}]`, in the order of arrival. Repetitions are
 * allowed; first arrivals have to be in order.
 */
export function judgeTold(told, { stored, changes, namesById }, verdict) {
  /** Message → the event's id. */
  const known = new Map();
  /** Conversation → the highest number so far. */
  const reached = new Map();
  for (const { id, message, conversation, seq } of told) {
    const before = known.get(message);
    if (before !== undefined) {
      if (before !== id) verdict.find('told under two ids', `${message} was told as ${before} and as ${id}`);
      continue;
    }
    known.set(message, id);
    const highest = reached.get(conversation) ?? 0;
    if (seq < highest) verdict.find('told out of order', `${message} (${seq}) of ${conversation} was told after ${highest}`);
    reached.set(conversation, Math.max(highest, seq));
    if (!stored.byId.has(message) && !mayBeDeleted(changes.get(namesById.get(message)))) {
      verdict.find('told and not stored', `${message} of ${conversation} was told, and is not stored`);
    }
  }
  for (const { id, name, seq, conversation } of stored.byId.values()) {
    if (!known.has(id)) verdict.find('untold', `${name} (${conversation} ${seq}) is stored, and was never told`);
  }
}
