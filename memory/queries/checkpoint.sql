-- Everything is in its place on disk; the files of the write-ahead log before are not needed any more.
CHECKPOINT
