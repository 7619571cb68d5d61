-- What a space is from here on. Waits for those that hold it.
UPDATE memory_system.spaces
SET state = $2
WHERE id = $1
