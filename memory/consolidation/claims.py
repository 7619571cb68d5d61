"""Claims: what a sentence says of something, in a form that another sentence can contradict. Cues; precision before recall.

    "The pool size is 20."                     about  pool size | is             says  20
    "timeout_s = 30"                           about  timeout | is               says  30
    "The cache is disabled in staging."        about  cache | is | staging       says  off  (enabled/disabled)
    "The primary database is MySQL."           about  primary databas | is       says  mysql
    "We must not deploy on Fridays."           about  deploy friday              says  no

Two claims contradict each other when they are about the same and say otherwise. What may be, was once, is asked or is
conditional makes no claim. Numbers are compared only in the same unit, states only within one pair of opposites.
"""

import functools
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from memory.consolidation.sentences import sentences
from schemas.terms import STOP_WORDS, fold, stem, terms

CLAIM_WORDS_MAX: Final = 25
"""A longer sentence says more than one thing; it makes no claim."""
ABOUT_TERMS_MAX: Final = 8
"""Most terms that say what a claim is about."""
CLAIMS_MAX: Final = 32
"""Most claims of one text."""
TEXTS_KEPT_MAX: Final = 2_048
"""Texts whose claims are remembered: each is asked for several times in one look."""

_HEDGES: Final = """if whether unless might may maybe perhaps could would should probably possibly likely seems seem think thinks
guess believe hope wish suggest suggests propose consider try was were had before until when quizas acaso si"""
HEDGES: Final = frozenset(_HEDGES.split())
"""A sentence with one of these does not say what is. `was` tells of a moment, and moments do not contradict each other."""
NEGATORS: Final = frozenset(("not", "no", "never", "cannot", "without", "neither", "nor", "none", "nunca", "jamas"))
_WANING: Final = "now currently today still always again also already just really longer ahora siempre"
WANING: Final = frozenset(_WANING.split())
"""Words that date or stress a claim and do not change what it is about."""
_VAGUE: Final = "it this that these those he she they there here everything something nothing one i you we"
VAGUE: Final = frozenset(_VAGUE.split())
"""A subject of these words alone can be anything."""
_MEASURED: Final = "cpu load usage latency temperature backlog count rate progress age uptime throughput utilization lag balance score"
MEASURED: Final = frozenset(map(stem, _MEASURED.split()))
"""Subjects that end so are measured again and again: another number is another moment, not a contradiction."""
ANSWER: Final = re.compile(r"^(?:no|nope|not really)\b\W*[,.!;-]", re.IGNORECASE)
"""An answer denies what was asked, not what it goes on to say."""
CONTRACTED: Final = re.compile(r"\b(ca|wo|\w+?)n[’']t\b")

OPPOSITES: Final = (
    ("enabled", "disabled"),
    ("on", "off"),
    ("up", "down"),
    ("open", "closed"),
    ("true", "false"),
    ("allowed", "forbidden"),
    ("safe", "unsafe"),
    ("online", "offline"),
    ("valid", "invalid"),
    ("required", "optional"),
    ("possible", "impossible"),
    ("available", "unavailable"),
    ("supported", "unsupported"),
    ("stable", "unstable"),
    ("alive", "dead"),
    ("public", "private"),
    ("synchronous", "asynchronous"),
)
STATES: Final = {word: (pair[0], word == pair[0]) for pair in OPPOSITES for word in pair}
"""A state: the name of its pair, and whether it is the first of the two."""

VERB: Final = (
    r"is set to|is owned by|is led by|is based in|is located in|is called|is named|is|are|equals|runs on|lives in|works at|works for"
    r"|defaults to|listens on|expires after|expires in|costs|takes|prefers|es"
)
SAYING: Final = re.compile(rf"^(?P<subject>[\w .\-/'’`\"]{{2,80}}?)\s+(?P<verb>{VERB})\s+(?P<rest>.+?)[.!;]*$", re.IGNORECASE)
SETTING: Final = re.compile(
    r"^(?P<subject>[a-z][\w.\-]{1,60})\s*(?:=|:)\s*(?P<rest>[^\s=]+(?: ?(?:ms|s|min|h|d|%|[kmgt]i?b))?)[.;,]*$", re.IGNORECASE
)
NUMBER: Final = re.compile(
    r"^(?:about |around |~ ?)?(?:(?:port|version|level) )?(?P<number>[-+]?\$?\d[\d,]*(?:\.\d+)?)"
    r"\s*(?P<unit>%|[A-Za-zµ°€$]{1,12})?\b[ ,]*(?P<more>.*)$"
)
PROPER: Final = re.compile(r"^(?P<name>[A-ZÀ-Þ][\w.+#-]*(?: (?:[A-ZÀ-Þ]|\d)[\w.+#-]*)*)[ ,]*(?P<more>.*)$")
DEFINITE: Final = re.compile(r"^(?:the|our|my|your|its|their|his|her|el|la|mi|nuestro|nuestra)\b|['’]s\b", re.IGNORECASE)
"""Only a thing that there is one of (the, our, somebody's) has one name; else `X is Y` may say one of many things."""


