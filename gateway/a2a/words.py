"""The words of both sides: parts and messages of A2A as JSON on the bus, and as protobuf at the door."""

from typing import Any

import msgspec
from a2a.types import a2a_pb2 as pb
from google.protobuf import json_format
from google.protobuf.message import Message

MESSAGE = "message"
"""The field of a task's input that holds what its client said."""
TITLE_LEN_MAX = 200
"""Characters of a message's first text that become the title of its task."""
DESCRIPTION_LEN_MAX = 10_000
"""Characters of a message's texts that describe its task, so that a skill can be found that fits."""
JSON = "application/json"
UNFIT = (json_format.ParseError, OverflowError, RecursionError, TypeError, AttributeError)
"""What protobuf raises for JSON that it cannot hold: another form, a number beyond a double, nesting beyond its depth, no object."""


def as_json(message: Message) -> dict[str, Any]:
    """ProtoJSON: camelCase, enums by name, times in RFC 3339."""
    told: dict[str, Any] = json_format.MessageToDict(message)
    return told


def parts_of(told: Any) -> list[pb.Part]:
    """Parts that an agent published as JSON. What is no part of A2A is carried as data, so that nothing is lost."""
    return [_part(p) for p in told if p] if isinstance(told, list) else []


def _part(told: Any) -> pb.Part:
    try:
        part: pb.Part = json_format.ParseDict(told, pb.Part(), ignore_unknown_fields=True)
    except UNFIT:
        return data_part(told)
    return part if part.WhichOneof("content") else data_part(told)


def text_part(text: str) -> pb.Part:
    return pb.Part(text=text, media_type="text/plain")


def data_part(value: Any) -> pb.Part:
    """Any JSON value as a part; as its JSON text where protobuf cannot hold it."""
    part = pb.Part(media_type=JSON)
    try:
        json_format.ParseDict(value, part.data)
    except UNFIT:
        return pb.Part(text=msgspec.json.encode(value).decode(), media_type=JSON)
    return part


def said_by_agent(task: pb.Task, message_id: str, parts: list[pb.Part]) -> pb.Message:
    return pb.Message(message_id=message_id, context_id=task.context_id, task_id=task.id, role=pb.ROLE_AGENT, parts=parts)


def said_by_client(task: pb.Task, message_id: str, told: Any) -> pb.Message:
    """What a client said, as it stands in the log: a message of A2A, or whatever another caller of the mesh sent instead."""
    if isinstance(told, dict):
        try:
            message: pb.Message = json_format.ParseDict(told, pb.Message(), ignore_unknown_fields=True)
        except UNFIT:
            message = pb.Message()
        if message.parts:
            message.task_id, message.context_id = task.id, task.context_id
            message.message_id = message.message_id or message_id
            message.role = message.role or pb.ROLE_USER
            return message
    part = text_part(told) if isinstance(told, str) else data_part(told)
    return pb.Message(message_id=message_id, context_id=task.context_id, task_id=task.id, role=pb.ROLE_USER, parts=[part])


def title_and_description(message: pb.Message) -> tuple[str, str]:
    """What a task is called and what it is about, from the texts of its message."""
    text = "\n".join(p.text for p in message.parts if p.text.strip())
    first = text.strip().partition("\n")[0][:TITLE_LEN_MAX].strip()
    return first or "a message by A2A", text[:DESCRIPTION_LEN_MAX]


def fields_of(message: pb.Message) -> dict[str, Any]:
    """What the data parts of a message say field by field, for skills that take fields; a later part wins."""
    fields: dict[str, Any] = {}
    for part in message.parts:
        if part.WhichOneof("content") == "data":
            value = json_format.MessageToDict(part.data)
            fields |= value if isinstance(value, dict) else {}
    return fields
