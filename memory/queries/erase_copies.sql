-- Nothing more is known of the further places of forgotten events.
DELETE FROM memory_system.log_copies
WHERE episode_id = ANY($1::text[])
