-- One entry of a forgetting: its first, or one more piece of it.
INSERT INTO memory_system.forgettings AS known (
    receipt, selector, stream_seq, forgotten_at, pieces, seen, seqs,
    episodes, lessons, concepts_erased, concepts_rewritten, working_items, dead_letters, complete, remains
)
VALUES ($1, $2, $3, $4, $5, 1, $6::bigint[], $7, $8, $9, $10, $11, $12, $13, $14::text[])
ON CONFLICT (receipt) DO UPDATE SET
    stream_seq = excluded.stream_seq,
    seen = known.seen + 1,
    seqs = known.seqs || excluded.seqs,
    episodes = known.episodes + excluded.episodes,
    lessons = known.lessons + excluded.lessons,
    concepts_erased = known.concepts_erased + excluded.concepts_erased,
    concepts_rewritten = known.concepts_rewritten + excluded.concepts_rewritten,
    working_items = known.working_items + excluded.working_items,
    dead_letters = known.dead_letters + excluded.dead_letters,
    complete = known.complete AND excluded.complete,
    remains = known.remains || excluded.remains
