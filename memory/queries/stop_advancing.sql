-- Nobody who writes what the log said gets on until this transaction ends; who reads does not notice.
LOCK TABLE memory_system.consumer_position IN SHARE ROW EXCLUSIVE MODE
