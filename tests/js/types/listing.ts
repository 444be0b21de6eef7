// Use of events by the `listing` front end: an event answers each request.
import { io, type Socket } from 'socket.io-client';
import type { Listing } from 'parlance';

const socket: Socket<Listing.ServerToClientEvents, Listing.ClientToServerEvents> = io('http://localhost:3000', { auth: { token: 'a.b.c' } });

socket.on('userSetup', ({ success, userId }) => console.log(success, userId));
socket.on('directMessage', ({ _id, senderId, receiverId, message, listingId, messageType, isRead, createdAt }) => {
  const picture: string | null = senderId.profilePicture;
  console.log(_id, senderId.fullName, receiverId.username, picture, message.length, listingId?.title, messageType, isRead, new Date(createdAt));
});
socket.on('commonChatMessage', ({ user, message, timestamp }) => console.log(user.fullName, message, timestamp));
socket.on('roomMessage', ({ user, roomId, message }) => console.log(user._id, roomId, message));
socket.on('joinedCommonChat', ({ success }) => console.log(success));
socket.on('leftCommonChat', ({ success }) => console.log(success));
socket.on('joinedRoom', ({ roomId, success }) => console.log(roomId, success));
socket.on('leftRoom', ({ roomId, success }) => console.log(roomId, success));
socket.on('error', ({ message, error }) => console.error(message, error));

socket.emit('setupUser', { userId: 'ann' });
socket.emit('setupUser');
socket.emit('sendDirectMessage', { receiverId: 'bob', content: 'Still free?', listingId: 'flat-7', messageType: 'text' });
socket.emit('joinCommonChat');
socket.emit('sendCommonChatMessage', { content: 'Hello all' });
socket.emit('leaveCommonChat');
socket.emit('joinRoom', 'flat-7');
socket.emit('joinRoom', 7);
socket.emit('sendRoomMessage', { roomId: 'flat-7', content: 'Hello' }, (answer) => answer.success && console.log(answer.roomId));
socket.emit('leaveRoom', 'flat-7');

// @ts-expect-error: no such event
socket.on('directMessages', () => {});
// @ts-expect-error: no such event
socket.emit('sendDirectMesage', { receiverId: 'bob', content: 'x' });
// @ts-expect-error: no text
socket.emit('sendDirectMessage', { receiverId: 'bob' });
// @ts-expect-error: a truth is no text
socket.emit('sendCommonChatMessage', { content: true });
// @ts-expect-error: a listing may have no title
socket.on('directMessage', ({ listingId }) => console.log(listingId?.title.length));
// @ts-expect-error: in the common chat there is no room
socket.on('commonChatMessage', ({ roomId }) => console.log(roomId));
