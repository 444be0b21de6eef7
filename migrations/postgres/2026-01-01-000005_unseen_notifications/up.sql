-- `conversation` is that of a message's notification: while it is unseen there is one for each user and conversation.
-- Unseen: neither shown nor read.
DROP INDEX notifications_by_user;
CREATE INDEX notifications_by_user ON notifications (user_id, created_at, id);
CREATE INDEX notifications_unseen ON notifications (user_id, created_at, id) WHERE seen_at IS NULL AND read_at IS NULL;
CREATE UNIQUE INDEX notifications_unseen_message ON notifications (user_id, conversation)
    WHERE conversation IS NOT NULL AND seen_at IS NULL AND read_at IS NULL;
