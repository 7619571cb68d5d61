"""Backup and recovery: what the mesh keeps, at one moment, in a folder that says how to check it.

    take      one PostgreSQL snapshot at a place P of the log; then the log, which reaches at least to P; then Redis, keys, settings
    manifest  what each file holds, its SHA-256, P, and the hash of every derived table at P
    verify    every file is there and has its hash; nothing else is there
    restore   into an empty place: streams, tables, Redis, keys. The persister goes on behind P, so the log's tail becomes memory again
    drill     restore the tables beside the running mesh, replay the tail of its log, and compare hashes with its tables

A backup is written beside its place and renamed when it is whole. Files are compressed (zstd), but for the streams, which the server
hands over compressed, and readable by their owner alone: they hold everything that is remembered, and the keys.
"""
