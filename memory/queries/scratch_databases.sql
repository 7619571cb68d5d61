-- Scratch databases that a killed rebuild has left behind.
SELECT datname FROM pg_database WHERE datname LIKE $1
