DROP INDEX messages_by_changed_position;
ALTER TABLE messages DROP COLUMN changed_position;
