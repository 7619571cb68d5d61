"""Cursors of searches: they come back as they went, and nothing else is taken for one."""

import base64

import pytest

from bus.errors import Refused
from memory.pages import Page, read_page, write_page
from memory.search import Search
from schemas.memory import SearchRequest


class TestPages:
    @pytest.mark.parametrize("page", [Page(7, 200, 0, (-0.1 - 0.2, 3, "event-1", "episode")), Page(7, 800, 200, None)])
    def test_a_cursor_comes_back_as_it_went(self, page: Page) -> None:
        assert read_page(write_page(page)) == page

    @pytest.mark.parametrize(
        "cursor",
        ["", "x", "é", "[]", *(base64.urlsafe_b64encode(b).decode() for b in (b"[]", b"\xff", b"[7, 0, 0, null]", b"[-1, 1, 0, null]"))],
    )
    def test_anything_else_is_refused_by_name(self, cursor: str) -> None:
        with pytest.raises(Refused) as refused:
            read_page(cursor)
        problem = refused.value.problem()
        assert (problem.status, problem.errors[0].path) == (400, "$.before")

    async def test_a_cursor_deeper_than_this_memory_looks_is_refused(self, search: Search) -> None:
        with pytest.raises(Refused, match="looked deeper"):
            await search.find(SearchRequest(query="alpha", before=write_page(Page(1, 2_000_000, 0, None))))
