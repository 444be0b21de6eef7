DROP INDEX notifications_unseen_message;
DROP INDEX notifications_unseen;
DROP INDEX notifications_by_user;
CREATE INDEX notifications_by_user ON notifications (user_id, created_at);
