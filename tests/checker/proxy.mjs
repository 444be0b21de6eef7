// A TCP proxy that misbehaves on request; each page has its own.
import { connect, createServer } from 'node:net';

/** Resets a connection. Node would never release one that is being closed, so its process would not end. */
function cut(socket) {
  if (socket.destroyed || socket.connecting || socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/** Bytes of one direction in transit. */
class Pipe {
  constructor(from, to, valve) {
    this.from = from;
    this.to = to;
    this.valve = valve;
    this.queue = [];
    from.on('data', (bytes) => this.pass(() => {
      if (to.writable && !to.write(bytes)) this.stopFor(to);
    }));
    from.on('end', () => this.pass(() => to.end()));
    this.turn();
  }

  /** Acts now, or after the delay; the order is kept. */
  pass(act) {
    this.queue.push({ act, due: Date.now() + this.valve.delayMs });
    if (this.queue.length === 1) this.work();
  }

  work() {
    while (this.queue.length > 0) {
      const [{ act, due }] = this.queue;
      const wait = due - Date.now();
      if (wait > 0) return setTimeout(() => this.work(), wait);
      act();
      this.queue.shift();
    }
    return undefined;
  }

  /** Its reader is slow, so the writer must be slowed down. */
  stopFor(to) {
    this.isFull = true;
    this.turn();
    to.once('drain', () => {
      this.isFull = false;
      this.turn();
    });
  }

  turn() {
    if (this.valve.isHeld || this.isFull) this.from.pause();
    else this.from.resume();
  }
}

/** One connection: the client's socket, and ours to the server. */
class Pair {
  constructor(client, server, way) {
    this.client = client;
    this.server = server;
    this.way = way;
    this.up = new Pipe(client, server, way.up);
    this.down = new Pipe(server, client, way.down);
    for (const [one, other] of [[client, server], [server, client]]) {
      one.setNoDelay(true);
      one.on('error', () => {});
      one.on('close', (hadError) => this.onClose(other, hadError));
    }
  }

  /** Handles the end of one side: the other learns of it, unless the connection is held. */
  onClose(other, hadError) {
    if (this.isForgotten) return;
    this.close = () => {
      if (hadError) cut(other);
      else other.destroySoon();
      this.way.pairs.delete(this);
    };
    if (!this.way.isHeld) this.close();
  }

  turn() {
    this.up.turn();
    this.down.turn();
    if (!this.way.isHeld) this.close?.();
  }

  reset() {
    cut(this.client);
    cut(this.server);
  }

  /** Cuts one side; the other is not notified, and receives nothing more. */
  forget(side) {
    this.isForgotten = true;
    cut(this[side]);
    this.way.forgotten.add(side === 'client' ? this.server : this.client);
    this.way.pairs.delete(this);
  }
}

/** One page's path to the server. */
export class Way {
  /** Opens a path; `port` returns the server's port at the time of a connection. */
  static async open(port) {
    const way = new Way();
    way.up = { isHeld: false, delayMs: 0 };
    way.down = { isHeld: false, delayMs: 0 };
    way.pairs = new Set();
    way.forgotten = new Set();
    way.listener = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
      if (way.isShut) return client.destroy();
      const server = connect({ host: '127.0.0.1', port: port(), allowHalfOpen: true });
      return way.pairs.add(new Pair(client, server, way));
    });
    await new Promise((resolve, reject) => way.listener.on('error', reject).listen(0, '127.0.0.1', resolve));
    way.url = `http://127.0.0.1:${way.listener.address().port}`;
    return way;
  }

  get isHeld() {
    return this.up.isHeld || this.down.isHeld;
  }

  /** Stops `up` (to the server), `down` or both directions; nobody is notified. */
  hold(...directions) {
    for (const direction of directions) this[direction].isHeld = true;
    for (const pair of this.pairs) pair.turn();
  }

  /** Releases everything held. */
  release() {
    this.up.isHeld = false;
    this.down.isHeld = false;
    for (const pair of [...this.pairs]) pair.turn();
  }

  delay(ms) {
    this.up.delayMs = ms;
    this.down.delayMs = ms;
  }

  /** Closes all connections, and accepts no new ones. */
  shut() {
    this.isShut = true;
    this.reset();
  }

  open() {
    this.isShut = false;
  }

  /** Resets both sides. */
  reset() {
    for (const pair of [...this.pairs]) pair.reset();
  }

  /** Ends the stream to one side (`client`, `server`), which may go on writing. */
  halfClose(side) {
    for (const pair of this.pairs) pair[side].end();
  }

  /** Resets one side (`client`, `server`); the other is not notified. */
  forget(side) {
    for (const pair of [...this.pairs]) pair.forget(side);
  }

  /** Ends everything held or forgotten. */
  heal() {
    this.open();
    this.delay(0);
    this.release();
    for (const socket of this.forgotten) socket.destroy();
    this.forgotten.clear();
  }

  close() {
    this.listener.close();
    this.heal();
    this.reset();
  }
}
