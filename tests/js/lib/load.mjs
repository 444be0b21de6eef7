// Several users who send to one silent friend as fast as they are answered, until the server goes.
import assert from 'node:assert/strict';

import { conversationHistory } from './chat.mjs';
import { connect } from './client.mjs';
import { newUser } from './token.mjs';
import { LIMIT, within } from './wait.mjs';

const SENDERS = 4;
const WINDOW = 10;

/** A running load. */
export class Load {
  static async start(server) {
    const load = new Load();
    load.friend = newUser('friend');
    /** Acked message id → its conversation. */
    load.acked = new Map();
    load.waiting = [];
    load.senders = [];
    for (let index = 0; index < SENDERS; index++) load.senders.push(await connect(server, newUser('sender')));
    for (const sender of load.senders) for (let lane = 0; lane < WINDOW; lane++) load.send(sender, lane, 0);
    return load;
  }

  send(sender, lane, index) {
    sender.socket.emit('send_direct_message', { recipientId: this.friend.id, content: `${sender.user.id} ${lane} ${index}` }, (answer) => {
      if (answer.success) this.acked.set(answer.message._id, { conversation: answer.message.conversationId, token: sender.user.token });
      this.waiting = this.waiting.filter((look) => !look());
      this.send(sender, lane, index + 1);
    });
  }

  /** Waits until this number of messages is acked. */
  reached(count) {
    return within(3 * LIMIT, `${count} acks`, new Promise((resolve) => {
      this.waiting.push(() => this.acked.size >= count && (resolve(), true));
    }));
  }

  /** Returns the reason of each sender's disconnect. */
  disconnected() {
    return Promise.all(this.senders.map((sender) => sender.disconnected()));
  }

  /** Asserts that every acked message is stored, once. */
  async assertStored(server) {
    const stored = new Map();
    const conversations = new Map([...this.acked.values()].map(({ conversation, token }) => [conversation, token]));
    for (const [conversation, token] of conversations) {
      for (const { _id } of await conversationHistory(server, token, conversation)) stored.set(_id, (stored.get(_id) ?? 0) + 1);
    }
    const lost = [...this.acked.keys()].filter((id) => stored.get(id) !== 1);
    assert.deepEqual(lost, [], `${lost.length} of ${this.acked.size} acked messages are not stored exactly once`);
    return stored;
  }

  /** Asserts that the friend, who was away all the time, gets every acked message at the next connect, once. */
  async assertDelivered(server, stored) {
    const friend = await connect(server, this.friend);
    const seen = new Set();
    for (let count = 0; count < stored.size; count++) {
      const { message } = await friend.next('new_message');
      assert.ok(!seen.has(message._id), 'told twice');
      seen.add(message._id);
    }
    for (const id of this.acked.keys()) assert.ok(seen.has(id), `${id} was acked and not delivered`);
    friend.close();
  }

  close() {
    for (const sender of this.senders) sender.close();
  }
}
