"""`cerebro tour`: a walk through a running mesh over REST, each step shown and explained."""

import argparse
import sys
from typing import Any

import httpx

from cerebro.reach import NotRunning, http_url

TIMEOUT_S = 30.0
"""Longest wait for one answer."""
TRACEBACK = """Traceback (most recent call last):
  File "/app/pool.py", line 41, in checkout
    return await self._queue.get_nowait()
  File "/app/db.py", line 12, in query
    raise TimeoutError("connection pool exhausted after 30 s")
TimeoutError: connection pool exhausted after 30 s"""


class TourError(Exception):
    """A step was answered otherwise than a healthy mesh answers."""


def main(parsed: argparse.Namespace) -> int:
    """Walk; 1 where no mesh answers or a step fails."""
    try:
        with httpx.Client(base_url=parsed.url or http_url(parsed.data), timeout=TIMEOUT_S, trust_env=False) as client:
            walk(Guide(client))
    except (NotRunning, TourError, httpx.HTTPError) as e:
        print(f"cerebro: {e}", file=sys.stderr)
        return 1
    return 0


class Guide:
    """Asks, checks that the answer is a good one, and tells what it means."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._step = 0

    def title(self, text: str) -> None:
        self._step += 1
        print(f"\n{self._step}. {text}")

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One call. Raises `TourError` with the problem document where it is refused."""
        answer = self._client.request(method, path, json=body)
        print(f"   {method} {path} -> {answer.status_code}")
        if answer.is_error:
            raise TourError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()

    @staticmethod
    def tell(*lines: str) -> None:
        for line in lines:
            print(f"   {line}")


def walk(guide: Guide) -> None:
    """The story: a database pool runs dry, the mesh learns, decides, feels, works, and remembers."""
    _who_is_there(guide)
    lesson = _a_lesson(guide)
    _a_proposal(guide)
    _an_affect_change(guide)
    _a_task(guide, lesson)
    _what_happened(guide)


def _who_is_there(guide: Guide) -> None:
    guide.title("Who is there")
    agents = guide.ask("GET", "/neural-mesh/connected-agents")
    for name, agent in agents["agents"].items():
        guide.tell(f"{name}: {agent['role']}, {agent['status']}, can {', '.join(agent['skills'])}")
    guide.tell(f"Topology {agents['mesh_topology']}: each is a process of its own; they know each other from the bus alone.")


def _a_lesson(guide: Guide) -> str:
    guide.title("A lesson: nexus tells the others what it learned from an outage")
    receipt = guide.ask(
        "POST",
        "/neural-mesh/cross-learning",
        {
            "agent": "nexus",
            "topic": "connection pool exhausted",
            "content": "TimeoutError: connection pool exhausted came from transactions left open. "
            "Fix: set a limit that ends idle transactions (idle_in_transaction_session_timeout).",
            "domain": "technical",
            "confidence": 0.9,
            "tags": ["postgres", "pool"],
        },
    )
    guide.tell(
        f"Stored on disk as entry {receipt['stream_seq']} of the log; integrated by {', '.join(receipt['integrated_by']) or 'nobody yet'}.",
        "Stored is not integrated: each agent gives its own receipt, and one that was down gives it when it is back.",
    )
    return str(receipt["lesson_id"])


def _a_proposal(guide: Guide) -> None:
    guide.title("A proposal: decided by two thirds of the electorate")
    proposal = guide.ask(
        "POST",
        "/neural-mesh/consensus",
        {
            "title": "Set a limit on idle transactions in PostgreSQL",
            "description": "End transactions that are idle for more than 30 s, so that the connection pool does not run dry.",
            "domain": "technical",
            "attributes": {"benefit": 0.8, "cost": 0.2, "risk": 0.2, "urgency": 0.6, "reversible": True},
        },
    )
    for vote in proposal["votes"]:
        guide.tell(f"{vote['agent']}: {vote['choice']} ({vote['confidence']:.2f}) - {vote['rationale']}")
    guide.tell(
        f"{proposal['status']}: {proposal['tally']}, certain at entry {proposal['decided_at_seq']}.",
        "Absent and abstaining are no agreement. Anyone can recount it: the decision follows from the order of the log.",
    )


def _an_affect_change(guide: Guide) -> None:
    guide.title("An affect change: ricardo hears of a threat, and the mesh grows careful")
    before = guide.ask("GET", "/neural-mesh/emotional-sync")
    state = guide.ask(
        "POST",
        "/neural-mesh/emotional-sync",
        {"agent": "ricardo", "event": "threat", "intensity": 0.8, "cause": "the largest customer saw the outage"},
    )
    after = guide.ask("GET", "/neural-mesh/emotional-sync")
    guide.tell(
        f"ricardo is {state['label']} now (valence {state['valence']:+.2f}, arousal {state['arousal']:+.2f}, "
        f"dominance {state['dominance']:+.2f}).",
        f"Tasks at once: {before['alignment']['task_concurrency_factor']:.2f} -> "
        f"{after['alignment']['task_concurrency_factor']:.2f} of normal; confidence an approval needs: "
        f"{before['alignment']['approval_confidence_min']:.2f} -> {after['alignment']['approval_confidence_min']:.2f}.",
    )
    guide.ask("POST", "/neural-mesh/emotional-sync", {"agent": "ricardo", "event": "relief", "intensity": 0.8, "cause": "the tour goes on"})


def _a_task(guide: Guide, lesson: str) -> None:
    guide.title("A task: passed to whoever is best at it")
    task = guide.ask(
        "POST",
        "/neural-mesh/task-distribute",
        {
            "title": "Why did the nightly import fail?",
            "required_skills": ["debugging"],
            "input": {"traceback": TRACEBACK},
            "wait": True,
        },
    )
    for score in task["scores"]:
        guide.tell(f"{score['agent']}: {score['score']:.2f} {score['why']}")
    best = task["result"]["diagnosis"][0]
    guide.tell(f"{task['assigned_to']} {task['status']}: {best['cause']} ({best['confidence']:.2f})", f"fix: {best.get('fix')}")
    if any(lesson in str(d.get("evidence")) for d in task["result"]["diagnosis"]):
        guide.tell("It cites the lesson of step 2: what one agent learned, all of them use.")


def _what_happened(guide: Guide) -> None:
    guide.title("What happened: every event is remembered")
    guide.ask(
        "POST",
        "/memory/action?wait=persisted",
        {"action_type": "incident_closed", "action_details": {"text": "The connection pool incident is closed."}, "tags": ["incident"]},
    )
    found = guide.ask("POST", "/memory/search", {"query": "connection pool exhausted", "limit": 5})
    for hit in found["results"]:
        guide.tell(f"[{hit['kind']}] {hit['agent_id']} {hit['action_type']}: {' '.join(hit['text'].split())[:90]}")
    guide.tell(f"{found['took_ms']:.1f} ms. Look for yourself: `nats sub 'log.mesh.>'` shows the log as it grows.")
