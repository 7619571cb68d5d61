"""Tracebacks read back, and what is said about them."""

import asyncio
import json
import textwrap
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.skills.debugging import Diagnosis, diagnose, remembered
from agents.skills.tracebacks import Raised, parse
from tests.agents.skills.hits import hit, lesson


def printed(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def raised_by(code: str) -> list[Raised]:
    """What this interpreter prints when `code` raises, read back."""
    try:
        exec(compile(textwrap.dedent(code), "app.py", "exec"), {})
    except BaseException as e:  # noqa: BLE001 - the code is a parameter: it may raise anything
        return parse(printed(e))
    raise AssertionError("the code did not raise")


class TestReading:
    def test_type_message_and_failing_line(self) -> None:
        text = """Traceback (most recent call last):
  File "/srv/app.py", line 12, in <module>
    main()
    ~~~~^^
  File "/srv/app.py", line 7, in main
    return user["name"]
           ~~~~^^^^^^^^
KeyError: 'name'
"""
        [error] = parse(text)
        assert (error.type, error.message, error.relation) == ("KeyError", "'name'", "first")
        assert str(error.place) == '/srv/app.py:7 in main: return user["name"]'
        assert len(error.frames) == 2

    def test_a_chain_is_read_in_its_order(self) -> None:
        errors = raised_by("""
            try:
                try:
                    {}["a"]
                except KeyError as e:
                    raise ValueError("no a") from e
            except ValueError:
                raise RuntimeError("gave up")
        """)
        assert [(e.type, e.relation) for e in errors] == [("KeyError", "first"), ("ValueError", "caused"), ("RuntimeError", "during")]

    def test_a_group_is_read_with_its_members(self) -> None:
        errors = raised_by("""
            def fail(x):
                try:
                    int(x)
                except ValueError as e:
                    return e
            inner = ExceptionGroup("inner", [TypeError("bad"), OSError(28, "No space left on device")])
            raise ExceptionGroup("two of them", [fail("x"), inner])
        """)
        assert [(e.type, e.relation) for e in errors] == [
            ("ExceptionGroup", "first"),
            ("ValueError", "member"),
            ("ExceptionGroup", "member"),
            ("TypeError", "member"),
            ("OSError", "member"),
        ]
        assert str(errors[1].place).startswith("app.py:4 in fail")

    def test_a_task_group_is_read(self) -> None:
        async def fail() -> None:
            raise ConnectionRefusedError("nobody there")

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())

        with pytest.raises(BaseExceptionGroup) as raised:
            asyncio.run(main())
        assert [e.type for e in parse(printed(raised.value))] == ["ExceptionGroup", "ConnectionRefusedError"]

    def test_a_syntax_error_has_its_place(self) -> None:
        [error] = raised_by('compile("x = = 1", "other.py", "exec")')
        assert (error.type, error.place.file if error.place else None) == ("SyntaxError", "other.py")

    def test_a_message_of_several_lines_is_kept(self) -> None:
        [error] = raised_by('raise ValueError("one\\ntwo")')
        assert error.message == "one\ntwo"

    def test_a_type_is_known_by_its_module(self) -> None:
        [error] = parse(
            'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\n'
            "asyncpg.exceptions.UniqueViolationError: duplicate key"
        )
        assert (error.type, error.name) == ("asyncpg.exceptions.UniqueViolationError", "UniqueViolationError")

    def test_an_exception_without_message_is_one(self) -> None:
        [error] = raised_by("raise KeyboardInterrupt")
        assert (error.type, error.message) == ("KeyboardInterrupt", "")

    def test_one_line_is_enough(self) -> None:
        [error] = parse("ZeroDivisionError: division by zero")
        assert (error.type, error.place) == ("ZeroDivisionError", None)

    def test_endless_recursion_is_read(self) -> None:
        errors = raised_by("def f():\n    return f()\nf()")
        assert errors[0].type == "RecursionError"

    def test_plain_text_is_none(self) -> None:
        assert parse("Everything is fine.\nNothing happened: really") == []

    @given(st.text(max_size=300))
    def test_whatever_is_given_is_read_without_raising(self, text: str) -> None:
        parse(text)
        parse(f'Traceback (most recent call last):\n  File "a", line 1, in b\n{text}')


