"""What of an episode is indexed: its text, or else every string in its details; and labels, by which it is found too."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

LABEL_BREAKS: Final = str.maketrans("._-:/", "     ")
"""`consensus.vote` is one word to the text search; so is it indexed, and as two."""


def content(details: Mapping[str, Any]) -> str:
    """`text` where there is one, with `speaker: ` before it; else every string value, nested ones too, in order, a line each."""
    text, speaker = details.get("text"), details.get("speaker")
    if isinstance(text, str) and text:
        return f"{speaker}: {text}" if isinstance(speaker, str) and speaker else text
    return "\n".join(strings(details))


def strings(value: Any) -> list[str]:
    """Every string value in `value`, in the order they stand; keys are no values. Iterative: depth is the publisher's choice."""
    found: list[str] = []
    ahead: list[Any] = [value]
    while ahead:
        match ahead.pop():
            case str(text):
                found.append(text)
            case dict(inner):
                ahead.extend(reversed(list(inner.values())))
            case list(inner):
                ahead.extend(reversed(inner))
    return found


def labels(action_type: str, tags: Sequence[str]) -> str:
    """The action type and the tags as words, each as written and broken at its dots, dashes and underscores."""
    plain = " ".join((action_type, *tags))
    broken = plain.translate(LABEL_BREAKS)
    return plain if broken == plain else f"{plain} {broken}"