class Claim(msgspec.Struct, frozen=True):
    """`about` and `says` are normal forms to be compared, `text` is the sentence as it stands."""

    about: str
    says: str
    text: str


@functools.lru_cache(maxsize=TEXTS_KEPT_MAX)
def claims(text: str) -> tuple[Claim, ...]:
    """The claims that `text` makes, in their order. Where it says two things about one, the later one stands."""
    found: dict[str, Claim] = {}
    for sentence in sentences(text):
        for claim in _claims(sentence):
            found.pop(claim.about, None)
            found[claim.about] = claim
    return tuple(found.values())[-CLAIMS_MAX:]


def _claims(sentence: str) -> Iterator[Claim]:
    plain = CONTRACTED.sub(lambda m: {"ca": "can", "wo": "will"}.get(m[1].lower(), m[1]) + " not", sentence)
    words = re.findall(r"[^\W_]+", fold(plain))
    if sentence.rstrip().endswith("?") or ANSWER.match(plain) or not 1 < len(words) <= CLAIM_WORDS_MAX or HEDGES & set(words):
        return
    if (value := _value(plain)) is not None:
        yield Claim(*value, sentence)
    if (denial := _denial(words)) is not None:
        yield Claim(*denial, sentence)


def _value(sentence: str) -> tuple[str, str] | None:
    """What a sentence gives the value of, and the value: a number with its unit, a state, a name."""
    said, setting = SAYING.match(sentence), SETTING.match(sentence)
    match = said or setting
    if match is None:
        return None
    subject = [t for t in terms(match["subject"]) if t not in VAGUE]
    if not 0 < len(subject) <= ABOUT_TERMS_MAX or subject[-1] in MEASURED:
        return None
    verb = fold(said["verb"]) if said else "is"
    verb = "is" if verb in {"are", "equals", "is set to", "es"} else verb
    found = _number(match["rest"]) or _state(match["rest"])
    if found is None and said and (verb != "is" or DEFINITE.search(match["subject"])):
        found = _proper(match["rest"])
    if found is None:
        return None
    kind, says, more = found
    return " | ".join(part for part in (" ".join(subject), verb, kind, _more(more)) if part), says


def _number(rest: str) -> tuple[str, str, str] | None:
    match = NUMBER.match(rest)
    if match is None:
        return None
    number = match["number"].replace(",", "").replace("$", "").lstrip("+")
    unit = fold(match["unit"] or "")
    more = match["more"]
    if unit in STOP_WORDS | WANING | {"per"}:
        unit, more = "", f"{unit} {more}"
    return f"number {stem(unit)}" if unit else "number", f"{float(number):g}", more


def _state(rest: str) -> tuple[str, str, str] | None:
    words = fold(rest).split()
    negated = False
    while words and words[0].strip(",.") in NEGATORS | WANING | {"fully", "completely"}:
        negated ^= words.pop(0).strip(",.") in NEGATORS
    if not words or (state := STATES.get(words[0].strip(",.;!"))) is None:
        return None
    pair, first = state
    return pair, str(first != negated), " ".join(words[1:])


def _proper(rest: str) -> tuple[str, str, str] | None:
    match = PROPER.match(rest)
    return ("name", fold(match["name"]).rstrip("."), match["more"]) if match else None


def _more(rest: str) -> str:
    """What else the sentence says; a claim with another condition is about something else."""
    return " ".join(sorted(terms(" ".join(word for word in re.findall(r"[^\W_]+", fold(rest)) if word not in WANING))))


def _denial(words: list[str]) -> tuple[str, str] | None:
    """A whole sentence, said or denied: its terms, and which of the two."""
    denied = sum(w in NEGATORS for w in words) % 2 == 1
    about = sorted(set(terms(" ".join(w for w in words if w not in NEGATORS | WANING | VAGUE))))
    return ("said | " + " ".join(about), "no" if denied else "yes") if 2 <= len(about) <= ABOUT_TERMS_MAX else None
