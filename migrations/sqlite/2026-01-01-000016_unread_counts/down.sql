ALTER TABLE participants DROP COLUMN not_unread;
