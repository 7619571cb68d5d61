"""What the A2A conformance kit expects of the agent behind the server: a behaviour for each prefix of a message's id."""

import asyncio
from typing import Any

from tests.tck.player import Part

FILE = {"raw": "dGNr", "filename": "output.txt", "mediaType": "text/plain"}
FILE_URL = {"url": "https://example.com/output.txt", "filename": "output.txt", "mediaType": "text/plain"}
LONG_S = 4.0
"""Twice the time that the kit waits for a stream."""

ARTIFACTS: dict[str, dict[str, Any]] = {
    "tck-artifact-text": {"text": "Generated text content"},
    "tck-artifact-file-url": FILE_URL,
    "tck-artifact-file": FILE,
    "tck-artifact-data": {"data": {"key": "value", "count": 42}},
    "tck-stream-001": {"text": "Stream hello from TCK"},
    "tck-stream-003": {"text": "Stream task lifecycle"},
    "tck-stream-ordering-001": {"text": "Ordered output"},
    "tck-stream-artifact-text": {"text": "Streamed text content"},
    "tck-stream-artifact-file": FILE,
}
"""Those that give one artifact and are done."""


async def play(part: Part) -> None:
    """Do what each message asks for, until the task has ended."""
    while await _asks_for_more(part, (await part.messages.get()).get("messageId", "")):
        pass


async def _asks_for_more(part: Part, ident: str) -> bool:
    """Play one message; whether another is waited for."""
    if ident.startswith("tck-input-required"):
        await part.ask(message="Tell me more")
        return True
    if artifact := next((a for prefix, a in ARTIFACTS.items() if ident.startswith(prefix)), None):
        await part.working()
        await part.artifact("result", artifact)
        await part.done()
    elif ident.startswith("tck-stream-artifact-chunked"):
        await part.working()
        await part.artifact("result", {"text": "chunk-1 "}, append=True)
        await part.artifact("result", {"text": "chunk-2"}, append=True, last=True)
        await part.done()
    elif ident.startswith("tck-message-response"):
        await part.done(message={"parts": [{"text": "Direct message response"}]})
    elif ident.startswith("tck-reject-task"):
        await part.fail("rejected", "rejected")
    elif ident.startswith("test-resubscribe-message-id"):
        await part.working()
        await asyncio.sleep(LONG_S)
        await part.done()
    elif ident.startswith("tck-complete-task"):
        await part.done("Hello from TCK")
    else:
        await part.done(f"Unhandled messageId prefix: {ident}")
    return False
