// Use of events by the `agent` front end: requests, and replies in envelopes.
import { io, type Socket } from 'socket.io-client';
import type { Agent } from 'parlance';

const socket: Socket<Agent.ServerToClientEvents, Agent.ClientToServerEvents> = io('http://localhost:3000', { auth: { token: 'a.b.c' } });

socket.on('connect', () => {
  socket.emit('notification:get', {});
  socket.emit('connection:get', {});
  socket.emit('conversation:get', {});
});
socket.on('notification:receive', (data) => {
  if (data.success) data.data.forEach(({ _id, type, message, read, createdAt }) => console.log(_id, type, message, read, createdAt));
  else console.error(data.error, data.code);
});
socket.on('connection:receive', (data) => {
  if (data.success) console.log(data.totalConnections, data.data.map(({ userId, socketId }) => `${userId} ${socketId}`));
});
socket.on('conversation:receive', (data) => {
  if (!data.success) return;
  for (const { _id, participants, lastMessage, unreadCount } of data.data) {
    console.log(_id, participants.map(({ username, email }) => `${username} ${email ?? ''}`), lastMessage?.content, unreadCount + 1);
  }
});
socket.on('message:receive', (data) => {
  if (!data.success) return console.error(data.error);
  const { conversationId, sender, content, attachments, senderInfo } = data.data;
  return console.log(conversationId, sender === 'model', content, attachments.map(({ url }) => url), senderInfo.email);
});
socket.emit('message:send', { conversationId: 'conv_123', targetUserId: 'user_456', content: 'Hello!', attachments: [] });
socket.emit('message:send', { targetUserId: 'user_456', content: 'Hello!' }, (answer) => answer.success && console.log(answer.data._id));

// @ts-expect-error: no such event
socket.on('message:received', () => {});
// @ts-expect-error: no such event
socket.emit('messages:get', {});
// @ts-expect-error: that is no list
socket.emit('message:send', { targetUserId: 'user_456', attachments: { url: '/uploads/x.png' } });
// @ts-expect-error: a truth is no text
socket.emit('message:send', { targetUserId: 'user_456', content: true });
// @ts-expect-error: it may have failed
socket.on('message:receive', (data) => console.log(data.data));
// @ts-expect-error: only `connection:receive` has a total
socket.on('notification:receive', (data) => data.success && console.log(data.totalConnections));
