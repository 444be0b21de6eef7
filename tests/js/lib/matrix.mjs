// Every front end's packets for every event, as in docs/dialects/; independent of the server's code.
import assert from 'node:assert/strict';

import { TIME, assertLike } from './shape.mjs';

export const DIALECTS = ['assistant', 'conversation', 'listing', 'agent', 'messenger'];

/**
 * Events without a fixed order: presence is gathered for a moment, and may come after later events; receivers are
 * independent.
 */
const LOOSE = [['user:online', 'user:offline', 'user_online', 'user_offline'], ['message:delivered', 'message_delivered']];

/** Puts events without a fixed order first, sorted; keeps the others in order of arrival. */
function ordered(told) {
  const [presence, delivered] = LOOSE.map((events) => told.filter(([event]) => events.includes(event)));
  const key = ([, { messageId, userId }]) => `${messageId} ${userId}`;
  delivered.sort((one, other) => (key(one) < key(other) ? -1 : 1));
  return [...presence, ...delivered, ...told.filter(([event]) => !LOOSE.flat().includes(event))];
}

/** Asserts that a client received exactly these `[event, payload]`, in this order. */
export function assertTold(client, expected, what) {
  const told = ordered(client.inbox.splice(0).map(({ event, args }) => [event, args[0]]));
  assertLike(told, ordered(expected), what);
}

// ---- messages ----

/** Returns the file that is shown in a dialect with room for one, and the remaining ones. */
const oneFile = ({ file, attachments = [] }) => (file ? [file, attachments] : [attachments[0], attachments.slice(1)]);
const lines = (text, files) => [...(text ? [text] : []), ...files.map(({ url }) => url)].join('\n');

const summary = ({ id, username }) => ({ _id: id, fullName: username, username, profilePicture: null });

/** `listing`'s `directMessage`. */
function directMessage(message) {
  const [file, further] = oneFile(message);
  const text = message.content === '' && file ? `${file.filename} ${file.url}` : message.content;
  return {
    _id: message.id,
    senderId: summary(message.sender),
    receiverId: summary(message.recipient),
    message: lines(text, further),
    listingId: message.listingId ? { _id: message.listingId, title: null } : null,
    messageType: message.type,
    isRead: message.readBy.length > 0,
    createdAt: message.createdAt,
    updatedAt: message.updatedAt,
    ...(file && { file }),
  };
}

/** `conversation`'s `message:new`. */
const messageNew = ({ id, conversationId, sender, content, type, createdAt, file, attachments, clientMessageId }) => ({
  id, conversationId, senderId: sender.id, content, type, timestamp: createdAt,
  ...(file && { file }), ...(attachments && { attachments }), ...(clientMessageId && { clientMessageId }),
});

const envelope = (data, timestamp) => ({ success: true, data, timestamp });

/** The data of `agent`'s `message:receive`. */
const received = ({ id, conversationId, name, sender, content, file, attachments = [], createdAt, role = 'user' }) => ({
  _id: id, conversationId: name ?? conversationId, sender: role, senderId: sender.id, content,
  attachments: [...(file ? [file] : []), ...attachments],
  senderInfo: { userId: sender.id, email: sender.email ?? null, role: 'user' },
  createdAt,
});

/** `messenger`'s `{conversationId, message}`. */
function messengerMessage(message) {
  const [file, further] = oneFile(message);
  const { id, conversationId, sender, content, type, status, readBy, createdAt, updatedAt, clientMessageId } = message;
  return {
    conversationId,
    message: {
      _id: id, conversationId, sender: { _id: sender.id, username: sender.username, avatar: null },
      content: lines(content, further),
      messageType: ['text', 'image', 'video', 'audio', 'file'].includes(type) ? type : 'text',
      file: file ?? null, status, readBy, createdAt, updatedAt, ...(clientMessageId && { clientMessageId }),
    },
  };
}

/**
 * Dialect → event → `[event, payload]`; a missing entry, or one that returns nothing, means that the dialect does not
 * show it.
 */
