"""What usually makes a function slow, by its figures and its name. Each rule is a condition and a sentence."""

import re
from collections.abc import Callable

import msgspec

MANY_CALLS = 10_000
"""From so many calls on, calling itself costs."""
CHEAP_S = 1e-5
"""A call this cheap, in seconds, is mostly overhead."""
DEAR_S = 0.01
"""A call this dear is worth looking into by itself."""
OWN_SHARE_MIN = 0.05
"""Share of the whole below which a function itself needs no advice."""
CALLEES_RATIO = 5.0
"""So many times its own share with callees: the time is theirs."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one function; shares of the whole, 0…1."""

    function: str
    own_share: float
    total_share: float
    calls: int | None = None
    own_s_per_call: float | None = None
    recursive: bool = False


Rule = tuple[Callable[[Facts], bool], str]


def _named(words: str) -> Callable[[Facts], bool]:
    """Whether one of these words is a word of the function's name."""
    pattern = re.compile(rf"(?<![a-z0-9])(?:{words})(?![a-z0-9])")
    return lambda facts: pattern.search(facts.function.casefold()) is not None


RULES: tuple[Rule, ...] = (
    (
        _named("sleep|select|poll|epoll|kqueue|wait|acquire|lock|join|recv|recv_into|accept|futex|getresponse|read_packet"),
        "it waits: other work could be done meanwhile; faster code here changes nothing, fewer or parallel waits do",
    ),
    (
        _named("execute|executemany|fetchall|fetchone|fetchmany|query|cursor"),
        "it asks a database: count the questions, join or batch them, see their plan",
    ),
    (
        _named("read|readline|readlines|write|open|fsync|flush|stat|listdir|scandir"),
        "it does file work: fewer and larger reads and writes, buffers, no repeats",
    ),
    (_named("compile|_compile|sre_compile|sre_parse"), "something is compiled again and again: compile once and keep it"),
    (
        _named("loads|dumps|load|dump|encode|decode|json|pickle|yaml|deepcopy|copy"),
        "it converts or copies data: do it once, less of it, or with a faster library",
    ),
    (
        _named("match|search|findall|finditer|sub|split|replace"),
        "it looks through text: test cheaply first, use plain string methods, or one pattern for all",
    ),
    (
        _named("sort|sorted|index|count|insert|__contains__|remove"),
        "it may go through a whole list each time: a set, a dict, a heap or bisect does not",
    ),
    (
        _named("append|extend|listcomp|genexpr|dictcomp|setcomp"),
        "a loop in the interpreter: a built-in or an array library runs it outside",
    ),
    (_named("import|_find_and_load|exec_module|get_data"), "modules are being loaded: import later, or measure a longer run"),
    (_named("debug|info|log|format|_log|emit|print"), "it tells or formats: only where somebody listens"),
    (
        _named("isinstance|getattr|setattr|hasattr|__getattr__|__init__|__new__"),
        "many small objects or look-ups: keep what is looked up, make fewer objects (slots)",
    ),
    (_named("malloc|free|gc|collect|memcpy|memmove|brk|mmap|page_fault"), "memory is being managed: allocate less, reuse buffers"),
    (lambda f: f.recursive, "it calls itself: keep what was computed already, or make it a loop"),
    (
        lambda f: f.calls is not None and f.calls >= MANY_CALLS and (f.own_s_per_call or 0.0) <= CHEAP_S,
        "many cheap calls: call it less often (keep results, batch, inline) rather than making it faster",
    ),
    (
        lambda f: f.calls is not None and f.calls < 100 and (f.own_s_per_call or 0.0) >= DEAR_S,
        "few dear calls: its own algorithm is what to look at",
    ),
)


def advise(facts: Facts) -> list[str]:
    """What usually helps a function with these figures; nothing where its own share is too small to matter."""
    if facts.own_share < OWN_SHARE_MIN:
        if facts.total_share >= max(OWN_SHARE_MIN, CALLEES_RATIO * facts.own_share):
            return ["the time is spent in what it calls: call that less, or look there"]
        return []
    return [sentence for applies, sentence in RULES if applies(facts)]
