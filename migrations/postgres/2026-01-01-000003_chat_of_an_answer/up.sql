-- Of an answer of the model: what its question called the chat, as JSON.
ALTER TABLE messages ADD COLUMN chat TEXT;
