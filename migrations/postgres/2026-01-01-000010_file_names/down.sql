UPDATE notifications SET conversation = NULL WHERE kind <> 'message';
DROP INDEX notifications_by_conversation;
DROP INDEX notifications_unseen_message;
CREATE UNIQUE INDEX notifications_unseen_message ON notifications (user_id, conversation)
    WHERE conversation IS NOT NULL AND seen_at IS NULL AND read_at IS NULL;
DROP TABLE unnamed_files;
DROP TABLE file_names;
