"""docs/rebuild.md: its curl lines are answered as it shows."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import httpx

PAGE = Path(__file__).parents[2] / "docs" / "rebuild.md"
PLACE = "1234"
"""What stands on the page for the place of the decision."""


def steps() -> list[tuple[list[str], Any]]:
    """Each curl line with the answer that stands under its block, if one does."""
    blocks = re.findall(r"```(sh|json)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    found: list[tuple[list[str], Any]] = []
    for kind, text in blocks:
        if kind == "json":
            found[-1] = (found[-1][0], json.loads(text))
        else:
            lines = re.findall(r"^curl .*?(?<!\\)$", text, re.MULTILINE | re.DOTALL)
            found += [(shlex.split(line.replace("\\\n", " ")), None) for line in lines]
    return found


def test_what_it_knew_when_it_decided_is_found_as_the_page_says(mesh: dict[str, Any]) -> None:
    place = PLACE
    walked = steps()
    assert len(walked) == 5
    for words, shown in walked:
        url = next(w for w in words if w.startswith("http")).replace("http://127.0.0.1:8001", mesh["http"])
        body = words[words.index("-d") + 1].replace(PLACE, place)
        answer = httpx.post(url, content=body, headers={"content-type": "application/json"}, timeout=40, trust_env=False)
        assert answer.status_code in {200, 201}, answer.text
        if shown is None:
            continue
        if "decided_at_seq" in shown:
            place = str(answer.json()["decided_at_seq"])
            assert answer.json()["status"] in {"accepted", "rejected", "expired"}
        else:
            assert kinds(answer.json()) == kinds(shown), (words, answer.text)


def kinds(answer: Any) -> list[str]:
    return sorted(hit["action_type"] for hit in answer["results"])
