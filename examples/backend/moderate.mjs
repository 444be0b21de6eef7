// Lets no telephone numbers pass. HOOK_URL=http://localhost:4000 HOOK_EVENTS=send,edit
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const key = Buffer.from(process.env.HOOK_SECRET.replace('whsec_', ''), 'base64');

function isOurs(headers, body) {
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const right = Buffer.from(`v1,${createHmac('sha256', key).update(signed).digest('base64')}`);
  const given = Buffer.from(String(headers['webhook-signature']));
  const isNew = Math.abs(Date.now() / 1000 - headers['webhook-timestamp']) < 300;
  return isNew && given.length === right.length && timingSafeEqual(given, right);
}

function judge({ message }) {
  if (/\d[\d /-]{6,}\d/.test(message.content)) return { refuse: { code: 'PHONE_NUMBER', message: 'No telephone numbers, please' } };
  const polite = message.content.replaceAll(/\bdamn\b/gi, '****');
  return polite === message.content ? {} : { message: { content: polite } };
}

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  if (!isOurs(request.headers, body)) return response.writeHead(401).end();
  return response.end(JSON.stringify(judge(JSON.parse(body).data)));
}).listen(process.env.PORT ?? 4000, () => console.log('listening'));
