// Use of events by the `conversation` front end: no acks.
import { io, type Socket } from 'socket.io-client';
import type { Acked, Conversation } from 'parlance';

const socket: Socket<Conversation.ServerToClientEvents, Conversation.ClientToServerEvents> = io('http://localhost:3000', { auth: { token: 'a.b.c' } });

socket.on('connected', ({ userId, socketId }) => console.log(userId, socketId));
socket.on('error', (error) => console.error(error.message));
socket.on('message:new', ({ id, conversationId, senderId, content, type, timestamp, file, attachments }) => {
  console.log(id, conversationId, senderId, content.trim(), type, new Date(timestamp), file?.url, attachments?.map(({ url }) => url));
  socket.emit('message:read', { messageId: id });
});
socket.on('message:delivered', ({ messageId, userId, deliveredAt }) => console.log(messageId, userId, deliveredAt));
socket.on('message:read', ({ messageId, userId, readAt }) => console.log(messageId, userId, readAt));
socket.on('typing:start', (data) => console.log(data.userId, data.conversationId));
socket.on('typing:stop', (data) => console.log(data.userId, data.conversationId));
socket.on('user:online', ({ userId, status }) => console.log(userId, status === 'away'));
socket.on('user:offline', ({ userId, lastSeen }) => console.log(userId, lastSeen));
socket.on('conversation:updated', ({ participants, admin, lastMessage }) => console.log(participants.length, admin, lastMessage?.content));
socket.on('conversation:deleted', ({ conversationId }) => console.log(conversationId));
socket.on('notification:new', ({ id, type, message, read }) => console.log(id, type, message, read));

socket.emit('message:send', { conversationId: 'conv-123', content: 'Hello!', type: 'text' });
socket.emit('typing:start', { conversationId: 'conv-123' });
socket.emit('typing:stop', { conversationId: 'conv-123' });
socket.emit('conversation:join', 'conv-123');
socket.emit('conversation:leave', 'conv-123');
socket.emit('user:status', 'busy');
socket.emit('authenticate', { token: 'd.e.f' }, (answer) => answer.success || console.error(answer.code));
// An ack comes if it is asked for.
socket.emit('message:send', { conversationId: 'conv-123', content: 'Hello!' }, (answer) => answer.success && console.log(answer.id));

const acked: Socket<Conversation.ServerToClientEvents, Acked<Conversation.ClientToServerEvents>> = io();
void acked.emitWithAck('message:send', { conversationId: 'conv-123', content: 'Hello!' }).then((answer) => {
  if (answer.success) console.log(answer.id, answer.timestamp);
  else console.error(answer.error);
});

// @ts-expect-error: no such event
socket.on('message:sent', () => {});
// @ts-expect-error: no such event
socket.emit('typing:started', { conversationId: 'conv-123' });
// @ts-expect-error: no conversation
socket.emit('message:send', { content: 'Hello!' });
// @ts-expect-error: a list of files is no text
socket.emit('message:send', { conversationId: 'conv-123', attachments: 'x.png' });
// @ts-expect-error: no such status
socket.emit('user:status', 'sleeping');
// @ts-expect-error: its id is `id`
socket.on('message:new', ({ _id }) => console.log(_id));
// @ts-expect-error: where there is no file there is none
socket.on('message:new', ({ file }) => console.log(file.url));
// @ts-expect-error: a refusal has no id
void acked.emitWithAck('message:send', { conversationId: 'conv-123' }).then(({ id }) => console.log(id));
