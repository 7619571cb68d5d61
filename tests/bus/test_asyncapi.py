import json
from typing import Any

import jsonschema
import msgspec
import pytest

from bus import asyncapi
from bus.subjects import TABLE


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return json.loads(msgspec.json.encode(asyncapi.document("1.2.3")))


def refs(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [v for k, v in node.items() if k == "$ref"] + [r for v in node.values() for r in refs(v)]
    return [r for v in node for r in refs(v)] if isinstance(node, list) else []


class TestDocument:
    def test_it_says_what_it_is(self, document: dict[str, Any]):
        assert document["asyncapi"] == "3.0.0"
        assert document["info"]["version"] == "1.2.3"

    def test_every_row_has_a_channel_with_its_subject(self, document: dict[str, Any]):
        addresses = [channel["address"] for channel in document["channels"].values() if channel["address"] is not None]
        assert sorted(addresses) == sorted(row.pattern for row in TABLE)

    def test_every_question_has_its_reply(self, document: dict[str, Any]):
        for row in TABLE:
            operation = document["operations"][row.name.replace(".", "-")]
            assert ("reply" in operation) == (row.reply is not None)

    def test_every_token_of_a_subject_is_a_parameter(self, document: dict[str, Any]):
        for channel in document["channels"].values():
            tokens = {part[1:-1] for part in (channel["address"] or "").split(".") if part.startswith("{")}
            assert set(channel.get("parameters", {})) == tokens

    def test_every_reference_leads_somewhere(self, document: dict[str, Any]):
        for ref in refs(document):
            node = document
            for part in ref.removeprefix("#/").split("/"):
                node = node[part]

    def test_every_schema_is_valid_json_schema(self, document: dict[str, Any]):
        for schema in document["components"]["schemas"].values():
            jsonschema.Draft202012Validator.check_schema(schema)
