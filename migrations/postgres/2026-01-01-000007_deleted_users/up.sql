-- The row of a deleted user stays, without anything personal: messages have it as their author.
ALTER TABLE users ADD COLUMN deleted_at BIGINT;
