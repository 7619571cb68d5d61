-- For this transaction: the planner knows too little of arrays of terms, and would read the whole table once for each term.
SET LOCAL enable_seqscan = off
