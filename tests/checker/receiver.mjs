// The process of a receiver of webhooks. It refuses a tenth, and writes what it accepts to a log before it answers.
import { appendFileSync } from 'node:fs';

import { serve } from './backend-process.mjs';

const [port, log] = process.argv.slice(2);

serve(port, ({ id, data: { messageId, message } }, response) => {
  if (Math.random() < 0.1) return response.writeHead(500).end();
  appendFileSync(log, `${JSON.stringify({ id, message: messageId, conversation: message.conversationId, seq: message.seq })}\n`);
  return response.writeHead(204).end();
});
