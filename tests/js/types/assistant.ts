// Use of events by the `assistant` front end.
import { io, type Socket } from 'socket.io-client';
import type { Assistant } from 'parlance';

const socket: Socket<Assistant.ServerToClientEvents, Assistant.ClientToServerEvents> = io('http://localhost:3000', { withCredentials: true });

socket.on('ai-response', (response) => {
  console.log(response.chat, response.content.length, 'error' in response && response.code);
});
socket.on('ai-response-chunk', ({ delta, done }) => console.log(delta, done));
socket.on('ai-error', ({ message, code, retryAfterMs }) => console.error(message, code === 'MODEL_BUSY', retryAfterMs));

socket.emit('ai-message', { chatId: 'c-1', chat: 'c-1', content: 'Why is the sky blue?' });
socket.emit('ai-message', { chatId: 'c-1', content: 'And at night?', stream: true, clientMessageId: 'q-2' }, (answer) => {
  if (answer.success) console.log(answer.chat);
  else console.error(answer.error);
});

// @ts-expect-error: no such event
socket.on('ai-answer', () => {});
// @ts-expect-error: no such event
socket.emit('ai-messages', { chatId: 'c-1', content: 'x' });
// @ts-expect-error: no question
socket.emit('ai-message', { chatId: 'c-1' });
// @ts-expect-error: a number is no text
socket.emit('ai-message', { chatId: 'c-1', content: 7 });
// @ts-expect-error: whatever it is that the request called its chat, it need not be a text
socket.on('ai-response', ({ chat }) => console.log(chat.length));
