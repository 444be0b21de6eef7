DELETE FROM users WHERE id = 'model';
