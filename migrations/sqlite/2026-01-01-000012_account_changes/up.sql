-- Users whose account was changed, and tokens that were revoked, by whomever: a server that runs looks here for what other processes have
-- written, and takes the rows away.
CREATE TABLE account_changes (
    id INTEGER PRIMARY KEY,
    user_id TEXT,
    token_key TEXT
);

CREATE TRIGGER users_note_account_change
AFTER UPDATE OF username, email, password_hash, full_name, avatar, role, disabled, tokens_valid_from, kept_login, deleted_at ON users
BEGIN
    INSERT INTO account_changes (user_id) VALUES (NEW.id);
END;

CREATE TRIGGER revoked_tokens_note_account_change AFTER INSERT ON revoked_tokens
BEGIN
    INSERT INTO account_changes (token_key) VALUES (NEW.token_key);
END;

-- When what is said of a user was said, by a token or an administrator: what is older changes nothing.
ALTER TABLE users ADD COLUMN described_at BIGINT;

-- Users whose names are still to be brought into the form in which they are compared now: plain ones are in it already.
CREATE TABLE unkeyed_users (
    user_id TEXT PRIMARY KEY
);
INSERT INTO unkeyed_users (user_id) SELECT id FROM users
WHERE deleted_at IS NULL AND (username_key GLOB '*[^ -~]*' OR search_text GLOB '*[^
 -~]*' OR coalesce(email_key, '') GLOB '*[^ -~]*' OR username_key <> trim(username_key) OR username_key LIKE '%  %');

-- What was done with an administrator's rights, oldest id first: who did what to what, from where, and how often within a minute.
CREATE TABLE audit_log (
    id TEXT PRIMARY KEY,
    done_at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT,
    address TEXT,
    times BIGINT NOT NULL
);

-- One tree in place of a table and its index: it is written at every coming and going.
ALTER TABLE online_users RENAME TO online_users_with_rowid;
CREATE TABLE online_users (
    user_id TEXT PRIMARY KEY REFERENCES users (id)
) WITHOUT ROWID;
INSERT INTO online_users (user_id) SELECT user_id FROM online_users_with_rowid;
DROP TABLE online_users_with_rowid;
