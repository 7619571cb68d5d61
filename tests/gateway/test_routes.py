"""Every route of the table, asked wrongly in every way: the answer is the right problem document, and never a 500."""

import re
from typing import Any

import httpx
import pytest

from gateway.route import Area, Route
from gateway.routes import ROUTES
from tests.gateway.conftest import Door

pytestmark = pytest.mark.asyncio(loop_scope="module")

OURS = [r for r in ROUTES if r.area is not Area.A2A]
"""Those of our own contract; how A2A has it, its own tests say."""
WITH_BODY = [r for r in OURS if r.body is not None]
WITH_PATH = [r for r in OURS if r.path_type is not None]


def address(route: Route, value: str = "x") -> str:
    return re.sub(r"\{\w+\}", value, route.path)


def by_name(route: Route) -> str:
    return route.name


def is_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert told["status"] == status
    assert {"type", "title", "status", "detail"} <= told.keys()
    return told


def a_request(route: Route) -> dict[str, Any]:
    """A good body, as far as types go."""
    if route.example:
        return dict(route.example)
    return {"action_type": "a"}


class TestAnyRoute:
    @pytest.mark.parametrize("path", sorted({r.path for r in ROUTES}))
    async def test_a_method_it_does_not_have_is_405_and_names_those_it_has(self, lasting_door: Door, path: str):
        route = next(r for r in ROUTES if r.path == path)
        response = await lasting_door.http.patch(address(route))
        is_problem(response, 405)
        assert {r.method for r in ROUTES if r.path == path} <= set(response.headers["allow"].split(", "))

    @pytest.mark.parametrize("path", sorted({r.path for r in ROUTES}))
    async def test_options_names_the_methods(self, lasting_door: Door, path: str):
        response = await lasting_door.http.options(address(next(r for r in ROUTES if r.path == path)))
        assert (response.status_code, response.content) == (204, b"")
        assert "OPTIONS" in response.headers["allow"]

    @pytest.mark.parametrize("route", [r for r in OURS if r.area is not Area.OPERATIONS], ids=by_name)
    async def test_a_parameter_it_does_not_have_is_400(self, lasting_door: Door, route: Route):
        body = [a_request(route)] if route.batch else a_request(route)
        response = await lasting_door.http.request(route.method, address(route) + "?nonsense=1", json=body if route.body else None)
        assert is_problem(response, 400)["errors"][0]["path"] == "$.nonsense"

    @pytest.mark.parametrize("route", [r for r in OURS if r.area is not Area.OPERATIONS and r.raw is None], ids=by_name)
    async def test_without_an_actor_it_is_503_with_a_time_to_come_back_or_stored(self, lasting_door: Door, route: Route):
        body = [a_request(route)] if route.batch else a_request(route)
        response = await lasting_door.http.request(route.method, address(route), json=body if route.body else None)
        if response.status_code != 202:
            is_problem(response, 503)
            assert int(response.headers["retry-after"]) > 0


class TestAPathParameter:
    @pytest.mark.parametrize("route", WITH_PATH, ids=by_name)
    @pytest.mark.parametrize("value", ["%00", "%ff", "a" * 300])
    async def test_that_cannot_be_an_id_is_not_found_or_bad(self, lasting_door: Door, route: Route, value: str):
        body = a_request(route) if route.body else None
        response = await lasting_door.http.request(route.method, address(route, value), json=body)
        is_problem(response, 400 if route.method == "PUT" else 404)


