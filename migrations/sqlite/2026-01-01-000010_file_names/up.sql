-- Who names which uploaded file: a message by its id, a user's picture as `user:` and the id, a group's as `conversation:` and the id.
CREATE TABLE file_names (
    namer TEXT NOT NULL,
    url TEXT NOT NULL,
    PRIMARY KEY (namer, url)
);
CREATE INDEX file_names_by_url ON file_names (url);

-- Files that lost a name and are to be looked at: they go where no other name is left. An entry stays until the file is off the disk.
CREATE TABLE unnamed_files (
    url TEXT PRIMARY KEY
);

-- Whatever stands behind each `/uploads/` in a text, as far as it is an upload.
WITH RECURSIVE texts (namer, text) AS (
    SELECT id, coalesce(file, '') || ' ' || coalesce(attachments, '') || ' ' || content FROM messages
    WHERE deleted_at IS NULL AND (file IS NOT NULL OR attachments IS NOT NULL OR content LIKE '%/uploads/%')
    UNION ALL SELECT 'user:' || id, avatar FROM users WHERE avatar LIKE '%/uploads/%'
    UNION ALL SELECT 'conversation:' || id, avatar FROM conversations WHERE avatar LIKE '%/uploads/%'
), mentions (namer, rest) AS (
    SELECT namer, substr(text, instr(text, '/uploads/')) FROM texts WHERE instr(text, '/uploads/') > 0
    UNION ALL
    SELECT namer, substr(rest, 9 + instr(substr(rest, 10), '/uploads/')) FROM mentions WHERE instr(substr(rest, 10), '/uploads/') > 0
)
INSERT INTO file_names (namer, url)
SELECT DISTINCT mentions.namer, uploads.url FROM mentions JOIN uploads ON uploads.url >= substr(mentions.rest, 1, 41) AND uploads.url < substr(mentions.rest, 1, 41) || '~'
    AND substr(mentions.rest, 1, length(uploads.url)) = uploads.url;

-- `conversation` of a notification is the one that it tells of: where its message stands, or which group its user is in now.
DROP INDEX notifications_unseen_message;
CREATE UNIQUE INDEX notifications_unseen_message ON notifications (user_id, conversation)
    WHERE kind = 'message' AND conversation IS NOT NULL AND seen_at IS NULL AND read_at IS NULL;
CREATE INDEX notifications_by_conversation ON notifications (user_id, conversation, created_at) WHERE conversation IS NOT NULL;
UPDATE notifications SET conversation = json_extract(data, '$.conversationId')
WHERE kind = 'group' AND conversation IS NULL AND data LIKE '{"by":"%","conversationId":"%"}'
    AND json_extract(data, '$.conversationId') IN (SELECT id FROM conversations WHERE kind = 'group');
