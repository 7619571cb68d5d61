-- Passages that the model does not take: they are found by their words.
DELETE FROM memory_system.unembedded
WHERE passage = ANY($1::bigint[])
