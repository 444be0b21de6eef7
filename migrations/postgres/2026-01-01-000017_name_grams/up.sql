-- Finds users by part of a name: each three letters in a row of `users.search_text`. Postgres has such an index of its own only as an
-- extension, which may be missing.
CREATE FUNCTION name_grams(name TEXT) RETURNS TEXT[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT array_agg(DISTINCT substr(name, place, 3)) FROM generate_series(1, length(name) - 2) AS place
$$;

CREATE INDEX users_by_name_grams ON users USING gin (name_grams(search_text)) WITH (gin_pending_list_limit = 256);
