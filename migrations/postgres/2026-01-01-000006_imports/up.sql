-- How far an import came that is not finished: one row, and no server starts while it is there.
-- `digest` is SHA-256 of the rows among the first `lines` lines of the file whose id is `file`.
CREATE TABLE imports (
    file TEXT PRIMARY KEY,
    lines BIGINT NOT NULL,
    digest TEXT NOT NULL
);
