// The server that load scripts compare with: Socket.IO's own on Node, with connection state recovery. It implements
// what they need of `messenger`, accepts every token, and keeps its state in memory. Started by `sides.mjs`.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

/** Group id → its members' user ids. */
const groups = new Map();
/** `clientMessageId` → its answer: a repeated request is the same message. */
const answers = new Map();
let made = 0;

const userOf = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).id;

const http = createServer(async (request, response) => {
  if (request.method !== 'POST' || request.url !== '/api/conversations') return response.writeHead(404).end();
  let text = '';
  for await (const bytes of request) text += bytes;
  const { participants } = JSON.parse(text);
  const id = `group-${++made}`;
  groups.set(id, new Set([userOf(request.headers.authorization), ...participants]));
  for (const user of groups.get(id)) io.in(user).socketsJoin(id);
  return response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify({ success: true, conversation: { id } }));
});

const io = new Server(http, { serveClient: false, connectionStateRecovery: { maxDisconnectionDuration: 120_000, skipMiddlewares: true } });
// Advised by Socket.IO for many connections.
io.engine.on('connection', (connection) => {
  connection.request = null;
});

io.on('connection', (socket) => {
  const user = userOf(socket.handshake.auth.token);
  socket.join(user);
  for (const [id, members] of groups) if (members.has(user)) socket.join(id);

  const tell = (room, event, conversationId, { content, clientMessageId }, ack) => {
    let answer = answers.get(clientMessageId);
    if (!answer) {
      const message = { _id: `message-${++made}`, conversationId, sender: { _id: user }, content, messageType: 'text', createdAt: new Date().toISOString() };
      answer = { success: true, message };
      if (clientMessageId !== undefined) answers.set(clientMessageId, answer);
      io.to(room).emit(event, { conversationId, message });
    }
    ack?.(answer);
  };
  socket.on('send_group_message', (request, ack) => tell(request.conversationId, 'new_group_message', request.conversationId, request, ack));
  socket.on('send_direct_message', (request, ack) => tell(request.recipientId, 'new_message', `direct-${user}-${request.recipientId}`, request, ack));
});

http.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${http.address().port}`));
