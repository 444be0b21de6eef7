-- The AI model speaks as this user, who never logs in.
INSERT INTO users (id, username, username_key, search_text, role, status, disabled, created_at)
VALUES ('model', 'model', 'model', 'model', 'user', 'online', 0, 0);
