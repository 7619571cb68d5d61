"""What the README and the operator's commands promise, run as a user runs them."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import nats
import pytest

from bus.ids import uuid7
from tests.integration.launched import Up
from tests.integration.rest import client, eventually, get

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]


def cerebro(up: Up, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cerebro", *words, "--data", str(up.data)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_tour_walks_to_its_end(up: Up) -> None:
    done = cerebro(up, "tour")
    assert done.returncode == 0, done.stderr
    for step in ("Who is there", "A lesson", "A proposal", "An affect change", "A task", "What happened"):
        assert step in done.stdout
    assert "It cites the lesson of step 2" in done.stdout


def test_the_tour_says_how_to_start_a_mesh_where_none_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cerebro", "tour", "--data", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "make up" in done.stderr


def test_the_readme_shows_the_steps_of_the_tour(up: Up) -> None:
    shown = re.findall(r"^\d\. .*$", README, re.MULTILINE)
    assert shown == re.findall(r"^\d\. .*$", cerebro(up, "tour").stdout, re.MULTILINE)


def test_the_curl_lines_of_the_readme_are_answered(mesh: dict[str, Any]) -> None:
    lines = re.findall(r"^curl .*?(?<!\\)$", README, re.MULTILINE | re.DOTALL)
    assert lines
    for line in lines:
        words = shlex.split(line.replace("\\\n", " "))
        url = next(w for w in words if w.startswith("http")).replace("http://127.0.0.1:8001", mesh["http"])
        body = words[words.index("-d") + 1] if "-d" in words else None
        headers = {"content-type": "application/json"}
        method = "POST" if body else "GET"
        answer = httpx.request(method, url, content=body, headers=headers, timeout=30, trust_env=False)
        assert answer.status_code == 200, (line, answer.text)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


class TestDeadLetters:
    async def bury(self, mesh: dict[str, Any], subject: str, data: bytes) -> None:
        connection = await nats.connect(**mesh["credentials"])
        await connection.publish(subject, data)
        await connection.drain()

    def number(self, up: Up, needle: str) -> str | None:
        listed = cerebro(up, "dead", "list")
        assert listed.returncode == 0, listed.stderr
        return next((line.split()[0] for line in listed.stdout.splitlines() if needle in line), None)

    async def test_a_poison_message_is_listed_with_its_reason_and_shown_whole(self, up: Up, mesh: dict[str, Any]) -> None:
        agent = f"p{uuid7()[:8]}"
        await self.bury(mesh, f"mesh.learning.{agent}", b'{"topic": 5}')

        async def listed() -> str | None:
            return self.number(up, agent)

        shown = cerebro(up, "dead", "show", await eventually(listed))
        letter = json.loads(shown.stdout)
        assert letter["data"] == '{"topic": 5}'
        assert "$.topic" in letter["reason"]

    async def test_a_redriven_letter_is_the_same_event_and_no_letter_any_more(self, up: Up, mesh: dict[str, Any]) -> None:
        agent = f"r{uuid7()[:8]}"
        letter = {
            "reason": "the database refused it",
            "subject": f"memory.episode.{agent}",
            "stream_seq": 1,
            "delivered": 1,
            "headers": {"Nats-Msg-Id": f"event-of-{agent}"},
            "data": "eyJhY3Rpb25fdHlwZSI6ICJyZWRyaXZlbiJ9",
            "first_seen": "2026-01-01T00:00:00.000000Z",
        }
        await self.bury(mesh, "dead.MESH.memory", json.dumps(letter).encode())
        number = self.number(up, agent)
        assert number
        redriven = cerebro(up, "dead", "redrive", number)
        assert redriven.returncode == 0, redriven.stderr
        assert self.number(up, agent) is None
        async with client(mesh["http"]) as http:
            episode = await eventually(lambda: get(http, f"/memory/episodic/event-of-{agent}"))
        assert (episode["agent_id"], episode["action_type"]) == (agent, "redriven")

    @pytest.mark.parametrize("data", ["not base64", "Zg=", "häßlich", "Zm9v\n!"])
    async def test_a_letter_whose_data_is_no_base64_is_shown_as_it_is_and_cannot_be_redriven(
        self, up: Up, mesh: dict[str, Any], data: str
    ) -> None:
        agent = f"b{uuid7().replace('-', '')[-20:]}"
        letter = {
            "reason": "written by hand",
            "subject": f"memory.episode.{agent}",
            "stream_seq": 1,
            "delivered": 1,
            "headers": {},
            "data": data,
            "first_seen": "2026-01-01T00:00:00.000000Z",
        }
        await self.bury(mesh, "dead.MESH.memory", json.dumps(letter).encode())
        number = self.number(up, agent)
        assert number
        shown = cerebro(up, "dead", "show", number)
        assert shown.returncode == 0, shown.stderr
        assert json.loads(shown.stdout)["data"] == data
        redriven = cerebro(up, "dead", "redrive", number)
        assert redriven.returncode == 1
        assert redriven.stderr == f"cerebro: the data of letter {number} is no base64, so there is nothing that could be published again\n"
        assert self.number(up, agent) == number

    async def test_what_is_no_letter_at_all_is_listed_too(self, up: Up, mesh: dict[str, Any]) -> None:
        await self.bury(mesh, "dead.MESH.memory", b"{")
        assert self.number(up, "no letter that can be read")

    def test_a_number_that_is_none_is_told(self, up: Up) -> None:
        assert "no dead letter" in cerebro(up, "dead", "show", "999999").stderr
