// The process of a receiver of webhooks. It refuses a tenth, and writes what it accepts to a log before it answers.
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';

const [port, log] = process.argv.slice(2);

const server = createServer(async (request, response) => {
  const chunks = [];
  request.on('error', () => {});
  for await (const chunk of request) chunks.push(chunk);
  if (Math.random() < 0.1) return response.writeHead(500).end();
  const { id, data: { messageId, message } } = JSON.parse(Buffer.concat(chunks).toString());
  appendFileSync(log, `${JSON.stringify({ id, message: messageId, conversation: message.conversationId, seq: message.seq })}\n`);
  return response.writeHead(204).end();
});
// The port of one that was killed may not be free yet.
server.on('error', () => setTimeout(() => server.listen(Number(port), '127.0.0.1'), 50));
server.on('listening', () => process.send?.(server.address().port));
server.listen(Number(port), '127.0.0.1');
process.on('disconnect', () => process.exit());
