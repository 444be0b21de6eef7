// An auction by events of its own. FORWARD_URL=http://localhost:4000
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const key = Buffer.from(process.env.FORWARD_SECRET.replace('whsec_', ''), 'base64');

function isOurs(headers, body) {
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const right = Buffer.from(`v1,${createHmac('sha256', key).update(signed).digest('base64')}`);
  const given = Buffer.from(String(headers['webhook-signature']));
  const isNew = Math.abs(Date.now() / 1000 - headers['webhook-timestamp']) < 300;
  return isNew && given.length === right.length && timingSafeEqual(given, right);
}

const highest = new Map(); // item → bid

function answer({ event, args: [bid], user }) {
  if (event !== 'auction:bid') return { ack: [{ accepted: false, reason: `nobody knows ${event}` }] };
  if (!(bid.price > (highest.get(bid.item)?.price ?? 0))) return { ack: [{ accepted: false, reason: 'too low' }] };
  highest.set(bid.item, { price: bid.price, by: user.id });
  const data = { item: bid.item, price: bid.price, by: user.username };
  return { ack: [{ accepted: true }], emit: [{ to: { room: `auction-${bid.item}` }, event: 'auction:leads', data }] };
}

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  if (!isOurs(request.headers, body)) return response.writeHead(401).end();
  return response.end(JSON.stringify(answer(JSON.parse(body).data)));
}).listen(process.env.PORT ?? 4000, () => console.log('listening'));
