DROP INDEX users_by_name;
DROP TRIGGER users_number_name;
DROP TRIGGER users_change_name;
DROP TRIGGER users_forget_name;
DROP TABLE user_names;
DROP TABLE user_numbers;
