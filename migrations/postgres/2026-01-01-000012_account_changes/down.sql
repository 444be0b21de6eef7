DROP TABLE audit_log;
DROP TABLE unkeyed_users;
ALTER TABLE users DROP COLUMN described_at;
DROP TRIGGER revoked_tokens_note_account_change ON revoked_tokens;
DROP TRIGGER users_note_account_change ON users;
DROP FUNCTION note_revoked_token();
DROP FUNCTION note_account_change();
DROP TABLE account_changes;
