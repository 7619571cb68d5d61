"""The scalar words every protocol shares: subject tokens, bounded numbers, times, and the base of all bodies."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

TEXT_LEN_MAX = 500_000
"""Longest free text in one field, in characters; the 1 MiB body limit stands above it."""
TITLE_LEN_MAX = 500
"""Longest title, topic or name, in characters."""
LIST_LEN_MAX = 1_000
"""Most items in one list field of a body (tags, evidence, electorate, …)."""
ID_LEN_MAX = 255
"""Longest id a client may choose, in characters (the width of `episodes.episode_id`)."""
PAGE_LEN_MAX = 200
"""Most rows of one list page."""

Token = Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,63}$", description="A subject token: 1–63 of a-z 0-9 - _")]
EventId = Annotated[str, Meta(min_length=1, max_length=ID_LEN_MAX)]
Title = Annotated[str, Meta(min_length=1, max_length=TITLE_LEN_MAX)]
Text = Annotated[str, Meta(max_length=TEXT_LEN_MAX)]
Unit = Annotated[float, Meta(ge=0, le=1)]
Signed = Annotated[float, Meta(ge=-1, le=1)]
Tags = Annotated[list[Annotated[str, Meta(min_length=1, max_length=ID_LEN_MAX)]], Meta(max_length=LIST_LEN_MAX)]
EventIds = Annotated[list[EventId], Meta(max_length=LIST_LEN_MAX)]
Receipt = EventIds | msgspec.UnsetType
"""Ids of memories that were before whoever judged or worked; left out of the message where nobody said."""
Tokens = Annotated[list[Token], Meta(max_length=LIST_LEN_MAX)]
PageSize = Annotated[int, Meta(ge=1, le=PAGE_LEN_MAX)]
Time = Annotated[datetime, Meta(tz=True)]


TIME_MIN = datetime(1, 1, 2, tzinfo=UTC)
"""Earliest time that a message may name; the first day is left out because it may lie in the year 0 elsewhere on earth."""
TIME_MAX = datetime(9999, 12, 30, tzinfo=UTC)
"""Latest time that a message may name; the end of the last year stands for infinity in PostgreSQL's client."""


def refuse_far_times(**times: object) -> None:
    """Raises ValueError, which names the field, for a time that PostgreSQL or Python could not give back. None and numbers are fine."""
    for name, moment in times.items():
        if isinstance(moment, datetime) and not TIME_MIN <= moment <= TIME_MAX:
            raise ValueError(f"{name} must lie between {rfc3339(TIME_MIN)} and {rfc3339(TIME_MAX)}")


def refuse_no_time(name: str, text: str) -> None:
    """Raises ValueError, which names the field, for a text that is no time with its zone, or one too far away."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} must be an RFC 3339 time") from None
    if moment.tzinfo is None:
        raise ValueError(f"{name} must have a time zone")
    refuse_far_times(**{name: moment})


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What every message body descends from: immutable, fields by name (both said again by each: they are not inherited)."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What every answer descends from; absent optional fields are left out where a Struct says `omit_defaults`."""


def rfc3339(moment: datetime) -> str:
    """`moment` as RFC 3339 UTC with microseconds, the one form of time in our answers."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"  # strftime writes the year 1 as `1`


def epoch(seconds: float) -> datetime:
    """Seconds since 1970 as a UTC time."""
    return datetime.fromtimestamp(seconds, UTC)
