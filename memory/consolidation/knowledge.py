"""What kind of knowledge a concept is: each source votes by its cues; most votes win, ties in the order of the table.

| type         | a source is of this type if                                                                        |
| ------------ | -------------------------------------------------------------------------------------------------- |
| `failure`    | its outcome is `failure`, or it names an error, an exception, a crash, something that failed or broke |
| `decision`   | it says that something was decided, agreed, chosen, approved or rejected, or is of such an action     |
| `preference` | it says that somebody prefers, likes, loves, hates or would rather                                   |
| `procedure`  | it tells steps: how to, first … then, `run …`, make sure, always, never, must                          |
| `fact`       | it claims what something is (see claims.py)                                                         |
| `event`      | anything else: it happened                                                                          |
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from memory.consolidation.claims import claims
from memory.consolidation.source import Source

FAILED_OUTCOMES: Final = frozenset({"failure", "failed", "error"})
CUES: Final = {
    "failure": re.compile(
        r"\b(?:\w*(?:Error|Exception)|traceback|exceptions?|fail(?:ed|s|ure|ures|ing)?|crash(?:ed|es)?|broke(?:n)?|outage|timed out)\b",
        re.IGNORECASE,
    ),
    "decision": re.compile(
        r"\b(?:decid(?:ed|e)|decision|agreed (?:to|on|that)|chose|chosen|approved|rejected|settled on|will go with|voted)\b", re.IGNORECASE
    ),
    "preference": re.compile(
        r"\b(?:prefers?|preferred|favou?rites?|likes?|loves?|enjoys?|hates?|dislikes?|(?:would|'d) rather)\b", re.IGNORECASE
    ),
    "procedure": re.compile(
        r"\b(?:how to|first\b.{1,200}\bthen|step \d|steps?:|make sure|(?:always|never) \w+|must|in order to|run `)",
        re.IGNORECASE | re.DOTALL,
    ),
}
FACT: Final = "fact"
EVENT: Final = "event"
TYPES: Final = (*CUES, FACT, EVENT)
"""Every type, in the order in which ties are broken."""


def knowledge_type(sources: Sequence[Source]) -> str:
    """The type that most of `sources` are of."""
    votes = Counter(_type(source) for source in sources)
    return max(TYPES, key=lambda name: (votes[name], -TYPES.index(name)))


def _type(source: Source) -> str:
    if source.outcome.lower() in FAILED_OUTCOMES:
        return "failure"
    text = f"{source.action_type}\n{source.text}"
    for name, cue in CUES.items():
        if cue.search(text):
            return name
    is_fact = any(not claim.about.startswith("said") for claim in claims(source.text))
    return FACT if is_fact else EVENT
