-- Edges that end at what is forgotten.
DELETE FROM memory_system.edges
WHERE source = ANY($1::text[]) OR target = ANY($1::text[])
