DROP TABLE webhook_checks;
DROP TABLE webhook_dead_letters;
DROP TABLE webhook_events;
