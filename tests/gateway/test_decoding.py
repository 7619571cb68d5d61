"""What is refused at the door, with which path; and that nothing else than a refusal ever comes of bad input."""

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import Refused
from gateway import decoding, strict
from gateway.routes import ROUTES
from schemas.concepts import ConceptById
from schemas.consensus import ProposalRequest
from schemas.memory import ActionRequest, RecentFilter, SearchRequest
from schemas.tasks import TaskRequest

BODIES = [route.body for route in ROUTES if route.body is not None and not route.undecoded]
QUERIES = [route.query for route in ROUTES if route.query is not None]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


def paths(raw: bytes, body: Any) -> list[str]:
    with pytest.raises(Refused) as refused:
        decoding.decode_body(raw, body)
    problem = refused.value.problem()
    assert problem.status == 400
    assert problem.errors
    return sorted(e.path for e in problem.errors)


class TestPaths:
    def test_a_missing_field_is_named_itself(self):
        assert paths(b"{}", ProposalRequest) == ["$.title"]

    def test_a_wrong_item_of_a_list_is_named_by_its_index(self):
        assert paths(b'{"title": "t", "options": ["a", 1]}', ProposalRequest) == ["$.options[1]"]

    def test_a_nested_field_is_named_by_its_way(self):
        assert paths(b'{"title": "t", "attributes": {"benefit": 3}}', ProposalRequest) == ["$.attributes.benefit"]

    def test_a_rule_of_the_struct_names_its_field(self):
        assert paths(b'{"title": "t", "threshold": "1/2"}', ProposalRequest) == ["$.threshold"]
        assert paths(b'{"title": "t", "electorate": ["a"], "required_approvers": ["b"]}', ProposalRequest) == ["$.required_approvers"]

    def test_an_unknown_field_is_named(self):
        assert paths(b'{"title": "t", "titel": 1}', ProposalRequest) == ["$.titel"]

    def test_an_unknown_field_of_a_nested_object_is_named(self):
        assert paths(b'{"title": "t", "attributes": {"benfit": 0.5}}', ProposalRequest) == ["$.attributes.benfit"]
        assert paths(b'{"title": "t", "subtasks": [{"id": "a", "title": "x", "after": []}]}', TaskRequest) == ["$.subtasks[0].after"]

    def test_a_misspelled_required_field_is_told_from_both_sides(self):
        assert paths(b'{"titel": "t"}', ProposalRequest) == ["$.titel", "$.title"]

    def test_every_item_of_a_batch_has_its_index(self):
        assert paths(b'[{"action_type": "a"}, {"action_type": "a", "tags": [1], "x": 1}]', list[ActionRequest]) == [
            "$[1].tags[0]",
            "$[1].x",
        ]

    def test_a_hidden_field_is_unknown(self):
        with pytest.raises(Refused) as refused:
            decoding.decode_body(b'{"title": "t", "parent": "p"}', TaskRequest, hidden=("parent",))
        assert [e.path for e in refused.value.problem().errors] == ["$.parent"]


class TestFreeForm:
    def test_a_free_form_field_takes_any_field(self):
        action = decoding.decode_body(b'{"action_type": "a", "action_details": {"x": {"y": [{"z": null}]}}}', ActionRequest)
        assert action.action_details == {"x": {"y": [{"z": None}]}}

    def test_nul_is_refused_wherever_it_stands(self):
        assert paths(b'{"action_type": "a", "action_details": {"x": ["\\u0000"]}}', ActionRequest) == ["$.action_details.x[0]"]
        assert paths(b'{"action_type": "a", "action_details": {"\\u0000": 1}}', ActionRequest) == ["$.action_details"]

    def test_an_escaped_backslash_before_u0000_is_no_nul(self):
        assert decoding.decode_body(b'{"action_type": "a\\\\u0000"}', ActionRequest).action_type == "a\\u0000"

    def test_nesting_is_bounded(self):
        deep = b'{"action_type": "a", "action_details": ' + b'{"a":' * 200 + b"1" + b"}" * 201
        assert len(paths(deep, ActionRequest)) == 1
        assert paths(b"[" * 1_000_000, ActionRequest) == ["$"]

    def test_nesting_within_the_bound_is_taken(self):
        inner = strict.DEPTH_MAX - 2
        body = b'{"action_type": "a", "action_details": ' + b'{"a":' * inner + b"1" + b"}" * inner + b"}"
        assert decoding.decode_body(body, ActionRequest).action_type == "a"


class TestText:
    @pytest.mark.parametrize(
        "raw", [b"", b"  ", b"{", b'{"title": "t"} x', b"nul", b"\xff\xfe", b'"\\ud800"', b'{"title": "\xff"}', b"[]", b"1"]
    )
    def test_what_is_no_such_object_is_refused(self, raw: bytes):
        paths(raw, ProposalRequest)

    def test_a_line_of_ndjson_that_is_wrong_is_named_by_its_number(self):
        with pytest.raises(Refused) as refused:
            decoding.decode_lines(b'{"action_type": "a"}\n\n{"action_type": 1}\n', ActionRequest, 10)
        assert [e.path for e in refused.value.problem().errors] == ["$[1].action_type"]

    def test_too_many_lines_are_refused(self):
        with pytest.raises(Refused):
            decoding.decode_lines(b"{}\n" * 11, ActionRequest, 10)


