-- Every version of these concepts before an entry of the log. What they alone had consolidated waits again.
WITH gone AS (
    DELETE FROM memory_system.concept_versions
    WHERE id = ANY($1::uuid[]) AND log_position < $2
    RETURNING source_episodes
),
released AS (
    UPDATE memory_system.episodes AS e
    SET consolidated = false
    FROM (SELECT DISTINCT s.source FROM gone, unnest(gone.source_episodes) AS s (source)) AS held
    WHERE e.episode_id = held.source AND e.consolidated AND NOT EXISTS (
        SELECT
        FROM memory_system.concept_versions AS v
        WHERE v.source_episodes @> ARRAY[held.source] AND v.origin = 'consolidated' AND NOT (v.id = ANY($1::uuid[]) AND v.log_position < $2)
    )
    RETURNING e.id
)
INSERT INTO memory_system.unconsolidated (id)
SELECT id FROM released
ON CONFLICT (id) DO NOTHING
