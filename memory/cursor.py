"""Cursors of lists, newest first: the place after the last row shown, opaque to callers."""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from bus.errors import bad_request

RowId = Annotated[int, Meta(ge=1, le=2**63 - 1)]
"""The id of a row with a number; concepts have a `Uuid`."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)


def write_cursor(moment: datetime, ident: int | str) -> str:
    """The cursor after the row at `moment` (to the microsecond) with this id."""
    return base64.urlsafe_b64encode(msgspec.json.encode([(moment - EPOCH) // MICROSECOND, ident])).decode().rstrip("=")


def read_cursor(cursor: str, ident: Any) -> tuple[datetime, Any]:
    """What `write_cursor` was given; `ident` is the type of the list's ids. Raises a 400 that names `$.before`."""
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        microseconds, key = msgspec.json.decode(data, type=tuple[int, Any])
        return EPOCH + timedelta(microseconds=microseconds), msgspec.convert(key, ident)
    except (binascii.Error, ValueError, OverflowError, msgspec.MsgspecError) as e:
        raise bad_request("this is no cursor that a list has returned as `next_before`", "$.before") from e
