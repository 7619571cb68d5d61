-- How far every consumer is. Who knows this knows whether an answer of before still holds.
SELECT consumer, stream_seq, changes
FROM memory_system.consumer_position
ORDER BY consumer
