"""What the pool of connections says while PostgreSQL is away."""

import logging
import sys

import asyncpg

from memory.database import in_a_line


def record(error: Exception) -> logging.LogRecord:
    try:
        raise error
    except type(error):
        return logging.LogRecord("asyncpg.pool", logging.WARNING, "pool.py", 1, "could not %s", ("connect",), sys.exc_info())


class TestInALine:
    def test_a_connection_that_cannot_be_made_is_told_in_a_line(self) -> None:
        told = record(asyncpg.TooManyConnectionsError("sorry, too many clients already"))
        assert in_a_line(told)
        assert (told.getMessage(), told.exc_info) == ("could not connect: sorry, too many clients already", None)

    def test_a_fault_of_the_program_keeps_its_trace(self) -> None:
        told = record(KeyError("x"))
        assert in_a_line(told)
        assert told.exc_info is not None
