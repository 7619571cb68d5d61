"""Messages in plain words, as they travel in a task: `input.message`, and the `message` of its result, each with `parts`.

A part has `text`, `data` (any JSON), `raw` (base64, with `filename`) or `url`; other fields are ignored.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.synadia import Attachment

FILENAME = "attachment"
"""The name of a file that came without one."""


def parts_of(message: Any) -> list[dict[str, Any]] | None:
    """The parts of a message, or None where this is none."""
    parts = message.get("parts") if isinstance(message, Mapping) else None
    return [p for p in parts if isinstance(p, dict)] if isinstance(parts, list) else None


def text_of(parts: list[dict[str, Any]]) -> str:
    """What the parts say in words; data is told as JSON."""
    return "\n".join(filter(None, (_told(part) for part in parts)))


def _told(part: dict[str, Any]) -> str:
    if isinstance(text := part.get("text"), str):
        return text
    if "data" in part:
        return as_text(part["data"])
    return str(part["url"]) if "url" in part else ""


def as_text(value: Any) -> str:
    """Any JSON value in words: a string as it is, nothing as nothing, all else as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def data_of(parts: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The JSON object that the message is: its one `data` part, or its whole text."""
    found = [part["data"] for part in parts if "data" in part]
    if len(found) == 1 and isinstance(found[0], dict):
        return found[0]
    text = text_of(parts).strip()
    if found or not text.startswith("{"):
        return None
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def files_of(parts: list[dict[str, Any]]) -> list[Attachment]:
    """The files among the parts."""
    return [
        Attachment(filename=str(part.get("filename") or FILENAME)[:255], content=part["raw"])
        for part in parts
        if isinstance(part.get("raw"), str)
    ]


def message(text: str, files: list[Attachment] | None = None) -> dict[str, Any]:
    """A message that says `text`, with files."""
    said: list[dict[str, Any]] = [{"text": text}] if text else []
    return {"parts": [*said, *({"raw": f.content, "filename": f.filename} for f in files or [])]}
