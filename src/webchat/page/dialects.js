// Four dialects, as far as the demo needs them. docs/dialects has each whole.

/**
 * `send`, `type` and `read` return `[event, payload]`, or nothing if the dialect has no such event. `hear` turns an event into what a
 * pane shows: `{message}`, `{typing}`, `{delivered}` or `{read}`. `sent` turns an ack into the sent message.
 */
export const DIALECTS = {
  messenger: {
    about: 'snake_case, every request with an ack',
    send: ({ other }, content, clientMessageId) => ['send_direct_message', { recipientId: other.id, content, clientMessageId }],
    type: ({ conversation }, active) => [active ? 'typing_start' : 'typing_stop', { conversationId: conversation }],
    read: (id) => ['mark_as_read', { messageId: id }],
    hear: {
      new_message: ({ message }) => ({ message: ofMessenger(message) }),
      message_delivered: ({ messageId }) => ({ delivered: messageId }),
      message_read: ({ messageId }) => ({ read: messageId }),
      user_typing: ({ userId }) => ({ typing: userId, active: true }),
      user_stopped_typing: ({ userId }) => ({ typing: userId, active: false }),
    },
    sent: ({ message, status }) => ({ ...ofMessenger(message), status }),
  },
  conversation: {
    about: 'resource:action, receipts as events',
    send: ({ conversation }, content, clientMessageId) => ['message:send', { conversationId: conversation, content, clientMessageId }],
    type: ({ conversation }, active) => [active ? 'typing:start' : 'typing:stop', { conversationId: conversation }],
    read: (id) => ['message:read', { messageId: id }],
    hear: {
      'message:new': (message) => ({ message: ofConversation(message) }),
      'message:delivered': ({ messageId }) => ({ delivered: messageId }),
      'message:read': ({ messageId }) => ({ read: messageId }),
      'typing:start': ({ userId }) => ({ typing: userId, active: true }),
      'typing:stop': ({ userId }) => ({ typing: userId, active: false }),
    },
    sent: (ack, { content, me }) => ({ id: ack.id ?? ack.messageId, from: me.id, text: content, at: ack.timestamp ?? new Date().toISOString(), status: 'sent' }),
  },
  listing: {
    about: 'camelCase, the event is the confirmation',
    send: ({ other }, content, clientMessageId) => ['sendDirectMessage', { receiverId: other.id, content, clientMessageId }],
    type: () => undefined,
    read: () => undefined,
    hear: {
      directMessage: ({ _id, senderId, message, createdAt }) => ({ message: { id: _id, from: senderId._id, text: message, at: createdAt, status: 'sent' } }),
    },
    sent: ({ _id, senderId, message, createdAt }) => ({ id: _id, from: senderId._id, text: message, at: createdAt, status: 'sent' }),
  },
  agent: {
    about: 'envelopes: {success, data, timestamp}',
    send: ({ other }, content, clientMessageId) => ['message:send', { targetUserId: other.id, content, clientMessageId }],
    type: () => undefined,
    read: () => undefined,
    hear: {
      'message:receive': ({ success, data }) => success && { message: ofAgent(data) },
    },
    sent: ({ data }) => ofAgent(data),
  },
};

const ofMessenger = ({ _id, sender, content, createdAt, status }) => ({ id: _id, from: sender._id, text: content, at: createdAt, status });
const ofConversation = ({ id, senderId, content, timestamp }) => ({ id, from: senderId, text: content, at: timestamp, status: 'sent' });
const ofAgent = ({ _id, senderId, content, createdAt }) => ({ id: _id, from: senderId, text: content, at: createdAt, status: 'sent' });
export { ofMessenger as ofHistory };
