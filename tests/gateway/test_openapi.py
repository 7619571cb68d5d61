import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from gateway import openapi
from gateway.routes import ROUTES

SCHEMA = json.loads((Path(__file__).parent / "data" / "openapi-3.1.schema.json").read_text())


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return json.loads(msgspec.json.encode(openapi.document(ROUTES)))


def refs(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [v for k, v in node.items() if k == "$ref"] + [r for v in node.values() for r in refs(v)]
    return [r for v in node for r in refs(v)] if isinstance(node, list) else []


class TestDocument:
    def test_it_is_valid_openapi(self, document: dict[str, Any]):
        jsonschema.Draft202012Validator(SCHEMA).validate(document)

    def test_every_schema_is_valid_json_schema(self, document: dict[str, Any]):
        for schema in document["components"]["schemas"].values():
            jsonschema.Draft202012Validator.check_schema(schema)

    def test_every_reference_leads_somewhere(self, document: dict[str, Any]):
        for ref in refs(document):
            node = document
            for part in ref.removeprefix("#/").split("/"):
                node = node[part]

    def test_every_route_is_in_it_once(self, document: dict[str, Any]):
        found = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
        assert found == {(route.method, route.path) for route in ROUTES}
        names = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
        assert len(names) == len(set(names)) == len(ROUTES)

    def test_every_operation_says_what_it_does(self, document: dict[str, Any]):
        for methods in document["paths"].values():
            for operation in methods.values():
                assert operation["summary"]
                assert operation["description"]

    def test_requests_say_that_unknown_fields_are_refused(self, document: dict[str, Any]):
        assert document["components"]["schemas"]["ProposalRequest"]["additionalProperties"] is False
        assert document["components"]["schemas"]["Subtask"]["additionalProperties"] is False

    def test_words_between_agents_are_not_in_it(self, document: dict[str, Any]):
        assert "parent" not in document["components"]["schemas"]["TaskRequest"]["properties"]

    @pytest.mark.parametrize("route", [r for r in ROUTES if r.example], ids=lambda r: r.name)
    def test_every_example_is_a_good_request(self, route: Any):
        assert msgspec.convert(route.example, route.body)
