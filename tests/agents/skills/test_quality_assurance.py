"""Acceptance criteria, one by one."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.json_value import SHOWN_LEN_MAX, NothingThereError, at, canonical, shown
from agents.skills.patterns_matched import GAVE_UP, TOO_MANY, Question, match_all
from agents.skills.quality_assurance import Assurance, Examination, examine
from agents.skills.skill import SkillError

REPORT = {
    "title": "Load test 7",
    "p99_ms": 180.5,
    "errors": 0,
    "ok": True,
    "regions": ["eu", "us"],
    "owner": {"name": "Ada", "a/b": None},
    "steps": [{"name": "warm up", "s": 10}, {"name": "full load", "s": 300}],
}


async def verdict(artefact: Any = REPORT, **criterion: Any) -> tuple[str, str]:
    assured = await assured_of(artefact, {"id": "c", **criterion})
    return assured.verdicts[0].verdict, assured.verdicts[0].reason


async def assured_of(artefact: Any, *criteria: dict[str, Any]) -> Assurance:
    return await examine(msgspec.convert({"artefact": artefact, "criteria": list(criteria)}, Examination))


class TestChecks:
    @pytest.mark.parametrize(
        ("criterion", "passes"),
        [
            ({"check": "present", "path": "/owner/name"}, True),
            ({"check": "present", "path": "/owner/a~1b"}, True),
            ({"check": "present", "path": "/owner/phone"}, False),
            ({"check": "present", "path": "/secret", "absent": True}, True),
            ({"check": "present", "path": "/title", "absent": True}, False),
            ({"check": "type", "path": "/errors", "type": "integer"}, True),
            ({"check": "type", "path": "/ok", "type": "number"}, False),
            ({"check": "equals", "path": "/errors", "value": 0.0}, True),
            ({"check": "equals", "path": "/ok", "value": 1}, False),
            ({"check": "equals", "path": "/p99_ms", "value": 180, "tolerance": 0.5}, True),
            ({"check": "equals", "path": "/p99_ms", "value": 180, "tolerance": 0.4}, False),
            ({"check": "equals", "path": "/steps/0", "value": {"s": 10, "name": "warm up"}}, True),
            ({"check": "one_of", "path": "/regions/1", "values": ["us", "ap"]}, True),
            ({"check": "one_of", "path": "/regions/1", "values": ["ap"]}, False),
            ({"check": "range", "path": "/p99_ms", "at_most": 200, "above": 0}, True),
            ({"check": "range", "path": "/p99_ms", "below": 180.5}, False),
            ({"check": "range", "path": "/title", "below": 5}, False),
            ({"check": "range", "path": "/ok", "at_least": 0}, False),
            ({"check": "contains", "path": "/title", "value": "LOAD", "ignore_case": True}, True),
            ({"check": "contains", "path": "/title", "value": "LOAD"}, False),
            ({"check": "contains", "path": "/regions", "value": "eu"}, True),
            ({"check": "contains", "path": "/owner", "value": "name"}, True),
            ({"check": "contains", "path": "/errors", "value": "0"}, False),
            ({"check": "count", "path": "/steps", "at_least": 2, "at_most": 2}, True),
            ({"check": "count", "path": "/regions", "at_least": 3}, False),
            ({"check": "count", "path": "/title", "at_most": 3}, False),
            ({"check": "count", "path": "/errors"}, False),
            ({"check": "regex", "path": "/title", "pattern": r"\d+$"}, True),
            ({"check": "regex", "path": "/title", "pattern": r"\d+", "whole": True}, False),
            ({"check": "regex", "path": "/errors", "pattern": "0"}, False),
            ({"check": "schema", "schema": {"required": ["title", "steps"], "properties": {"steps": {"minItems": 2}}}}, True),
            ({"check": "schema", "path": "/steps", "schema": {"items": {"properties": {"s": {"maximum": 60}}}}}, False),
        ],
        ids=str,
    )  # fmt: skip
    async def test_each(self, criterion: dict[str, Any], passes: bool) -> None:
        assert (await verdict(**criterion))[0] == ("passed" if passes else "failed")

    async def test_a_failure_says_why_and_shows_what_stands_there(self) -> None:
        assured = await assured_of(REPORT, {"id": "fast", "check": "range", "path": "/p99_ms", "at_most": 100})
        [told] = assured.verdicts
        assert (told.id, told.check, told.reason, told.evidence) == ("fast", "range", "it is not at most 100", "180.5")
        assert (await verdict(check="equals", path="/steps/7/name", value=1))[1] == "there is nothing at /steps/7"

    async def test_faults_of_a_schema_say_where(self) -> None:
        schema = {"items": {"properties": {"s": {"maximum": 60}}}}
        assert (await verdict(check="schema", path="/steps", schema=schema))[1] == "/1/s: 300 is more than 60"

    async def test_patterns_within_schemas_are_matched_also_where_one_decides_on_another(self) -> None:
        schema = {"patternProperties": {"^x": {}}, "additionalProperties": {"pattern": "^ok"}}
        assert (await verdict({"x1": 5, "y": "ok"}, check="schema", schema=schema))[0] == "passed"
        assert (await verdict({"x1": 5, "y": "no"}, check="schema", schema=schema))[0] == "failed"


class TestAcceptance:
    async def test_all_that_is_required_must_pass(self) -> None:
        good = {"id": "a", "check": "present", "path": "/title"}
        bad = {"id": "b", "check": "present", "path": "/nothing"}
        assured = await assured_of(REPORT, good, bad)
        assert (assured.accepted, assured.unmet, assured.passed, assured.failed) == (False, ["b"], 1, 1)
        assured = await assured_of(REPORT, good, {**bad, "advisory": True})
        assert (assured.accepted, assured.unmet, assured.failed) == (True, [], 1)

    async def test_what_other_tasks_gave_can_be_the_artefact(self) -> None:
        asked = {"dependencies": {"build": {"ok": True}}, "criteria": [{"id": "c", "check": "equals", "path": "/build/ok", "value": True}]}
        assert (await examine(msgspec.convert(asked, Examination))).accepted

    async def test_undecided_is_not_accepted(self) -> None:
        assured = await assured_of("x", {"id": "c", "check": "regex", "pattern": "("})
        assert (assured.accepted, assured.undecided, assured.unmet) == (False, 1, ["c"])
        assert "the pattern is not valid" in assured.verdicts[0].reason


class TestHostile:
    async def test_a_pattern_that_takes_years_is_given_up_and_the_others_are_matched(self) -> None:
        criteria = [
            {"id": "before", "check": "regex", "pattern": "a"},
            {"id": "years", "check": "regex", "pattern": "(a+)+$"},
            {"id": "after", "check": "regex", "pattern": "b"},
        ]
        assured = await assured_of("a" * 40 + "b", *criteria)
        assert [v.verdict for v in assured.verdicts] == ["passed", "undecided", "passed"]

    async def test_a_pattern_that_wants_all_memory_is_given_up(self) -> None:
        [answer] = (await match_all([Question("(?:(?:a{1000}){1000}){100}", "a")], asyncio.get_running_loop().time() + 10)).values()
        assert answer.matches is not True

    async def test_when_the_time_is_over_the_rest_is_undecided(self) -> None:
        [answer] = (await match_all([Question("a", "a")], asyncio.get_running_loop().time() - 1)).values()
        assert answer == TOO_MANY

    async def test_a_text_that_is_too_long_is_not_looked_through(self) -> None:
        assert "longer than" in (await verdict("a" * 100_001, check="regex", pattern="a"))[1]

    async def test_text_of_every_sort_reaches_the_matcher_as_it_is(self) -> None:
        text = 'líne\none\u2028"quoted" \\ \ud800'
        [answer] = (await match_all([Question(".*", text)], asyncio.get_running_loop().time() + 10)).values()
        assert (answer.matches, answer != GAVE_UP) == (True, True)

    @pytest.mark.parametrize(
        ("criteria", "path"),
        [
            ([{"id": "c", "check": "present"}, {"id": "c", "check": "present"}], "$.criteria"),
            ([{"id": "c", "check": "schema", "schema": {"minimun": 1}}], "$.criteria[0].schema"),
        ],
    )
    async def test_criteria_that_make_no_sense_are_refused(self, criteria: list[Any], path: str) -> None:
        with pytest.raises(SkillError) as e:
            await assured_of(1, *criteria)
        assert (e.value.code, f"`{path}`" in str(e.value)) == ("bad_input", True)

    async def test_what_is_nested_too_deeply_is_refused(self) -> None:
        deep: Any = 1
        for _ in range(500):
            deep = [deep]
        with pytest.raises(SkillError, match="levels"):
            await assured_of(deep, {"id": "c", "check": "present"})
        with pytest.raises(SkillError, match="levels"):
            await assured_of(1, {"id": "c", "check": "equals", "value": deep})

    def test_an_unknown_check_is_refused(self) -> None:
        with pytest.raises(msgspec.ValidationError, match="check"):
            msgspec.convert({"criteria": [{"id": "c", "check": "smell"}]}, Examination)


class TestValues:
    def test_pointers_of_the_rfc(self) -> None:
        document = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8, "01": 2}
        told = {"": document, "/foo": ["bar", "baz"], "/foo/0": "bar", "/": 0, "/a~1b": 1, "/m~0n": 8, "/01": 2}
        assert {pointer: at(document, pointer) for pointer in told} == told

    @pytest.mark.parametrize("pointer", ["/foo/2", "/foo/-", "/foo/01", "/foo/-1", "foo", "/bar", "/foo/0/x"])
    def test_pointers_to_nothing(self, pointer: str) -> None:
        with pytest.raises(NothingThereError):
            at({"foo": ["bar", "baz"]}, pointer)

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)))
    def test_a_value_equals_itself_written_again(self, value: Any) -> None:
        assert canonical(value) == canonical(msgspec.json.decode(msgspec.json.encode(value)) if _small(value) else value)

    def test_of_a_long_value_the_beginning_is_shown(self) -> None:
        assert shown({"a": [1, 2.5, None, "é"]}) == '{"a": [1, 2.5, null, "é"]}'
        assert len(shown(["x" * 10] * 100_000)) == SHOWN_LEN_MAX + 1

    def test_what_looks_alike_and_is_not(self) -> None:
        assert len({canonical(v) for v in (1, True, "1", [1], None, "null")}) == 6


def _small(value: Any) -> bool:
    """Whether msgspec can write it: integers of 64 bits, no lone surrogates."""
    try:
        msgspec.json.encode(value)
    except (OverflowError, UnicodeEncodeError):
        return False
    return True