class TestQuery:
    def test_texts_become_numbers_and_times(self):
        found = decoding.decode_query(b"limit=5&importance_min=0.5&since=2026-11-22T10:00:00Z&agent_id=nexus", RecentFilter)
        assert (found.limit, found.importance_min, found.agent_id, found.since.year) == (5, 0.5, "nexus", 2026)

    @pytest.mark.parametrize(
        ("raw", "path"),
        [
            (b"limit=0", "$.limit"),
            (b"limit=", "$.limit"),
            (b"limit=201", "$.limit"),
            (b"limit=5&limit=6", "$.limit"),
            (b"limt=5", "$.limt"),
            (b"agent_id=UPPER", "$.agent_id"),
            (b"since=yesterday", "$.since"),
            (b"since=2026-11-22T10:00:00", "$.since"),
            (b"importance_min=nan", "$.importance_min"),
            (b"tag=%00", "$.tag"),
            (b"tag=%ff", "$"),
            (b"tag=\xff", "$"),
            (b"tag=" + b"a" * 20_000, "$"),
            (b"&".join(b"a%d=1" % i for i in range(60)), "$"),
        ],
    )
    def test_a_bad_parameter_is_refused_by_name(self, raw: bytes, path: str):
        with pytest.raises(Refused) as refused:
            decoding.decode_query(raw, RecentFilter)
        assert refused.value.problem().status == 400
        assert [e.path for e in refused.value.problem().errors] == [path]

    def test_a_route_without_parameters_takes_none(self):
        with pytest.raises(Refused):
            decoding.decode_query(b"x=1", None)


class TestNull:
    """A query string has no null: what a field of text takes as a word, others refuse."""

    @pytest.mark.parametrize("said", [b"importance_min=null", b"since=NULL", b"until=Null"])
    def test_where_it_would_mean_nothing_it_is_refused(self, said):
        with pytest.raises(Refused) as refused:
            decoding.decode_query(said, RecentFilter)
        (error,) = refused.value.problem().errors
        assert error.path == f"$.{said.partition(b'=')[0].decode()}"

    def test_where_a_text_is_meant_it_is_one(self):
        asked = decoding.decode_query(b"agent_id=null&tag=null", RecentFilter)
        assert (asked.agent_id, asked.tag) == ("null", "null")


class TestTimes:
    @pytest.mark.parametrize("said", ["0", "0.5", "-1", "1e9", "1795790972"])
    def test_a_number_is_no_time(self, said):
        with pytest.raises(Refused) as refused:
            decoding.decode_query(f"since={said}".encode(), RecentFilter)
        assert [e.path for e in refused.value.problem().errors] == ["$.since"]

    def test_where_a_place_in_the_log_is_meant_a_number_is_one(self):
        assert decoding.convert({"id": "x", "as_of": "7"}, ConceptById).as_of == 7
        with pytest.raises(Refused):
            decoding.convert({"id": "x", "as_of": "7.5"}, ConceptById)

    @pytest.mark.parametrize(
        "moment", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-23:59"]
    )
    def test_those_that_cannot_be_given_back_are_refused(self, moment):
        with pytest.raises(Refused) as refused:
            decoding.decode_query(f"since={moment}".encode(), RecentFilter)
        assert [e.path for e in refused.value.problem().errors] == ["$.since"]


class TestAnything:
    """Whatever comes in, what comes out is the Struct or a refusal with status 400."""

    @given(st.sampled_from(BODIES), st.binary(max_size=200))
    def test_bytes(self, body: Any, raw: bytes):
        self.decode(body, raw)

    @given(st.sampled_from(BODIES), JSON)
    def test_json(self, body: Any, value: Any):
        self.decode(body, msgspec.json.encode(value))

    @given(st.sampled_from(BODIES), st.data())
    def test_json_with_the_right_names(self, body: Any, data: st.DataObject):
        item = body.__args__[0] if hasattr(body, "__args__") else body
        value = data.draw(st.dictionaries(st.sampled_from(item.__struct_fields__), JSON, max_size=6))
        self.decode(body, msgspec.json.encode([value] if item is not body else value))

    @given(st.sampled_from(QUERIES), st.binary(max_size=100))
    def test_query_strings(self, query: Any, raw: bytes):
        with self.nothing_but_a_refusal():
            decoding.decode_query(raw, query)

    def decode(self, body: Any, raw: bytes) -> None:
        with self.nothing_but_a_refusal():
            decoding.decode_body(raw, body)

    @contextlib.contextmanager
    def nothing_but_a_refusal(self) -> Iterator[None]:
        problem = None
        try:
            yield
        except Refused as e:
            problem = e.problem()
        assert problem is None or problem.status == 400
        assert problem is None or all(error.path.startswith("$") for error in problem.errors)


def test_search_takes_a_log_position_or_a_time():
    assert decoding.decode_body(b'{"query": "q", "as_of": 5}', SearchRequest).as_of == 5
    assert decoding.decode_body(b'{"query": "q", "as_of": "2026-11-22T10:00:00Z"}', SearchRequest).as_of.year == 2026


@pytest.mark.parametrize("query", [query for query in QUERIES if {"as_of", "since", "until"} & set(query.__struct_fields__)])
def test_every_query_with_a_time_refuses_the_ends_of_the_calendar(query):
    name = next(name for name in query.__struct_fields__ if name in {"as_of", "since", "until"})
    with pytest.raises(Refused):
        decoding.decode_query(f"{name}=0001-01-01T00:00:00Z".encode(), query)
