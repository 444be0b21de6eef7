-- The highest position of what was deleted since this start: the next one goes on after it. `last_position` stays as it was
-- at the start, for it says which of the positions of before were stored.
ALTER TABLE boots ADD COLUMN given_up_to BIGINT;
-- When the server of this start was last known to run, about once in half a minute while somebody is online.
ALTER TABLE boots ADD COLUMN alive_at BIGINT;

-- Who is online now. Those who are here at a start were so when the server of before died.
CREATE TABLE online_users (
    user_id TEXT COLLATE "C" PRIMARY KEY REFERENCES users (id)
);
