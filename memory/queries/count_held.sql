-- What is held, by kind, and how much of it has no vector yet.
SELECT
    (SELECT count(*) FROM memory_system.episodes WHERE kind = 'episode') AS episodes,
    (SELECT count(*) FROM memory_system.episodes WHERE kind = 'lesson') AS lessons,
    (SELECT count(*) FROM memory_system.semantic_memory) AS concepts,
    (SELECT count(*) FROM memory_system.working_memory WHERE expiry_time > now()) AS working,
    (SELECT count(*) FROM memory_system.unembedded) AS unembedded
