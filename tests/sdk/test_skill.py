"""A skill made of a function: its schemas, what it is given, what it may give back."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from agents.sound_schema import unsound
from cerebro_agent import Agent, Reply, SkillError, Task
from cerebro_agent.skills import Skill


class Release(msgspec.Struct):
    number: Annotated[int, Meta(ge=1)]
    hosts: list[str] = []


class Rolled(msgspec.Struct):
    hosts: int


@dataclass
class Plain:
    number: int


def skill(function: Any) -> Skill:
    return Skill("s", "", function, Task)


async def whole(given: Release, task: Task) -> Rolled:
    return Rolled(hosts=len(given.hosts))


async def fields(number: int, hosts: list[str] | None = None) -> Rolled:
    return Rolled(hosts=len(hosts or []) + number)


def plain(given: Plain) -> dict[str, int]:
    return {"hosts": given.number}


async def untyped(given: dict[str, Any]):  # type: ignore[no-untyped-def]
    return given


async def wrong(number: int) -> Rolled:
    return {"hosts": "many"}  # type: ignore[return-value]


async def spoken(number: int) -> Reply:
    return Reply(output=number, parts=[{"text": "done"}])


class TestAnnounced:
    @pytest.mark.parametrize("function", [whole, fields, plain, untyped, wrong, spoken])
    def test_its_schemas_are_sound(self, function: Any) -> None:
        told = skill(function).announced()
        assert (unsound(told.input_schema), unsound(told.output_schema)) == (None, None)

    def test_a_struct_is_the_whole_input(self) -> None:
        schema = skill(whole).announced().input_schema
        assert schema["$defs"]["Release"]["required"] == ["number"]

    def test_parameters_are_the_fields_of_the_input_and_the_task_is_none_of_them(self) -> None:
        schema = skill(fields).announced().input_schema
        [body] = schema["$defs"].values()
        assert (sorted(body["properties"]), body["required"]) == (["hosts", "number"], ["number"])


class TestPerformed:
    @pytest.mark.parametrize(
        ("function", "given", "output"),
        [
            (whole, {"number": 1, "hosts": ["a"]}, {"hosts": 1}),
            (fields, {"number": 2, "hosts": ["a"]}, {"hosts": 3}),
            (fields, {"number": 2}, {"hosts": 2}),
            (plain, {"number": 4}, {"hosts": 4}),
            (untyped, {"any": "thing"}, {"any": "thing"}),
            (spoken, {"number": 5}, 5),
        ],
    )
    async def test_it_gives_the_output_as_plain_json(self, function: Any, given: dict[str, Any], output: Any) -> None:
        assert (await skill(function).perform(given, None)).output == output

    @pytest.mark.parametrize("given", [{}, {"number": 0}, {"number": "1"}, {"number": 1, "hosts": "a"}])
    async def test_malformed_input_is_refused_with_the_place(self, given: dict[str, Any]) -> None:
        with pytest.raises(SkillError, match=r"\$") as refused:
            await skill(whole).perform(given, None)
        assert (refused.value.code, refused.value.retryable) == ("bad_input", False)

    async def test_what_it_gives_back_must_be_what_it_announced(self) -> None:
        with pytest.raises(SkillError) as refused:
            await skill(wrong).perform({"number": 1}, None)
        assert refused.value.code == "bad_output"


class TestAgent:
    def test_it_takes_only_what_it_can(self) -> None:
        agent = Agent("ops", role="r")
        assert agent.profile().takes == []
        agent.skill()(fields)
        agent.vote(lambda _: None)
        assert agent.profile().takes == ["votes", "tasks"]
        assert [s.name for s in agent.profile().skills] == ["fields"]

    @pytest.mark.parametrize("name", ["", "Ops", "a.b", "a b", "x" * 64])
    def test_a_name_that_is_no_token_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match="no name of an agent"):
            Agent(name, role="r")

    def test_a_skill_has_one_performer(self) -> None:
        agent = Agent("ops", role="r")
        agent.skill("s")(fields)
        with pytest.raises(ValueError, match="already"):
            agent.skill("s")(plain)
