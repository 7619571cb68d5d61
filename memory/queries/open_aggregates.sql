-- Which of these proposals or tasks have begun ($2) and not ended ($3).
SELECT split_part(subject, '.', 3) AS aggregate
FROM memory_system.episodes
WHERE action_type IN ($2::text, $3::text) AND subject LIKE 'mesh.%' AND split_part(subject, '.', 3) = ANY($1::text[])
GROUP BY 1
HAVING bool_or(action_type = $2) AND NOT bool_or(action_type = $3)
ORDER BY 1
