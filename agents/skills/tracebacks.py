"""Python tracebacks read back: the chain of exceptions, each with its frames, groups and their members included.

The text may be indented, cut at its start, or stand among other lines of a log.
"""

import re
from typing import Literal

import msgspec

FRAMES_MAX = 2_000
"""Most frames that are kept of one traceback."""
RAISED_MAX = 200
"""Most exceptions that are kept of one traceback."""
LINE_LEN_MAX = 2_000
"""Most characters of a line that are looked at, and of a message that are kept."""

Relation = Literal["first", "caused", "during", "member"]
"""How an exception came about: first of its chain, caused by the one before, raised while that one was handled, in a group."""


class Frame(msgspec.Struct, frozen=True):
    """One line of a stack: where, and what stands there."""

    file: str
    line: int
    function: str
    code: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" + (f" in {self.function}" if self.function else "")
        return f"{where}: {self.code}" if self.code else where


class Raised(msgspec.Struct, frozen=True):
    """One exception: `name` without its module, the last frame being where it was raised."""

    type: str
    message: str
    frames: tuple[Frame, ...]
    relation: Relation

    @property
    def name(self) -> str:
        return self.type.rpartition(".")[2]

    @property
    def place(self) -> Frame | None:
        """The failing line."""
        return self.frames[-1] if self.frames else None

    @property
    def own_place(self) -> Frame | None:
        """The last line outside Python itself and installed packages: where one's own code led there."""
        own = (f for f in reversed(self.frames) if not _FOREIGN.search(f.file))
        return next(own, self.place)


_HEADER = re.compile(r"(?:Exception Group )?Traceback \(most recent call last\):")
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d{1,9})(?:, in (?P<function>.+))?$')
_RAISED = re.compile(r"(?P<type>[A-Za-z_][\w.]*(?:<locals>\.\w+)?)(?:: ?(?P<message>.*))?$")
_NAMED_LIKE_ONE = re.compile(r"(Error|Exception|Warning|Interrupt|Exit|StopIteration|StopAsyncIteration|Group|Failed|Refused|Timeout)$")
_MEMBER = re.compile(r"^\s*\+[-+]+ (\d+|\.\.\.) -+$")
_FENCE = re.compile(r"^\s*\+[-+]+$")
_FOREIGN = re.compile(r"[/\\](?:site-packages|dist-packages|lib[/\\]python\d[\d.]*)[/\\]|^<frozen ")
_GROUP_MARGIN = re.compile(r"^\s*[|+] ?")
_MARKS = re.compile(r"^[\^~\s]+$")
_CAUSED = "The above exception was the direct cause of the following exception"
_DURING = "During handling of the above exception, another exception occurred"
_REPEATED = re.compile(r"^\[Previous line repeated (\d+) more times?\]$")


def parse(text: str) -> list[Raised]:
    """The exceptions of a traceback in the order of the text; empty where it holds none."""
    reader = _Reader()
    for line in text.splitlines():
        reader.read(line[:LINE_LEN_MAX].rstrip())
    return reader.raised


class _Reader:
    """One pass over the lines; what stands between two exceptions says how the next one came about."""

    def __init__(self) -> None:
        self.raised: list[Raised] = []
        self._frames: list[Frame] = []
        self._relation: Relation = "first"
        self._inside = False
        self._message_open = False

    def read(self, line: str) -> None:
        """Take in one line: a boundary within a group, or text with or without a group's margin."""
        if _MEMBER.match(line):
            self._next("member", inside=True)
        elif _FENCE.match(line):
            self._next("first", inside=False)
        else:
            self._text(_GROUP_MARGIN.sub("", line) if _GROUP_MARGIN.match(line) else line)

    def _text(self, line: str) -> None:
        bare = line.strip()
        if _HEADER.search(bare):
            self._next(self._relation, inside=True)
        elif bare.startswith(_CAUSED):
            self._next("caused", inside=False)
        elif bare.startswith(_DURING):
            self._next("during", inside=False)
        elif frame := _FRAME.search(bare):
            self._frame(frame)
        elif not self._continues(line, bare):
            self._exception(line, bare)

    def _next(self, relation: Relation, *, inside: bool) -> None:
        self._relation, self._inside, self._frames, self._message_open = relation, inside, [], False

    def _frame(self, found: re.Match[str]) -> None:
        if len(self._frames) < FRAMES_MAX:
            self._frames.append(Frame(found["file"], int(found["line"]), found["function"] or ""))
        self._inside, self._message_open = True, False

    def _continues(self, line: str, bare: str) -> bool:
        """Lines under a frame: its code, marks under it, a note on repetition; and blank lines."""
        if not bare:
            self._message_open = False
        if not bare or _MARKS.match(line):
            return True
        if not self._frames:
            return False
        if _REPEATED.match(bare) or (line[0].isspace() and self._frames[-1].code):
            return True
        if line[0].isspace() and not _looks_raised(bare):
            last = self._frames[-1]
            self._frames[-1] = Frame(last.file, last.line, last.function, bare)
            return True
        return False

    def _exception(self, line: str, bare: str) -> None:
        found = _RAISED.match(bare)
        if found and (_looks_raised(bare) or (self._inside and self._frames and not line[0].isspace())):
            if len(self.raised) < RAISED_MAX:
                self.raised.append(Raised(found["type"], found["message"] or "", tuple(self._frames), self._relation))
            self._next("first", inside=False)
            self._message_open = True
        elif self._message_open and self.raised:
            last = self.raised[-1]
            self.raised[-1] = Raised(last.type, f"{last.message}\n{bare}", last.frames, last.relation)
            self._message_open = len(self.raised[-1].message) < LINE_LEN_MAX


def _looks_raised(bare: str) -> bool:
    """Whether a line names an exception by the look of it."""
    found = _RAISED.match(bare)
    return bool(found and _NAMED_LIKE_ONE.search(found["type"]))
