"""Terms: the words of a text as far as they say what it is about. Deterministic, no I/O; rules of every room may use it.

Words are folded (case and accents), stripped of English and Spanish stop words and cut to a light stem, so that
"migrations", "migrated" and "migración" are one term.
"""

import functools
import re
import unicodedata

STEM_LEN_MIN = 3
"""A stem is at least this many characters long; shorter words stay as they are."""
TEXT_LEN_MAX = 10_000
"""Characters of a text that are looked at: what it is about is said by then, and no text holds up an agent's loop."""
STEMS_KEPT_MAX = 50_000
"""Stems that are remembered; the least used are computed again."""

_WORD = re.compile(r"[^\W_]+")

_ENGLISH = """a about after all also am an and any are as at be because been before being but by can could did do does
for from had has have he her his how i if in into is it its just may might more most must my no nor not of off on once only or our
out over own shall she should so some such than that the their them then there these they this those through to too under until up
us was we were what when where which while who why will with would you your"""
_SPANISH = """a al algo ante antes como con contra cual cuando de del desde donde durante e el ella ellas ellos en entre
era es esa ese eso esta este esto estan fue ha han hasta hay la las le les lo los mas me mi muy ni no nos o os otra otro para pero
por porque que quien se ser si sin sobre son su sus tambien te tiene todo tu un una uno unos y ya"""
STOP_WORDS = frozenset((_ENGLISH + " " + _SPANISH).split())
"""Words that say nothing about the subject, folded."""

SUFFIXES: tuple[tuple[str, str], ...] = (
    *((s, "at") for s in ("aciones", "acion", "ations", "ation", "ating", "ated", "ates", "ate")),
    *((s, "") for s in ("mientos", "miento", "mente", "iendo", "ments", "ment", "ando", "ings", "ados", "adas")),
    *((s, "") for s in ("ing", "ado", "ada", "ers", "ed", "er", "ly")),
    ("ies", "i"),
    ("es", ""),
    ("s", ""),
)
"""Endings and what replaces them; the first that fits and leaves a stem is taken, longer ones first within a family."""


def fold(text: str) -> str:
    """`text` in lower case and without accents."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def terms(text: str) -> list[str]:
    """The stems of the words of `text` that carry meaning, in their order, repeats included; `TEXT_LEN_MAX` characters are read."""
    return [stem(word) for word in _WORD.findall(fold(text[:TEXT_LEN_MAX])) if word not in STOP_WORDS]


@functools.lru_cache(maxsize=STEMS_KEPT_MAX)
def stem(word: str) -> str:
    """A folded word without its common English or Spanish ending; forms of one word mostly meet, no more is claimed."""
    for ending, instead in SUFFIXES:
        if word.endswith(ending) and len(word) - len(ending) >= STEM_LEN_MIN:
            word = word.removesuffix(ending) + instead
            break
    if len(word) > STEM_LEN_MIN and word[-1] in "aeo":
        word = word[:-1]
    if len(word) > STEM_LEN_MIN and word[-1] == word[-2]:
        word = word[:-1]
    return word[:-1] + "i" if len(word) > STEM_LEN_MIN and word.endswith("y") else word
