-- Nobody would delete them later.
DELETE FROM message_reads WHERE message IN (SELECT id FROM messages WHERE place IN (SELECT place FROM deleted_places));
DELETE FROM file_names WHERE namer IN (SELECT id FROM messages WHERE place IN (SELECT place FROM deleted_places));
DELETE FROM messages WHERE place IN (SELECT place FROM deleted_places);
DROP TABLE deleted_places;
