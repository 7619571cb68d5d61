"""Stance: whether a text speaks well or ill of what it is about, judged by its words alone.

A lexicon with negation (after Pang and Lee 2008, §4.1.2, and the negation window of Wiebe's OpinionFinder), English and
Spanish, not a reader: it counts cue words, turns those that a negation stands before, and takes a bare prohibition
("never do this") as a warning. What a text tells its reader to do is never followed; "vote approve" holds no cue at all.
"""

import math
import re
from collections.abc import Callable

from agents.relevance import TEXT_LEN_MAX, fold, stem

NEGATION_REACH = 3
"""A negation turns the first cue among this many words after it, once: Spanish says "no hubo ninguna caída"."""
MILD = 0.5
"""What a word counts that often only names the subject ("error", "slow"), where a plain cue counts 1."""

CLAUSE = re.compile(r"[.;:!?,\n()]+|\b(?:but|although|though|however|yet|pero|aunque|sino)\b")
"""Where one clause ends; no negation reaches over it."""
REMEDY = re.compile(r"\b(?:fix|remedy|solution|cure|solved by|fixed by|remedio|soluci[oó]n|arreglo)\s*:", re.IGNORECASE)
"""Where a text goes over from what went wrong to what to do about it."""
REMEDY_NEARNESS_MIN = 0.1
"""Below this similarity (0…1) a remedy has nothing to do with the subject."""
_WORD = re.compile(r"[^\W_]+(?:['’]t\b)?")

_CONTRA = """outage incident downtime crash broke broken break fail failure danger dangerous risky unsafe avoid unstable corrupt
corruption lose lost loss worse worst harm harmful disaster deadlock regression unreliable deprecated vulnerable insecure wrong bad
hurt wipe stuck exhaust overload unavailable leak breach vulnerability regret
caida fallo fallar falla fracaso peligro peligroso arriesgado inseguro evitar evita inestable corrupcion perdida perdio peor malo
mala dano desastre rompio incidente"""
_PRO = """success successful succeed work safe safely reliable fast faster improve improvement recommend good better best stable
smooth solve resolve effective beneficial proven robust excellent helpful faultless flawless
exito exitoso funciono funciona seguro segura fiable rapido mejora mejoro recomiendo recomendado recomendable bueno buena mejor
estable resuelto resolvio eficaz probado excelente robusto"""
_MILD_CONTRA = "error bug problem issue slow delay timeout late expensive costly down block rolled caro lento problema retraso"
_MILD_PRO = "always prefer fix cheap easy simple clean help saved barato facil sencillo ayuda arreglado siempre"

_NEGATIONS = """no not never without hardly neither nor cannot none zero avoids avoided avoiding prevent prevents prevented
fix fixes fixed fixing solve solves solved resolve resolves resolved reduce reduces reduced stop stops stopped isn't wasn't aren't
weren't don't doesn't didn't won't can't couldn't shouldn't mustn't sin nunca jamas ningun ninguna ni tampoco"""
_PROHIBITIONS = "never don't shouldn't mustn't cannot can't nunca jamas"
_PROHIBITING = "do must should may debe deben debemos hagas hacer hagan"

_SUFFIXES = ("es", "s", "ed", "d", "ing", "ly")


def _lexicon() -> dict[str, float]:
    families = ((_CONTRA, -1.0), (_PRO, 1.0), (_MILD_CONTRA, -MILD), (_MILD_PRO, MILD))
    return {word: weight for words, weight in families for word in words.split()}


CUES = _lexicon()
NEGATIONS = frozenset(_NEGATIONS.split())
PROHIBITIONS = frozenset(_PROHIBITIONS.split())
"""Negations that, where no cue follows them, say that it should not be done."""
PROHIBITING_VERBS = frozenset(_PROHIBITING.split())
"""With "not" or "no" beside them these are prohibitions too: "do not …", "no debemos …"."""


def cue(word: str) -> float:
    """What a folded word says: −1…1, 0 for most. Regular endings are recognised."""
    if word in CUES:
        return CUES[word]
    for ending in _SUFFIXES:
        bare = word.removesuffix(ending)
        if bare != word:
            for root in (bare, bare + "e", bare[:-1] if bare[-2:-1] == bare[-1:] else bare):
                if root in CUES:
                    return CUES[root]
    return 0.0


def clauses(text: str) -> list[list[str]]:
    """The words of each clause of `text`, folded."""
    return [words for part in CLAUSE.split(fold(text[:TEXT_LEN_MAX])) if (words := [w.replace("’", "'") for w in _WORD.findall(part)])]


def stance(text: str) -> float:
    """How well `text` speaks of its subject: −1 (a warning) … 1 (a recommendation); 0 where it says neither."""
    return math.tanh(sum(_clause(words) for words in clauses(text)))


def remedy(text: str) -> tuple[str, str]:
    """`text` in two: what went wrong, and what it says to do about it (empty where it names no remedy)."""
    parts = REMEDY.split(text, maxsplit=1)
    return (parts[0], parts[1]) if len(parts) == 2 else (text, "")


def stance_towards(text: str, subject: str, nearness: Callable[[str, str], float]) -> float:
    """How well `text` speaks of doing `subject`. A lesson that names a remedy ("… Fix: …") recommends what is nearer to the
    remedy than to what went wrong, however ill it speaks of the latter.
    """
    wrong, cure = remedy(text)
    if cure and nearness(cure, subject) >= max(nearness(wrong, subject), REMEDY_NEARNESS_MIN):
        return math.tanh(1.0 + max(0.0, sum(_clause(words) for words in clauses(cure))))
    return stance(text)


def stance_on(text: str, subject: frozenset[str]) -> float:
    """The stance of only those clauses of `text` that have one of the terms `subject`."""
    return math.tanh(sum(_clause(words) for words in clauses(text) if subject.intersection(map(stem, words))))


def _clause(words: list[str]) -> float:
    total = 0.0
    turned: set[int] = set()
    for i, word in enumerate(words):
        if word in NEGATIONS:
            ahead = [j for j in range(i + 1, min(len(words), i + 1 + NEGATION_REACH)) if cue(words[j])]
            if ahead:
                turned.update(ahead[:1])
            elif _prohibits(words, i):
                total -= 1.0
    return total + sum(-cue(w) if i in turned else cue(w) for i, w in enumerate(words))


def _prohibits(words: list[str], i: int) -> bool:
    beside = {*words[max(0, i - 1) : i], *words[i + 1 : i + 2]}
    return words[i] in PROHIBITIONS or (words[i] in {"not", "no"} and bool(PROHIBITING_VERBS & beside))
