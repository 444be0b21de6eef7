// Clients behind proxies of their own.
import { Way } from '../../checker/proxy.mjs';
import { connect } from './client.mjs';

/** Returns a client of `user` behind a proxy that can cut and hold its connection: `{client, way}`. */
export async function onALine(test, server, user, options = {}) {
  const way = await Way.open(() => Number(new URL(server.url).port));
  const client = await connect({ url: way.url }, user, options);
  test.after(() => {
    client.close();
    way.close();
  });
  return { client, way };
}
