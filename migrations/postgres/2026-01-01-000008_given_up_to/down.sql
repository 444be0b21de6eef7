DROP TABLE online_users;
ALTER TABLE boots DROP COLUMN alive_at;
ALTER TABLE boots DROP COLUMN given_up_to;
