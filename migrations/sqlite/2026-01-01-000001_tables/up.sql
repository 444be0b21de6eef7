-- Ids are texts, times are milliseconds since 1970, lists of files are JSON texts. The tables are those of Postgres.

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    username TEXT NOT NULL,
    -- In lower case: unique without regard to case.
    username_key TEXT NOT NULL UNIQUE,
    email TEXT,
    email_key TEXT UNIQUE,
    password_hash TEXT,
    full_name TEXT,
    avatar TEXT,
    -- Username and full name in lower case.
    search_text TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('user', 'admin')),
    status TEXT NOT NULL CHECK (status IN ('online', 'away', 'busy', 'offline')),
    last_seen BIGINT,
    disabled BOOLEAN NOT NULL,
    tokens_valid_from BIGINT,
    kept_login TEXT,
    created_at BIGINT NOT NULL
);

CREATE TABLE conversations (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('direct', 'group', 'ai')),
    name TEXT,
    avatar TEXT,
    admin TEXT REFERENCES users (id),
    direct_key TEXT UNIQUE,
    last_seq BIGINT NOT NULL,
    last_position BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- What an owner calls a conversation.
CREATE TABLE conversation_names (
    owner TEXT NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    named_at BIGINT NOT NULL,
    PRIMARY KEY (owner, name)
);
CREATE INDEX conversation_names_by_conversation ON conversation_names (conversation);

-- Public rooms (`room:<name>`) and the common chat (`common-chat`): made by their first message.
CREATE TABLE rooms (
    place TEXT PRIMARY KEY,
    last_seq BIGINT NOT NULL,
    last_position BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE participants (
    conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id),
    delivered_seq BIGINT NOT NULL,
    read_seq BIGINT NOT NULL,
    joined_at BIGINT NOT NULL,
    -- Place among those who joined at the same moment.
    joined_rank BIGINT NOT NULL,
    joined_position BIGINT NOT NULL,
    left_at BIGINT,
    PRIMARY KEY (conversation, user_id)
);
CREATE INDEX participants_by_user ON participants (user_id, conversation);

-- `place` is a conversation's id or a key of `rooms`. No foreign keys: the one writer makes places and users before
-- their messages, and a check per row would cost more than storing the row.
CREATE TABLE messages (
    id TEXT PRIMARY KEY,
    place TEXT NOT NULL,
    seq BIGINT NOT NULL,
    position BIGINT NOT NULL,
    sender TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    role TEXT NOT NULL CHECK (role IN ('user', 'model')),
    message_type TEXT NOT NULL,
    listing_id TEXT,
    client_message_id TEXT,
    request_hash BLOB,
    sent_by BLOB,
    file TEXT,
    attachments TEXT,
    content TEXT NOT NULL
);
CREATE UNIQUE INDEX messages_by_seq ON messages (place, seq);
CREATE INDEX messages_by_position ON messages (place, position);
CREATE INDEX messages_by_creation ON messages (place, created_at);
CREATE INDEX messages_by_change ON messages (place, updated_at) WHERE updated_at > created_at;
CREATE UNIQUE INDEX messages_by_client_id ON messages (sender, client_message_id) WHERE client_message_id IS NOT NULL;
CREATE INDEX messages_with_client_id ON messages (sender, created_at) WHERE client_message_id IS NOT NULL;

CREATE TABLE message_reads (
    message TEXT NOT NULL,
    user_id TEXT NOT NULL,
    read_at BIGINT NOT NULL,
    PRIMARY KEY (message, user_id)
);

CREATE TABLE notifications (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    kind TEXT NOT NULL,
    message TEXT NOT NULL,
    data TEXT,
    conversation TEXT,
    seen_at BIGINT,
    read_at BIGINT,
    created_at BIGINT NOT NULL
);
CREATE INDEX notifications_by_user ON notifications (user_id, created_at);

CREATE TABLE uploads (
    url TEXT PRIMARY KEY,
    owner TEXT NOT NULL REFERENCES users (id),
    filename TEXT NOT NULL,
    size BIGINT NOT NULL,
    mimetype TEXT NOT NULL,
    message_type TEXT NOT NULL,
    uploaded_at BIGINT NOT NULL
);
CREATE INDEX uploads_by_owner ON uploads (owner, uploaded_at);

CREATE TABLE listings (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- One row for each start; `last_position` keeps that of deleted messages from being given again.
CREATE TABLE boots (
    id BIGINT PRIMARY KEY CHECK (id > 0),
    started_at BIGINT NOT NULL,
    last_position BIGINT NOT NULL
);

CREATE TABLE revoked_tokens (
    token_key TEXT PRIMARY KEY,
    revoked_until BIGINT NOT NULL
);
