// The login of the Admin UI, and its stock client.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { io } from 'sio48';

import { LIMIT, within } from './wait.mjs';

export const USER = 'boss';
export const PASSWORD = 'correct horse battery';

/** Its hash, at the lowest cost. */
const HASH = '$2b$04$QjJ9bWkxY2VzX3RoZXJlZeDeuHL/rz7EuVlQDls5yPSypHMF0Ktfm';

/** The UI's files, as npm has them. */
export const FILES = join(dirname(fileURLToPath(import.meta.url)), '../node_modules/@socket.io/admin-ui/ui/dist');

/** Settings of a server with the Admin UI. */
export const WITH_ADMIN_UI = { ADMIN_UI_USER: USER, ADMIN_UI_PASSWORD: HASH, ADMIN_UI_DIR: FILES };

/** A client in `/admin` that records the events it receives. */
export class Administrator {
  constructor(server, auth = { username: USER, password: PASSWORD }, options = {}) {
    /** `[event, ...args]`, in order. */
    this.told = [];
    this.looks = [];
    this.socket = io(`${server.url}/admin`, { forceNew: true, reconnection: false, transports: ['websocket'], auth, ...options });
    this.socket.onAny((...event) => {
      this.told.push(event);
      this.looks = this.looks.filter((look) => !look());
    });
    this.gone = new Promise((resolve) => this.socket.on('disconnect', resolve));
  }

  /** Returns an admitted client that, in development mode, has the list of all sockets. */
  static async connect(test, server, auth, options) {
    const administrator = new Administrator(server, auth, options);
    test.after(() => administrator.socket.disconnect());
    await administrator.connected();
    return administrator;
  }

  connected() {
    return within(LIMIT, 'connect', new Promise((resolve, reject) => {
      this.socket.once('connect', resolve).once('connect_error', reject);
    }));
  }

  /** Returns the reason for the refusal. */
  refusal() {
    const refused = new Promise((resolve, reject) => {
      this.socket.once('connect_error', (error) => resolve(error.message)).once('connect', () => reject(new Error('was admitted')));
    });
    return within(LIMIT, 'connect_error', refused).finally(() => this.socket.disconnect());
  }

  /** Finds the first event of this name whose arguments `match`; it stays in the list. */
  find(name, matches = () => true) {
    const found = new Promise((resolve) => {
      const look = () => {
        const event = this.told.find(([other, ...args]) => other === name && matches(...args));
        if (event) resolve(event.slice(1));
        return event !== undefined;
      };
      if (!look()) this.looks.push(look);
    });
    const soFar = () => this.told.slice(-20).map((event) => JSON.stringify(event).slice(0, 200)).join('\n');
    return within(LIMIT, () => `${name} ${matches}; so far:\n${soFar()}`, found);
  }

  /** Returns the index of the first event of this name whose arguments `match`. */
  place(name, matches = () => true) {
    return this.told.findIndex(([other, ...args]) => other === name && matches(...args));
  }
}
