-- Until this transaction ends, no rebuild makes rows anew; the persister goes on.
LOCK TABLE memory_system.consumer_position IN ROW EXCLUSIVE MODE
