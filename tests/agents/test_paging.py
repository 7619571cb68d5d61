"""Pages of what an agent has folded."""

import pytest

from agents.paging import page
from bus.errors import Refused

ITEMS = [(n, f"item {n}") for n in range(10, 0, -1)]


def test_pages_join_to_the_whole_without_gap_or_overlap() -> None:
    found, cursor = page(ITEMS, None, 3)
    pages = [found]
    while cursor:
        found, cursor = page(ITEMS, cursor, 3)
        pages.append(found)
    assert [text for found in pages for text in found] == [text for _, text in ITEMS]


def test_the_last_page_has_no_cursor() -> None:
    assert page(ITEMS, None, 10)[1] is None


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9" * 30, "٣"])
def test_a_cursor_that_is_none_of_ours_is_refused(cursor: str) -> None:
    with pytest.raises(Refused, match="cursor"):
        page(ITEMS, cursor, 3)
