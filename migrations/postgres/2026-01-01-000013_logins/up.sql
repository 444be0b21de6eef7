-- Logins that have tokens: when each began, when it got its last token and until when that is valid, and from where it came.
CREATE TABLE logins (
    id TEXT COLLATE "C" PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL,
    begun_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    address TEXT,
    agent TEXT
);
CREATE INDEX logins_of_users ON logins (user_id, used_at);
