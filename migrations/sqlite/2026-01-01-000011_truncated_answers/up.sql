-- Of an answer of the model: whether there was more to say.
ALTER TABLE messages ADD COLUMN truncated BOOLEAN;
