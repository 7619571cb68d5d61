-- Sources that were looked at and are like nothing else, and the terms to find them by.
UPDATE memory_system.unconsolidated AS q
SET examined = true, key_terms = ARRAY(SELECT jsonb_array_elements_text(asked.terms))
FROM unnest($1::text[], $2::jsonb[]) AS asked (episode_id, terms)
JOIN memory_system.episodes AS e ON e.episode_id = asked.episode_id
WHERE q.id = e.id
