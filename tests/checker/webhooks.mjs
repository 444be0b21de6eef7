// A webhook that is told of every message: its receiver, which is killed now and then, and the rules for what it got.
import { setTimeout as pause } from 'node:timers/promises';

import { WEBHOOK_SECRET } from '../js/lib/receiver.mjs';
import { BackEndProcess } from './backend-process.mjs';
import { mayBeDeleted } from './changes.mjs';

/** A receiver in a process of its own. */
export class WebhookReceiver extends BackEndProcess {
  static start(folder) {
    return new WebhookReceiver('receiver.mjs', folder).launch();
  }

  /** Settings of the server. */
  settings() {
    return { WEBHOOK_URL: this.url, WEBHOOK_SECRET, WEBHOOK_EVENTS: 'message.created' };
  }

  /** Waits until nothing waits for it any more. */
  async told(server) {
    for (;;) {
      const metrics = await (await fetch(`${server.url}/metrics`)).text();
      if (/^parlance_webhook_waiting_events\{webhook="default"\} 0$/m.test(metrics)) return;
      await pause(100);
    }
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
