// A bot that a webhook wakes: says everything back that its account is sent. WEBHOOK_EVENTS=message.created
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const { CHAT_URL = 'http://localhost:3000', CHAT_KEY, BOT, PORT = 4000 } = process.env; // BOT: the id of its account
const key = Buffer.from(process.env.WEBHOOK_SECRET.replace('whsec_', ''), 'base64');

function isOurs(headers, body) {
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const right = Buffer.from(`v1,${createHmac('sha256', key).update(signed).digest('base64')}`);
  const given = Buffer.from(String(headers['webhook-signature']));
  return given.length === right.length && timingSafeEqual(given, right);
}

async function answer({ data: { message, conversation } }) {
  const isForUs = conversation?.participants.includes(BOT) && message && message.sender._id !== BOT;
  if (!isForUs) return 204;
  // Made of the message's id: if the event comes twice, the answer is the same message.
  const reply = { from: BOT, to: { conversation: conversation.id }, content: `You said: ${message.content}`, clientMessageId: `re-${message._id}` };
  const headers = { 'content-type': 'application/json', 'x-api-key': CHAT_KEY };
  const { status } = await fetch(`${CHAT_URL}/api/messages`, { method: 'POST', headers, body: JSON.stringify(reply) });
  return status < 300 ? 204 : 503; // the event comes again
}

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  const status = isOurs(request.headers, body) ? await answer(JSON.parse(body)).catch(() => 503) : 401;
  response.writeHead(status).end();
}).listen(PORT, () => console.log('listening'));
