"""From a stored message to an entry."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus import entries
from bus.ids import event_id
from schemas.entry import Entry, Malformed
from schemas.learning import Lesson

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def read(
    data: bytes, subject: str = "mesh.learning.ops", headers: dict[str, str] | None = None, *, copied: bool = False
) -> Entry | Malformed:
    return entries.read(subject, headers, data, 7, NOW, "incarnation", copied=copied)


class TestEntry:
    def test_a_plain_body_without_headers_is_enough(self) -> None:
        entry = read(b'{"topic": "t", "content": "c"}')
        assert isinstance(entry, Entry)
        assert (entry.agent, entry.seq, entry.body) == ("ops", 7, Lesson(topic="t", content="c"))

    def test_its_id_is_derived_from_the_log_where_none_was_given(self) -> None:
        assert read(b'{"topic": "t", "content": "c"}').event_id == event_id("incarnation", 7)

    def test_the_message_id_is_the_event_id(self) -> None:
        assert read(b"{}", headers={"Nats-Msg-Id": "mine"}).event_id == "mine"

    def test_a_redriven_letter_keeps_its_event_id(self) -> None:
        headers = {"Nats-Msg-Id": "new", "Cerebro-Event-Id": "old"}
        assert read(b"{}", headers=headers).event_id == "old"

    def test_a_sourced_copy_has_its_place_in_the_log(self) -> None:
        entry = read(b'{"topic": "t", "content": "c"}', headers={"Nats-Stream-Source": "MESH 42 mesh.learning.* >"}, copied=True)
        assert entry.seq == 42

    def test_a_publisher_cannot_say_that_its_entry_stands_elsewhere(self) -> None:
        """The server refuses `Nats-Stream-Source:`, and lets `Nats-Stream-Source :` through, which clients read as the same."""
        for forged in ("MESH 42 mesh.learning.* >", "x", " ", "MESH -1 >"):
            assert read(b'{"topic": "t", "content": "c"}', headers={"Nats-Stream-Source": forged}).seq == 7

    def test_a_copy_whose_headers_do_not_say_its_place_is_malformed(self) -> None:
        for headers in ({}, {"Nats-Stream-Source": "MESH"}, {"Nats-Stream-Source": "MESH x >"}, {"Nats-Stream-Source": "MESH ² >"}):
            assert isinstance(read(b'{"topic": "t", "content": "c"}', headers=headers, copied=True), Malformed)

    def test_unknown_fields_are_ignored(self) -> None:
        assert isinstance(read(b'{"topic": "t", "content": "c", "later": 1}'), Entry)


class TestMalformed:
    def test_a_forgetting_of_no_place_is_one(self) -> None:
        """The server has no message 0, and memory would ask for it for ever."""
        for data in (b'{"seqs": [0]}', b'{"seqs": [-1]}'):
            assert isinstance(read(data, "memory.forgotten.r"), Malformed)

    def test_the_reason_names_the_field(self) -> None:
        entry = read(b'{"topic": 5, "content": "c"}')
        assert isinstance(entry, Malformed)
        assert "$.topic" in entry.reason

    def test_a_subject_outside_the_table_is_malformed(self) -> None:
        entry = read(b"{}", subject="mesh.learning.ops.nonsense")
        assert isinstance(entry, Malformed)

    @given(data=st.binary(max_size=200) | st.text().map(lambda s: ("{" + s).encode()))
    def test_whatever_is_published_never_raises(self, data: bytes) -> None:
        assert read(data).seq == 7

    def test_deep_nesting_never_raises(self) -> None:
        assert isinstance(read(b"[" * 100_000), Malformed)
        assert isinstance(read(b'{"topic": "t", "content": "c", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"), Malformed | Entry)

    @pytest.mark.parametrize("data", [b'{"stream":"MESH","seq":3}', b'{"type":"io.nats.jetstream.api.v1.stream_info_response"}'])
    def test_an_answer_of_the_server_that_was_led_here_speaks_for_nobody(self, data: bytes) -> None:
        entry = read(data, "mesh.task.t1.cancel.aria")
        assert isinstance(entry, Malformed)
        assert "speaks for nobody" in entry.reason
