"""The AsyncAPI 3.0 document of the bus, made from the table of subjects; the schemas are msgspec's own."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from bus.subjects import TABLE, Subject
from schemas.problem import Problem

REF = "#/components/schemas/{name}"
TOKEN = re.compile(r"\{(\w+)\}")
DESCRIPTION = """\
Bodies are plain JSON; every header is optional for a publisher. Unknown fields are ignored. A question is answered on
its reply subject, or refused with the headers `Nats-Service-Error-Code` and `Nats-Service-Error` and a problem document.
Subjects, streams and buckets may have a prefix, so that several meshes share a server."""
WHO = {
    "self": "the agent whose name stands in the subject",
    "mesh": "the built-in agents",
    "any": "anyone, under their own name",
    "memory": "the memory actor",
    "actors": "the built-in agents and the memory actor",
    "operator": "the operator",
    "server": "the NATS server",
}
HEADERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "Nats-Msg-Id": {"type": "string", "description": "The event's id; without it one is derived from the log."},
        "traceparent": {"type": "string", "description": "W3C trace context."},
        "Cerebro-Via": {"type": "string", "description": "`gateway` where the gateway published for a caller of its own."},
    },
}


def document(version: str, rows: Iterable[Subject] = TABLE) -> dict[str, Any]:
    """The whole document; `version` is the release's."""
    rows = list(rows)
    _, schemas = msgspec.json.schema_components(list(dict.fromkeys(_types(rows))), ref_template=REF)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Cerebro bus", "version": version, "description": DESCRIPTION, "license": {"name": "Apache-2.0"}},
        "defaultContentType": "application/json",
        "servers": {"nats": {"host": "127.0.0.1:4222", "protocol": "nats", "description": "The address stands in the settings."}},
        "channels": {_key(row): _channel(row) for row in rows} | {_key(row) + "-reply": _reply_channel(row) for row in rows if row.reply},
        "operations": {_key(row): _operation(row) for row in rows},
        "components": {"schemas": schemas, "messages": _messages(rows)},
    }


def _types(rows: list[Subject]) -> Iterable[Any]:
    for row in rows:
        yield row.body
        if row.reply is not None:
            yield row.reply
    yield Problem


def _key(row: Subject) -> str:
    return row.name.replace(".", "-")


def _channel(row: Subject) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": row.pattern,
        "description": f"{row.doc} Published by {WHO[row.by.value]}."
        + (" The gateway may publish it for its callers." if row.gateway else "")
        + (" The built-in agents may publish it for an agent that they brought in." if row.guest else "")
        + (" It belongs to another protocol, and never has a prefix." if row.foreign else ""),
        "messages": {"message": {"$ref": f"#/components/messages/{_key(row)}"}},
    }
    if tokens := TOKEN.findall(row.pattern):
        channel["parameters"] = {token: {"description": f"A subject token: 1–63 of a-z 0-9 - _ (the {token})."} for token in tokens}
    if row.answered_by is not None:
        channel["description"] += f" Answered by {WHO[row.answered_by.value]}."
    if row.stream:
        channel["x-nats-stream"] = row.stream
    return channel


def _reply_channel(row: Subject) -> dict[str, Any]:
    refs = {name: {"$ref": f"#/components/messages/{_key(row)}-{name}"} for name in ("reply", "problem")}
    return {"address": None, "description": f"The answers to {row.name}.", "messages": refs}


def _operation(row: Subject) -> dict[str, Any]:
    channel = {"$ref": f"#/channels/{_key(row)}"}
    operation: dict[str, Any] = {"action": "send", "channel": channel, "messages": [{"$ref": f"#/channels/{_key(row)}/messages/message"}]}
    if row.reply is not None:
        reply = f"#/channels/{_key(row)}-reply"
        operation["reply"] = {
            "address": {"location": "$message.header#/reply"},
            "channel": {"$ref": reply},
            "messages": [{"$ref": f"{reply}/messages/reply"}, {"$ref": f"{reply}/messages/problem"}],
        }
    return operation


def _messages(rows: list[Subject]) -> dict[str, Any]:
    messages: dict[str, Any] = {}
    for row in rows:
        headers = {"headers": HEADERS} if row.stream else {}
        messages[_key(row)] = {"name": row.name, "title": row.doc.split(":")[0], "payload": _schema(row.body), **headers}
        if row.reply is not None:
            messages[f"{_key(row)}-reply"] = {"name": f"{row.name} reply", "payload": _schema(row.reply)}
            messages[f"{_key(row)}-problem"] = {"name": f"{row.name} problem", "payload": _schema(Problem)}
    return messages


def _schema(kind: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=REF)
    return schema
