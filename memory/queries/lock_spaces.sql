-- Two that record a space at once take turns.
LOCK TABLE memory_system.spaces IN SHARE ROW EXCLUSIVE MODE
