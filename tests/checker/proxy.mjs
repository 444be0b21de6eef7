// A TCP proxy that misbehaves on request; each page has its own.
import { connect, createServer } from 'node:net';

/** Resets a connection. Of one that is being closed Node would never let go: its process would not end. */
function cut(socket) {
  if (socket.destroyed || socket.connecting || socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/** Bytes of one direction on their way. */
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

  /** Does it now, or after the delay; what came before goes before. */
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

  /** Its reader is slow: the writer has to feel that. */
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

  /** One side is gone; the other learns of it, but not through a line that carries nothing. */
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

  /** Cuts one side; the other is not told and hears nothing any more. */
  forget(side) {
    this.isForgotten = true;
    cut(this[side]);
    this.way.forgotten.add(side === 'client' ? this.server : this.client);
    this.way.pairs.delete(this);
  }
}

/** One page's way to the server. */
export class Way {
  /** `port` tells where the server is at the time of a connection. */
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

  /** Nothing passes any more, `up` (to the server), `down` or both ways; nobody is told. */
  hold(...directions) {
    for (const direction of directions) this[direction].isHeld = true;
    for (const pair of this.pairs) pair.turn();
  }

  /** What was held goes on. */
  release() {
    this.up.isHeld = false;
    this.down.isHeld = false;
    for (const pair of [...this.pairs]) pair.turn();
  }

  delay(ms) {
    this.up.delayMs = ms;
    this.down.delayMs = ms;
  }

  /** There is no way any more, and none can be made. */
  shut() {
    this.isShut = true;
    this.reset();
  }

  open() {
    this.isShut = false;
  }

  /** Both sides get a reset. */
  reset() {
    for (const pair of [...this.pairs]) pair.reset();
  }

  /** One side (`client`, `server`) gets the end of the stream, and may go on writing. */
  halfClose(side) {
    for (const pair of this.pairs) pair[side].end();
  }

  /** One side (`client`, `server`) gets a reset, the other is left in the belief that all is well. */
  forget(side) {
    for (const pair of [...this.pairs]) pair.forget(side);
  }

  /** All that was held or forgotten is at an end. */
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
