ALTER TABLE online_users RENAME TO online_users_without_rowid;
CREATE TABLE online_users (
    user_id TEXT PRIMARY KEY REFERENCES users (id)
);
INSERT INTO online_users (user_id) SELECT user_id FROM online_users_without_rowid;
DROP TABLE online_users_without_rowid;
DROP TABLE audit_log;
DROP TABLE unkeyed_users;
ALTER TABLE users DROP COLUMN described_at;
DROP TRIGGER revoked_tokens_note_account_change;
DROP TRIGGER users_note_account_change;
DROP TABLE account_changes;
