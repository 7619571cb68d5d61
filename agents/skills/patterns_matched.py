"""Regular expressions of strangers: matched in a process of its own, which is killed where one takes too long.

A pattern like `(a+)+$` can take years on thirty characters, and Python's matcher cannot be interrupted. The process holds nothing of
ours: it starts empty, has a limit of memory, and answers one question a line.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from agents.skills.skill import SkillError

PATTERN_LEN_MAX = 2_000
"""Longest pattern, in characters."""
TEXT_LEN_MAX = 100_000
"""Longest text that is looked through, in characters."""
MATCH_S_MAX = 1.0
"""Longest time for one match."""
ALL_S_MAX = 10.0
"""Longest time for all matches of one task."""
START_S_MAX = 5.0
"""Longest time until the process has started."""
FOUND_LEN_MAX = 200
"""Most characters of a match that are shown."""

MATCHER = f"""
import json, re, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28))
except ImportError:
    pass
print("ready", flush=True)
for line in sys.stdin:
    pattern, text, whole = json.loads(line)
    try:
        found = re.fullmatch(pattern, text) if whole else re.search(pattern, text)
        answer = [found is not None, found[0][:{FOUND_LEN_MAX}] if found else ""]
    except (re.error, RecursionError, OverflowError, MemoryError) as e:
        answer = [None, "the pattern is not valid: %s" % e]
    print(json.dumps(answer), flush=True)
"""


class Question(msgspec.Struct, frozen=True):
    """Whether `pattern` is found in `text`, or is the `whole` of it."""

    pattern: str
    text: str
    whole: bool = False


class Match(msgspec.Struct, frozen=True):
    """Whether it matches, or None where that could not be found out; and what was found, or why it could not."""

    matches: bool | None
    detail: str = ""


TOO_MANY = Match(None, f"all patterns together take longer than {ALL_S_MAX:g} s")
GAVE_UP = Match(None, f"the pattern takes longer than {MATCH_S_MAX:g} s on this text, or too much memory")


async def match_all(questions: Iterable[Question], ends_at: float) -> dict[Question, Match]:
    """The answer to each question. One that takes too long has none; the others still do, until `ends_at` (the loop's clock)."""
    answers: dict[Question, Match] = {}
    waiting = list(dict.fromkeys(questions))
    while waiting:
        refused = {q: Match(None, reason) for q in waiting if (reason := _refusal(q))}
        answers |= refused
        answers |= await _ask([q for q in waiting if q not in refused], ends_at)
        waiting = [q for q in waiting if q not in answers]
    return answers


def _refusal(question: Question) -> str:
    if len(question.pattern) > PATTERN_LEN_MAX:
        return f"the pattern is longer than {PATTERN_LEN_MAX} characters"
    if len(question.text) > TEXT_LEN_MAX:
        return f"the text is longer than {TEXT_LEN_MAX} characters"
    return ""


async def _ask(questions: list[Question], ends_at: float) -> Mapping[Question, Match]:
    """Answers by one process, up to the first question that takes too long, that one included."""
    if not questions:
        return {}
    loop, answers = asyncio.get_running_loop(), dict[Question, Match]()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", MATCHER, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env={}
    )
    try:
        await _started(process)
        for question in questions:
            left_s = ends_at - loop.time()
            if left_s <= 0:
                return answers | dict.fromkeys(questions[len(answers) :], TOO_MANY)
            _write(process, [question.pattern, question.text, question.whole])
            answers[question] = await _answer(process, min(MATCH_S_MAX, left_s))
            if answers[question] == GAVE_UP:
                return answers
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return answers


async def _started(process: asyncio.subprocess.Process) -> None:
    try:
        await _line(process, START_S_MAX)
    except TimeoutError as e:
        raise SkillError("too_slow", f"no process was started within {START_S_MAX:g} s", retryable=True) from e


async def _answer(process: asyncio.subprocess.Process, timeout_s: float) -> Match:
    try:
        line = await _line(process, timeout_s)
    except TimeoutError:
        return GAVE_UP
    if not line:  # it ran out of memory
        return GAVE_UP
    matches, detail = json.loads(line)
    return Match(matches, detail)


async def _line(process: asyncio.subprocess.Process, timeout_s: float) -> bytes:
    assert process.stdout is not None, "asked for above"
    async with asyncio.timeout(timeout_s):
        return await process.stdout.readline()


def _write(process: asyncio.subprocess.Process, value: Any) -> None:
    assert process.stdin is not None, "asked for above"
    process.stdin.write(json.dumps(value).encode() + b"\n")
