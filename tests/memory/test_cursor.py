"""Cursors give back what they were given, and nothing else is one."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import Refused
from memory.cursor import RowId, read_cursor, write_cursor


class TestCursor:
    @given(st.datetimes(timezones=st.just(UTC)), st.integers(1, 2**63 - 1))
    def test_it_survives_the_round_trip_to_the_microsecond(self, moment: datetime, ident: int) -> None:
        assert read_cursor(write_cursor(moment, ident), RowId) == (moment, ident)

    @given(st.text(max_size=200))
    def test_whatever_else_is_refused_and_the_field_is_named(self, text: str) -> None:
        with pytest.raises(Refused) as refused:
            read_cursor(text, RowId)
        problem = refused.value.problem()
        assert (problem.status, problem.errors[0].path) == (400, "$.before")

    def test_a_cursor_of_another_list_is_refused(self) -> None:
        with pytest.raises(Refused):
            read_cursor(write_cursor(datetime(2026, 1, 1, tzinfo=UTC), "0199"), RowId)

    def test_a_time_beyond_all_time_is_refused(self) -> None:
        with pytest.raises(Refused):
            read_cursor(base64.urlsafe_b64encode(b"[99999999999999999999,1]").decode(), RowId)

    @pytest.mark.parametrize("ident", [2**63, 0, -1])
    def test_an_id_that_no_row_can_have_is_refused(self, ident: int) -> None:
        with pytest.raises(Refused):
            read_cursor(base64.urlsafe_b64encode(f"[0,{ident}]".encode()).decode(), RowId)