export const WORDS = {
  assistant: {
    message: ({ role, chat, content }) => role === 'model' && ['ai-response', { chat, content }],
  },
  conversation: {
    connected: ({ user, socket }) => ['connected', { userId: user.id, socketId: socket }],
    message: (message) => ['message:new', messageNew(message)],
    edited: (message) => ['message:updated', { ...messageNew(message), updatedAt: message.updatedAt }],
    deleted: ({ id, conversationId }) => ['message:deleted', { messageId: id, conversationId }],
    delivered: ({ message: { id, conversationId, clientMessageId }, to }) => ['message:delivered', {
      messageId: id, conversationId, userId: to.id, deliveredAt: TIME, ...(clientMessageId && { clientMessageId }),
    }],
    read: ({ message: { id, conversationId }, by }) => ['message:read', { messageId: id, conversationId, userId: by.id, readAt: TIME }],
    readElsewhere: ({ message: { id, conversationId }, by }) => ['message:read', { messageId: id, conversationId, userId: by.id, readAt: TIME }],
    typing: ({ user, conversationId, active }) => [active ? 'typing:start' : 'typing:stop', { userId: user.id, conversationId }],
    online: ({ user, status }) => ['user:online', { userId: user.id, status }],
    offline: ({ user }) => ['user:offline', { userId: user.id, lastSeen: TIME }],
    changed: (conversation) => ['conversation:updated', conversation],
    gone: (conversationId) => ['conversation:deleted', { conversationId }],
    notified: (notification) => ['notification:new', notification],
  },
  listing: {
    message: (message) => message.recipient && ['directMessage', directMessage(message)],
    edited: (message) => message.recipient && ['messageUpdated', directMessage(message)],
    deleted: ({ id, recipient }) => recipient && ['messageDeleted', { _id: id }],
    room: ({ id, sender, roomId, content, createdAt }) => ['roomMessage', {
      _id: id, user: summary(sender), roomId, message: content, timestamp: createdAt, messageType: 'text',
    }],
    commonChat: ({ id, sender, content, createdAt }) => ['commonChatMessage', {
      _id: id, user: summary(sender), message: content, timestamp: createdAt, messageType: 'text',
    }],
  },
  agent: {
    message: (message) => ['message:receive', envelope(received(message), message.createdAt)],
    edited: (message) => ['message:updated', envelope({ ...received(message), updatedAt: message.updatedAt }, message.updatedAt)],
    deleted: ({ id, conversationId }) => ['message:deleted', envelope({ _id: id, conversationId }, TIME)],
  },
  messenger: {
    message: (message) => [message.recipient ? 'new_message' : 'new_group_message', messengerMessage(message)],
    edited: (message) => ['message_updated', messengerMessage(message)],
    deleted: ({ id, conversationId }) => ['message_deleted', { messageId: id, conversationId }],
    // The ack reports delivery to those who got the message before it.
    delivered: ({ message: { id, conversationId }, to, atOnce }) => !atOnce && ['message_delivered', {
      messageId: id, conversationId, userId: to.id, deliveredAt: TIME,
    }],
    read: ({ message: { id, conversationId }, by }) => ['message_read', { messageId: id, conversationId, readBy: by.id, readAt: TIME }],
    typing: ({ user: { id, username }, conversationId, active }) => (active
      ? ['user_typing', { userId: id, username, conversationId }]
      : ['user_stopped_typing', { userId: id, conversationId }]),
    // A new status of a user who is already online is not shown.
    online: ({ user: { id, username }, came }) => came && ['user_online', { userId: id, username }],
    offline: ({ user }) => ['user_offline', { userId: user.id, lastSeen: TIME }],
    room: ({ id, sender, roomId, content, createdAt }) => ['new_room_message', {
      roomId,
      message: {
        _id: id, roomId, sender: { _id: sender.id, username: sender.username, avatar: null }, content, messageType: 'text', file: null, createdAt, updatedAt: createdAt,
      },
    }],
    changed: (conversation) => ['conversation_updated', { conversation }],
    gone: (conversationId) => ['conversation_deleted', { conversationId }],
    opened: ({ user: { id, username }, conversationId, opened }) => [
      opened ? 'user_joined_group' : 'user_left_group', { userId: id, username, conversationId },
    ],
  },
};

/** Returns this dialect's packets: a list of at most one `[event, payload]`. */
export function said(dialect, what, facts) {
  const words = WORDS[dialect][what]?.(facts);
  return words ? [words] : [];
}

// ---- requests ----

const direct = { listing: 'sendDirectMessage', messenger: 'send_direct_message' };

