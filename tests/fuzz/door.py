"""Schemathesis against the door: the OpenAPI document says what may be asked and answered, and it tries both sides of that.

It runs as a process of its own. To the document are added links, from an id in one answer to the paths that take it, so that
its stateful phase makes things and then reads, changes and deletes those.
"""

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec

LINKS: tuple[tuple[str, str, str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "post",
        "/memory/action",
        "episode_id",
        (
            ("get", "/memory/episodic/{episode_id}", "episode_id"),
            ("delete", "/memory/episodic/{episode_id}", "episode_id"),
            ("get", "/memory/graph/{id}", "id"),
        ),
    ),
    (
        "post",
        "/memory/semantic",
        "concept_id",
        (("get", "/memory/semantic/{concept_id}", "concept_id"), ("get", "/memory/graph/{id}", "id")),
    ),
    ("post", "/neural-mesh/cross-learning", "lesson_id", (("get", "/neural-mesh/cross-learning/{lesson_id}", "lesson_id"),)),
    (
        "post",
        "/neural-mesh/consensus",
        "proposal_id",
        (("get", "/neural-mesh/consensus/{proposal_id}", "proposal_id"), ("get", "/memory/graph/{id}", "id")),
    ),
    (
        "post",
        "/neural-mesh/task-distribute",
        "task_id",
        (("get", "/neural-mesh/tasks/{task_id}", "task_id"), ("delete", "/neural-mesh/tasks/{task_id}", "task_id")),
    ),
    (
        "put",
        "/memory/working/{session_id}/{key}",
        "key",
        (("get", "/memory/working/{session_id}/{key}", "key"), ("delete", "/memory/working/{session_id}/{key}", "key")),
    ),
)
"""Method, path and field of the answer; then who takes it: method, path and parameter."""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
)
"""Those that hold for us; docs/fuzzing.md says why the others do not."""
REQUEST_S = 900.0
"""Longest wait for one answer; a forgetting is long on a busy machine."""
GRACE_S = 1_000.0
"""How long after its budget it may still be at work."""
LEFT_OUT = r"^/events$|^/a2a/"
"""Event streams do not end; A2A has its own conformance kit, and its words are not in this document."""


class SchemaRun(msgspec.Struct, frozen=True):
    """How many cases it tried, and what it found wrong."""

    cases: int
    failures: int
    said: str


def linked(document: dict[str, Any]) -> dict[str, Any]:
    """The document with links in it."""
    for method, path, field, takers in LINKS:
        for status, response in document["paths"][path][method]["responses"].items():
            if status.startswith("2"):
                response["links"] = {
                    f"{verb} {taker}": {
                        "operationId": document["paths"][taker][verb]["operationId"],
                        "parameters": _filled(taker, field, parameter),
                    }
                    for verb, taker, parameter in takers
                }
    return document


def _filled(taker: str, field: str, parameter: str) -> dict[str, str]:
    others = [name for name in re.findall(r"\{(\w+)\}", taker) if name != parameter]
    return {parameter: f"$response.body#/{field}"} | {name: f"$response.body#/{name}" for name in others}


async def schemathesis(http_url: str, folder: Path, seed: int, budget_s: float) -> SchemaRun:
    """Let it try for `budget_s`; its own words are in `folder/schemathesis.out`."""
    async with httpx.AsyncClient(base_url=http_url, trust_env=False, timeout=REQUEST_S) as http:
        document = linked((await http.get("/openapi.json")).json())
    described, report, words = folder / "openapi.json", folder / "schemathesis.ndjson", folder / "schemathesis.out"
    described.write_bytes(msgspec.json.encode(document))
    options = {
        "url": http_url,
        "seed": seed,
        "max-time": int(budget_s),
        "request-timeout": REQUEST_S,
        "phases": "examples,coverage,fuzzing,stateful",
        "checks": ",".join(CHECKS),
        "exclude-path-regex": LEFT_OUT,
        "suppress-health-check": "all",
        "generation-database": "none",
        "report": "ndjson",
        "report-ndjson-path": report,
        "warnings": "off",
    }
    command = [sys.executable, "-m", "schemathesis.cli", "run", described, "--no-color", "--continue-on-failure", "--no-shrink"]
    with words.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *map(str, command), *(f"--{name}={value}" for name, value in options.items()), stdout=out, stderr=out, cwd=folder
        )
        try:
            async with asyncio.timeout(budget_s + GRACE_S):
                status = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    said = words.read_text(errors="replace")
    return SchemaRun(
        cases=_cases(report), failures=0 if status == 0 else max(1, len(re.findall(r"^_{5,} ", said, re.MULTILINE))), said=said
    )


def _cases(report: Path) -> int:
    """How many cases the report tells of."""
    return sum(_cases_of(line) for line in report.read_bytes().splitlines())


def _cases_of(line: bytes) -> int:
    (body,) = msgspec.json.decode(line).values()
    return len(body.get("recorder", {}).get("cases", ())) if isinstance(body, dict) else 0
