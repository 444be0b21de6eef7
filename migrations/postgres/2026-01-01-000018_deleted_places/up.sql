-- Conversations that were deleted and whose messages still have rows: those go later, a few at a time.
CREATE TABLE deleted_places (
    place TEXT COLLATE "C" PRIMARY KEY
);
