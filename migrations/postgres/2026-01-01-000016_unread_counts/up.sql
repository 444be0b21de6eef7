-- How many messages after `read_seq` are not unread: a member's own, deleted and pruned ones. Null: never counted.
ALTER TABLE participants ADD COLUMN not_unread BIGINT;

-- Counted by going through all messages once, not once for each member.
CREATE UNLOGGED TABLE live_rests AS
SELECT place, seq, count(*) OVER (PARTITION BY place ORDER BY seq DESC) AS rest FROM messages
WHERE deleted_at IS NULL AND place IN (SELECT id FROM conversations);
CREATE UNIQUE INDEX live_rests_by_seq ON live_rests (place, seq, rest);
CREATE UNLOGGED TABLE own_rests AS
SELECT participants.conversation, participants.user_id, count(*) AS rest FROM messages, participants
WHERE participants.conversation = messages.place AND participants.user_id = messages.sender
AND participants.read_seq < messages.seq AND messages.deleted_at IS NULL
GROUP BY participants.conversation, participants.user_id;
CREATE UNIQUE INDEX own_rests_by_member ON own_rests (conversation, user_id);
ANALYZE live_rests;
ANALYZE own_rests;
UPDATE participants SET not_unread = (SELECT last_seq FROM conversations WHERE id = conversation) - read_seq
- coalesce((SELECT rest FROM live_rests WHERE place = conversation AND seq > read_seq ORDER BY seq LIMIT 1), 0)
+ coalesce((SELECT rest FROM own_rests WHERE own_rests.conversation = participants.conversation AND own_rests.user_id = participants.user_id), 0);
DROP TABLE live_rests;
DROP TABLE own_rests;
