-- Events that webhooks have still to be sent, in the order of the changes. Written in the transaction of the change; a number is never
-- given twice. Texts of messages are not repeated here: they are read when the event is sent.
CREATE TABLE webhook_events (
    number BIGSERIAL PRIMARY KEY,
    webhook TEXT COLLATE "C" NOT NULL,
    event TEXT NOT NULL,
    lane TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    detail TEXT,
    happened_at BIGINT NOT NULL,
    queued_at BIGINT NOT NULL
);

-- Events that were given up, with the last failure.
CREATE TABLE webhook_dead_letters (
    number BIGINT PRIMARY KEY,
    webhook TEXT COLLATE "C" NOT NULL,
    event TEXT NOT NULL,
    lane TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    detail TEXT,
    happened_at BIGINT NOT NULL,
    queued_at BIGINT NOT NULL,
    died_at BIGINT NOT NULL,
    failure TEXT NOT NULL
);
CREATE INDEX webhook_dead_letters_by_time ON webhook_dead_letters (died_at);

-- Messages of which it is to be found out, at a time, whom they have not reached.
CREATE TABLE webhook_checks (
    number BIGSERIAL PRIMARY KEY,
    message TEXT COLLATE "C" NOT NULL,
    due_at BIGINT NOT NULL
);
