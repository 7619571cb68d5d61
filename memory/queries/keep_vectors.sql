-- Every vector under the natural name of its passage, until this transaction ends.
CREATE TEMPORARY TABLE kept_vectors ON COMMIT DROP AS
SELECT p.owner, p.stream_seq, p.part, p.content, p.labels, v.space, v.embedding
FROM memory_system.vectors AS v
JOIN memory_system.passages AS p ON p.id = v.passage
