// The process of an operator's hook. It refuses a part and changes a part, by the message's name, so that a repeated
// question gets the same answer; it is slow with some questions, and never answers others. What it is asked and what it
// says is in its log before anything is sent.
import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

import { serve } from './backend-process.mjs';
import { now } from './records.mjs';
import { Random } from './random.mjs';
import { hookedText, titleOf } from './text.mjs';

/** One in so many is answered late, or never. */
const SLOW_ONE_IN = 5;
const SLOW_MS = 150;
const SILENT_ONE_IN = 150;

const [port, log] = process.argv.slice(2);
const note = (...record) => appendFileSync(log, `${JSON.stringify(record)}\n`);

const BODIES = {
  allow: () => ({}),
  refuse: () => ({ refuse: { message: 'Not this one' } }),
  change: (name) => ({ message: { content: hookedText(name) } }),
};

/** Returns the answer about a message or an edit. The last words of pages are all allowed: others wait for them. */
function decide(type, title) {
  const random = new Random(`hook ${title}`);
  if (title.includes('.end-')) return 'allow';
  if (random.oneIn(10)) return 'refuse';
  return type === 'send' && random.oneIn(10) ? 'change' : 'allow';
}

serve(port, async ({ type, id, data: { message } }, response) => {
  const title = titleOf(message.content);
  note('asked', now(), id, title);
  if (Math.random() * SILENT_ONE_IN < 1) return;
  if (Math.random() * SLOW_ONE_IN < 1) await pause(Math.random() * SLOW_MS);
  const answer = decide(type, title);
  note('answered', now(), id, title, answer);
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(BODIES[answer](title)));
});