/**
 * Sends like the front end, and returns the id of the message from the answer. If the dialect cannot express it
 * (`assistant`; groups in `listing`), it posts over HTTP. `to` is `{conversationId, user?}`, with a `user` for a direct
 * conversation.
 */
export async function send(server, client, to, { content, type, file, attachments, listingId, clientMessageId }) {
  const { dialect, user: { token } } = client;
  if (dialect === 'assistant' && to.chat) return client.succeed('ai-message', { chatId: to.conversationId, chat: to.chat, content });
  const common = { content, ...(clientMessageId && { clientMessageId }) };
  if (dialect === 'conversation') {
    return (await client.succeed('message:send', { ...common, conversationId: to.conversationId, type, file, attachments })).id;
  }
  if (dialect === 'agent') {
    const place = to.user ? { targetUserId: to.user.id } : { conversationId: to.conversationId };
    return (await client.succeed('message:send', { ...common, ...place, attachments })).data._id;
  }
  if (dialect === 'messenger' && !to.user) {
    return (await client.succeed('send_group_message', { ...common, conversationId: to.conversationId, file })).message._id;
  }
  if (dialect === 'messenger') return (await client.succeed(direct.messenger, { ...common, recipientId: to.user.id, file })).message._id;
  if (dialect === 'listing' && to.user) {
    return (await client.succeed(direct.listing, { ...common, receiverId: to.user.id, messageType: type, listingId }))._id;
  }
  const path = `/api/conversations/${to.conversationId}/messages`;
  const { status, body } = await server.api('POST', path, { token, body: { ...common, type, file, attachments } });
  assert.equal(status, 201, JSON.stringify(body));
  return body.message._id;
}

/** Returns whether this dialect can send to such a target. */
export const hasWordToSend = (dialect, to) => dialect !== 'assistant' && (dialect !== 'listing' || Boolean(to.user));

/** Dialect → its requests; it has no others. */
export const REQUESTS = {
  conversation: {
    read: (messageId) => ['message:read', { messageId }],
    typing: (conversationId, active) => [active ? 'typing:start' : 'typing:stop', { conversationId }],
    open: (conversationId) => ['conversation:join', conversationId],
    leave: (conversationId) => ['conversation:leave', conversationId],
    status: (status) => ['user:status', status],
  },
  messenger: {
    read: (messageId) => ['mark_as_read', { messageId }],
    typing: (conversationId, active) => [active ? 'typing_start' : 'typing_stop', { conversationId }],
    open: (conversationId) => ['join_group', conversationId],
    leave: (conversationId) => ['leave_group', conversationId],
  },
};

// ---- the matrix ----

/** Cells of the matrix that were seen, and in how many runs. */
export class Matrix {
  /** `rows` lists all rows in order. */
  constructor(rows) {
    /** row → sending dialect → receiving dialect → `{hasWords, runs}` */
    this.rows = new Map(rows.map((row) => [row, new Map()]));
  }

  /** Records that a cell was right: shown (`ok`), or not shown (`–`). */
  saw(row, from, to, words) {
    const senders = this.rows.get(row);
    assert.ok(senders, row);
    if (!senders.has(from)) senders.set(from, new Map());
    const cells = senders.get(from);
    const { hasWords = false, runs = new Set() } = cells.get(to) ?? {};
    cells.set(to, { hasWords: hasWords || words.length > 0, runs: runs.add(this.run) });
  }

  /** Prints a table; a cell that was not right in all of `runs` shows in how many it was. */
  print(runs) {
    const line = (...cells) => cells.map((cell, index) => cell.padEnd([23, 22][index] ?? 18)).join('').trimEnd();
    const out = [line('', 'from', ...DIALECTS.map((name) => `to ${name}`))];
    for (const [row, senders] of this.rows) {
      if (senders.size === 0) out.push(line(row, `0/${runs}`));
      [...senders].forEach(([from, cells], index) => {
        const shown = DIALECTS.map((to) => {
          const cell = cells.get(to);
          if (!cell) return '';
          return cell.runs.size < runs ? `${cell.runs.size}/${runs}` : cell.hasWords ? 'ok' : '–';
        });
        out.push(line(index === 0 ? row : '', from, ...shown));
      });
    }
    return out.join('\n');
  }
}
