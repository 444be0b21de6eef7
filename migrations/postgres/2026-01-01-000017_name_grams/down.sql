DROP INDEX users_by_name_grams;
DROP FUNCTION name_grams;