def of(code: str, *similar: object) -> Diagnosis:
    return diagnose(raised_by(code), [])


class TestDiagnosis:
    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("None.strip()", "a value is None where an object with `strip` was expected"),
            ("{}['user']", "key 'user' is not in the mapping"),
            ("[][0]", "shorter than the index"),
            ("import nothing_of_the_kind", "`nothing_of_the_kind` is not installed"),
            ("x = None; x[0]", "a value is None where something subscriptable was needed"),
            ("(lambda: 0)(1)", "a call does not fit the signature"),
            ("1 + 'a'", "`int` and `str` do not go together"),
            ("int('x')", "text that is no number"),
            ("a, b = [1]", "another number of values"),
            ("nope", "`nope` is used before it is defined"),
            ("open('/no/such/file')", "'/no/such/file' does not exist"),
            ("1 / 0", "the divisor is zero"),
            ("b'\\xff'.decode()", "the bytes are in another encoding than utf-8"),
            ("import json; json.loads('')", "the text is not JSON"),
            ("import json; json.dumps({1, 2})", "`set` cannot be written as JSON"),
            ("raise OSError(98, 'Address already in use')", "the address is in use"),
        ],
    )
    def test_known_errors_have_known_causes(self, code: str, words: str) -> None:
        first = of(code).diagnosis[0]
        assert words in first.cause
        assert first.fix
        assert 0 < first.confidence <= 1
        assert "app.py" in "".join(first.evidence)

    def test_an_unknown_one_is_told_honestly(self) -> None:
        [only] = diagnose(parse("some.ThirdPartyError: boom"), []).diagnosis
        assert only.confidence == 0.2
        assert "no rule is known" in only.cause

    def test_what_came_first_weighs_more_than_what_followed(self) -> None:
        found = of("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise IndexError('x') from e")
        assert "divisor" in found.diagnosis[0].cause
        assert found.diagnosis[0].confidence > found.diagnosis[1].confidence


TRACE = """Traceback (most recent call last):
  File "orders.py", line 3, in total
    return items[0].price
IndexError: list index out of range
"""


class TestMemory:
    def test_an_episode_with_a_fix_raises_the_cause_it_supports_and_is_cited(self) -> None:
        errors = parse(TRACE)
        before = diagnose(errors, []).diagnosis[0]
        recalled = hit("e1", "IndexError: list index out of range in total, sequence was empty", fix="check the length of items before")
        found = diagnose(errors, remembered(errors, [recalled], []))
        after = found.diagnosis[0]
        assert after.cause == before.cause
        assert after.confidence > before.confidence
        assert "episode e1" in after.evidence
        assert after.fix is not None
        assert after.fix.startswith("check the length of items before (episode e1)")
        assert found.similar[0].id == "e1"

    def test_a_lesson_about_something_else_in_it_becomes_a_cause(self) -> None:
        errors = parse(TRACE)
        taught = lesson("l1", "orders total", "Archived orders carry no positions: skip archived orders")
        found = diagnose(errors, remembered(errors, [], [taught]))
        mine = next(c for c in found.diagnosis if "lesson l1" in c.evidence)
        assert mine.fix is not None
        assert "skip archived orders" in mine.fix

    def test_what_is_remembered_without_a_fix_is_only_told(self) -> None:
        errors = parse(TRACE)
        found = diagnose(errors, remembered(errors, [hit("e1", "IndexError: list index out of range")], []))
        assert found.diagnosis == diagnose(errors, []).diagnosis
        assert [s.id for s in found.similar] == ["e1"]

    def test_what_is_not_alike_is_left_out(self) -> None:
        assert remembered(parse(TRACE), [hit("e1", "Lunch was good")], []) == []

    def test_a_lesson_that_is_recalled_too_is_told_once(self) -> None:
        taught = lesson("l1", "IndexError", "list index out of range: the list was empty")
        found = remembered(parse("IndexError: list index out of range"), [hit("l1", "IndexError list index", kind="lesson")], [taught])
        assert [s.id for s in found] == ["l1"]

    def test_it_can_be_sent(self) -> None:
        import msgspec

        assert json.loads(msgspec.json.encode(diagnose(parse(TRACE), [])))["diagnosis"][0]["cause"]
