-- Whether working memory can be read: when the next item expires.
SELECT min(expiry_time) AS next_expiry FROM memory_system.working_memory