class TestABody:
    @pytest.mark.parametrize("route", WITH_BODY, ids=by_name)
    async def test_of_another_type_is_415(self, lasting_door: Door, route: Route):
        for headers in ({"content-type": "text/plain"}, {}, {"content-type": "application/json; charset=latin-1"}):
            response = await lasting_door.http.request(route.method, address(route), content=b"{}", headers=headers)
            is_problem(response, 415)
        response = await lasting_door.http.request(
            route.method, address(route), content=b"{}", headers={"content-type": "application/json", "content-encoding": "gzip"}
        )
        is_problem(response, 415)

    @pytest.mark.parametrize("route", WITH_BODY, ids=by_name)
    async def test_with_an_unknown_field_is_400_and_the_field_named(self, lasting_door: Door, route: Route):
        body = {**a_request(route), "nonsense": 1}
        response = await lasting_door.http.request(route.method, address(route), json=[body] if route.batch else body)
        assert is_problem(response, 400)["errors"][0]["path"] == ("$[0].nonsense" if route.batch else "$.nonsense")

    @pytest.mark.parametrize("route", WITH_BODY, ids=by_name)
    async def test_of_wrong_types_is_400_and_the_field_named(self, lasting_door: Door, route: Route):
        item = route.body.__args__[0] if route.batch else route.body
        for name in item.__struct_fields__:
            if name in route.hidden:
                continue
            body = {**a_request(route), name: [[{}]]}
            response = await lasting_door.http.request(route.method, address(route), json=[body] if route.batch else body)
            assert f".{name}" in is_problem(response, 400)["errors"][0]["path"]

    @pytest.mark.parametrize("route", WITH_BODY, ids=by_name)
    async def test_with_nul_is_400_and_the_field_named(self, lasting_door: Door, route: Route):
        item = route.body.__args__[0] if route.batch else route.body
        name = next(n for n in item.__struct_fields__ if isinstance(a_request(route).get(n), str))
        body = {**a_request(route), name: "a\x00b"}
        response = await lasting_door.http.request(route.method, address(route), json=[body] if route.batch else body)
        assert f".{name}" in is_problem(response, 400)["errors"][0]["path"]

    @pytest.mark.parametrize("route", WITH_BODY, ids=by_name)
    @pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 50_000, b'{"a":' * 50_000, b"[]", b"null", b'"x"', b"1e999"])
    async def test_that_is_no_such_json_is_400(self, lasting_door: Door, route: Route, raw: bytes):
        response = await lasting_door.http.request(route.method, address(route), content=raw, headers={"content-type": "application/json"})
        is_problem(response, 400)

    @pytest.mark.parametrize("route", WITH_BODY, ids=by_name)
    async def test_that_is_too_large_is_413(self, lasting_door: Door, route: Route):
        size = lasting_door.settings.batch_bytes_max if route.batch else lasting_door.settings.body_bytes_max
        raw = b'{"x": "' + b"a" * size + b'"}'
        response = await lasting_door.http.request(route.method, address(route), content=raw, headers={"content-type": "application/json"})
        is_problem(response, 413)

    @pytest.mark.parametrize("route", WITH_BODY, ids=by_name)
    async def test_that_is_too_large_in_pieces_is_413(self, lasting_door: Door, route: Route):
        size = lasting_door.settings.batch_bytes_max if route.batch else lasting_door.settings.body_bytes_max

        async def pieces() -> Any:
            for _ in range(size // 65_536 + 2):
                yield b" " * 65_536

        response = await lasting_door.http.request(
            route.method, address(route), content=pieces(), headers={"content-type": "application/json"}
        )
        is_problem(response, 413)


class TestElsewhere:
    @pytest.mark.parametrize("path", ["/", "/nope", "/memory", "/memory/action/", "/docs/../settings.py", "//health", "/%2e%2e"])
    async def test_an_unknown_path_is_404(self, lasting_door: Door, path: str):
        is_problem(await lasting_door.http.post(path, content=b"{}"), 404)

    async def test_head_has_the_headers_of_get_and_no_body(self, lasting_door: Door):
        head, get = await lasting_door.http.head("/openapi.json"), await lasting_door.http.get("/openapi.json")
        assert head.content == b""
        assert head.headers["content-length"] == get.headers["content-length"]

    async def test_the_documents_are_those_of_the_tables(self, lasting_door: Door):
        assert (await lasting_door.http.get("/openapi.json")).json()["openapi"] == "3.1.0"
        assert (await lasting_door.http.get("/asyncapi.json")).json()["asyncapi"] == "3.0.0"

    async def test_the_docs_page_loads_nothing_from_elsewhere(self, lasting_door: Door):
        page = await lasting_door.http.get("/docs")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert assets
        for asset in assets:
            assert asset.startswith("/")
            assert (await lasting_door.http.get(asset)).status_code == 200

    async def test_the_docs_page_lists_every_route_where_scripts_do_not_run(self, lasting_door: Door):
        page = (await lasting_door.http.get("/docs")).text
        assert all(route.path in page for route in ROUTES)
