"""Pages of a search: the cursor after a hit. It holds the log position and the depth of the arms, so that the next page is cut
from the same ranking whatever has come since.
"""

import base64
import binascii
from typing import Annotated

import msgspec
from msgspec import Meta

from bus.errors import bad_request
from memory.fusion import Place

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Page(msgspec.Struct, frozen=True, array_like=True):
    """Where a page begins: in the ranking as of log position `pin` (None: now) with arms of `depth`, after `place` (None: first).

    `passed` is the depth of the ranking whose hits have all been shown already, when the arms have been let down further.
    """

    pin: Count | None
    depth: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    passed: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    place: Place | None


def write_page(page: Page) -> str:
    """The opaque `next_before` of a page before this one."""
    return base64.urlsafe_b64encode(msgspec.json.encode(page)).decode().rstrip("=")


def read_page(cursor: str) -> Page:
    """What `write_page` was given. Raises a 400 that names `$.before`."""
    try:
        return msgspec.json.decode(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True), type=Page)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as e:
        raise bad_request("this is no cursor that a search has returned as `next_before`", path="$.before") from e
