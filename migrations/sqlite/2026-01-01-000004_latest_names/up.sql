-- Of the names that somebody gave a conversation, the latest is looked up.
DROP INDEX conversation_names_by_conversation;
CREATE INDEX conversation_names_by_conversation ON conversation_names (conversation, owner, named_at);
