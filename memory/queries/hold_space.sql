-- What a space is, and that it stays so until the transaction ends.
SELECT state
FROM memory_system.spaces
WHERE id = $1
FOR SHARE
