-- The last run of the consolidation, and what waits for the next, counted up to a limit.
SELECT format(
    'last run %s; %s episodes not looked at yet',
    coalesce((
        SELECT format('%s: %s looked at, %s concepts formed, %s joined', to_char(r.ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), r.examined, r.formed, r.joined)
        FROM memory_system.consolidation_runs AS r
        ORDER BY r.ended_at DESC
        LIMIT 1
    ), 'never'),
    (SELECT count(*) FROM (SELECT FROM memory_system.unconsolidated WHERE NOT examined LIMIT 100000) AS q)
) AS detail
