-- Where a message's last edit or deletion stands in the order of all messages and changes; null: there was none, or it was
-- made before such were counted.
ALTER TABLE messages ADD COLUMN changed_position BIGINT;
CREATE INDEX messages_by_changed_position ON messages (place, changed_position) WHERE changed_position IS NOT NULL;
