ALTER TABLE messages DROP COLUMN truncated;
