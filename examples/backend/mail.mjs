// Mails whoever a message has not reached. WEBHOOK_URL=http://localhost:4000 WEBHOOK_EVENTS=message.unreached
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const key = Buffer.from(process.env.WEBHOOK_SECRET.replace('whsec_', ''), 'base64');
const mail = (to, subject, text) => console.log(`to ${to}: ${subject}: ${text}`); // your mailer stands here
const mailed = new Set(); // an event may come twice, with the same id

function isOurs(headers, body) {
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const right = Buffer.from(`v1,${createHmac('sha256', key).update(signed).digest('base64')}`);
  const given = Buffer.from(String(headers['webhook-signature']));
  const isNew = Math.abs(Date.now() / 1000 - headers['webhook-timestamp']) < 300;
  return isNew && given.length === right.length && timingSafeEqual(given, right);
}

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  if (!isOurs(request.headers, body)) return response.writeHead(401).end();
  const { id, type, data } = JSON.parse(body);
  if (type === 'message.unreached' && data.message && !mailed.has(id)) {
    const { sender, content } = data.message;
    for (const { email } of data.recipients) if (email) mail(email, `${sender.username} wrote to you`, content);
    mailed.add(id);
  }
  return response.writeHead(204).end();
}).listen(process.env.PORT ?? 4000, () => console.log('listening'));
