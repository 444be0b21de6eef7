// Use of events by the `messenger` front end: an ack for every request that changes something.
import { io, type Socket } from 'socket.io-client';
import type { Messenger } from 'parlance';

type MessengerSocket = Socket<Messenger.ServerToClientEvents, Messenger.ClientToServerEvents>;

const socket: MessengerSocket = io('http://localhost:3000', { auth: { token: 'a.b.c' } });
const shown = new Map<string, Messenger.Message[]>();
let sent: string | undefined;

socket.on('connect', () => socket.emit('join_group', 'group-1', (answer) => {
  if (!answer.success) console.error(answer.error, answer.code, answer.retryAfterMs);
}));

socket.on('new_message', ({ conversationId, message }) => {
  shown.set(conversationId, [...(shown.get(conversationId) ?? []), message]);
  const picture: string | null = message.sender.avatar;
  const file: string | undefined = message.file?.url;
  console.log(message.sender.username.toUpperCase(), message.content.length, picture, file, message.createdAt.slice(0, 10));
  socket.emit('mark_as_read', { messageId: message._id });
});
socket.on('new_group_message', ({ message }, offset) => console.log(message.readBy.map(({ user, readAt }) => `${user} ${readAt}`), offset.length));
socket.on('message_read', ({ messageId, readBy, readAt }) => console.log(messageId, readBy, readAt));
socket.on('user_online', ({ userId, username }) => console.log(userId, username));
socket.on('user_offline', ({ userId, lastSeen }) => console.log(userId, new Date(lastSeen)));
socket.on('user_typing', ({ userId, username, conversationId }) => console.log(userId, username, conversationId));
socket.on('user_stopped_typing', ({ userId, conversationId }) => console.log(userId, conversationId));
socket.on('user_joined_group', ({ userId, username, conversationId }) => console.log(userId, username, conversationId));
socket.on('user_left_group', ({ userId, username, conversationId }) => console.log(userId, username, conversationId));
socket.on('new_room_message', ({ roomId, message }) => console.log(roomId, message.sender.username, message.content));
socket.on('answer_piece', ({ delta, done }) => console.log(delta, done));
socket.on('conversation_updated', ({ conversation }) => console.log(conversation.id, conversation.participants.length));
socket.on('conversation_deleted', ({ conversationId }) => shown.delete(conversationId));
socket.on('error', ({ message, code }) => console.error(message, code === 'RATE_LIMITED'));

socket.emit('send_direct_message', { recipientId: 'bob', content: 'Hi Bob', clientMessageId: 'c-1' }, (answer) => {
  if (answer.success) {
    sent = answer.message._id;
    const status: 'sent' | 'delivered' | 'read' = answer.status;
    console.log(status);
  } else {
    console.error(answer.error);
  }
});
const upload = { url: '/uploads/x.png', filename: 'x.png', size: 7, mimetype: 'image/png', messageType: 'image' };
socket.emit('send_group_message', { conversationId: 'group-1', file: upload }, (answer) => answer.success && console.log(answer.message.file));
socket.emit('mark_as_read', { messageId: 'm-1' }, ({ success }) => console.log(success));
socket.emit('typing_start', { conversationId: 'group-1' });
socket.emit('typing_stop', { conversationId: 'group-1' });
socket.emit('leave_group', 'group-1');
socket.emit('join_room', 'square', ({ success }) => console.log(success));
socket.emit('send_room_message', { roomId: 'square', content: 'Hi all' }, (answer) => answer.success && console.log(answer.message.roomId));
socket.emit('send_direct_message', { recipientId: 'model', content: 'Why?', stream: true }, ({ success }) => console.log(success));

/** The same by promises. */
async function send(content: string): Promise<string> {
  const answer = await socket.timeout(5_000).emitWithAck('send_direct_message', { recipientId: 'bob', content });
  if (!answer.success) throw new Error(answer.error);
  return answer.message._id;
}
void send('Hi again').then((id) => console.log(id, sent));

// @ts-expect-error: no such event
socket.on('new_mesage', () => {});
// @ts-expect-error: no such event
socket.emit('send_directmessage', { recipientId: 'bob', content: 'x' }, () => {});
// @ts-expect-error: no recipient
socket.emit('send_direct_message', { content: 'x' }, () => {});
// @ts-expect-error: a number is no text
socket.emit('send_direct_message', { recipientId: 'bob', content: 7 }, () => {});
// @ts-expect-error: a group's name is its only argument
socket.emit('join_group', { conversationId: 'group-1' }, () => {});
// @ts-expect-error: a refusal has no message
socket.emit('send_direct_message', { recipientId: 'bob', content: 'x' }, (answer) => console.log(answer.message._id));
// @ts-expect-error: that is another dialect's field
socket.on('new_message', ({ message }) => console.log(message.senderId));
// @ts-expect-error: no such status
socket.on('new_message', ({ message }) => console.log(message.status === 'seen'));
