"""A history in which every protocol speaks, well and badly formed: what the log of a long-lived mesh looks like in small."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from bus import entries, subjects
from bus.ids import derived
from schemas.entry import Entry, Malformed

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
AGENTS = ("nexus", "aria", "ricardo")
WORDS = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "index", "vacuum", "deploy")


class Said(msgspec.Struct, frozen=True):
    """A message before it is published."""

    subject: str
    data: bytes
    msg_id: str


def history(rng: random.Random, rounds: int, name: str = "h", *, forgets: bool = True) -> Iterator[Said]:
    """So many rounds of lessons, a proposal, feelings, a task, episodes, a concept, and poison, told in random order within a round.

    `forgets`: now and then an episode is forgotten; then what was known before is not what is known of before now.
    """
    for n in range(rounds):
        told = [
            *_lessons(rng, n),
            *_consensus(n),
            *_emotion(rng, n),
            *_task(n),
            *_episodes(rng, n),
            *_concept(rng, n, name),
            *_poison(n),
            *(_forgetting(n, name) if forgets else ()),
        ]
        rng.shuffle(told)
        for subject, body, ident in told:
            yield Said(subject, body if isinstance(body, bytes) else msgspec.json.encode(body), f"{name}-{ident or subject}-{n}")


def in_the_log(said: Iterator[Said], incarnation: str = "history") -> list[Entry | Malformed]:
    """These as entries of a log: the first at 1, a second between any two."""
    return [
        entries.read(s.subject, {entries.MSG_ID: s.msg_id}, s.data, seq, START + timedelta(seconds=seq), incarnation)
        for seq, s in enumerate(said, 1)
    ]


Told = tuple[str, Any, str]


def _lessons(rng: random.Random, n: int) -> list[Told]:
    agent = AGENTS[n % 3]
    lesson = {"topic": _words(rng, 1), "content": _words(rng, 8), "domain": "operations", "confidence": 0.7, "tags": ["x"]}
    sources = [f"h-episode0-{m}" for m in range(max(0, n - 2), n)]
    return [
        (subjects.LESSON.subject(agent=agent), lesson | {"source_episodes": sources}, "lesson"),
        (subjects.INTEGRATED.subject(agent=AGENTS[(n + 1) % 3]), {"lesson_id": f"h-lesson-{n}"}, ""),
    ]


def _consensus(n: int) -> list[Told]:
    proposal, proposer = f"p{n}", AGENTS[n % 3]
    body = {"title": f"Roll out {n}", "domain": "operations", "evidence": [f"h-episode1-{n}"]}
    opened = body | {"electorate": list(AGENTS), "proposer": proposer, "deadline": "2026-11-22T11:00:00.000000Z", "proposal_seq": n + 1}
    tally = {"approve": 2, "reject": 0, "abstain": 0, "absent": 1}
    votes = [
        {"agent": a, "choice": "approve", "confidence": 0.9, "rationale": "good", "evidence": [], "seq": n + 3, "counted": True}
        for a in AGENTS[:2]
    ]
    decision = {"status": "accepted", "choice": "approve", "tally": tally, "votes": votes, "decided_at_seq": n + 4}
    vote = {"choice": "approve", "rationale": "as before", "evidence": [f"h-episode1-{n}", f"h-lesson-{max(0, n - 1)}"]}
    return [
        (subjects.PROPOSAL.subject(proposal=proposal, agent=proposer), body, ""),
        (subjects.OPENED.subject(proposal=proposal), opened, ""),
        *((subjects.VOTE.subject(proposal=proposal, agent=a), vote, "") for a in AGENTS[:2]),
        (subjects.DEADLINE.subject(proposal=proposal), {"proposal": proposal}, ""),
        (subjects.DECISION.subject(proposal=proposal), decision, ""),
    ]


def _emotion(rng: random.Random, n: int) -> list[Told]:
    agent = AGENTS[n % 3]
    felt = {"valence": round(rng.uniform(-1, 1), 3), "arousal": 0.1, "dominance": 0.0, "label": "calm", "cause": f"{_words(rng, 2)} {n}"}
    return [
        (subjects.STIMULUS.subject(agent=agent), {"cause": "deploy failed", "event": "error", "intensity": 0.4}, ""),
        (subjects.AFFECT.subject(agent=agent), felt, ""),
        (subjects.MEMBER.subject(agent=agent), {"status": "joined", "instance": "1", "profile": {"role": "tester"}}, ""),
    ]


def _task(n: int) -> list[Told]:
    task, agent, ends = f"t{n}", AGENTS[n % 3], n % 4
    body = {"title": f"Task {n}", "description": "mend the index", "required_skills": ["debugging"], "input": {"n": n}}
    assigned = {"fence": 1, "lease_s": 5.0, "skill": "debugging", "task": body | {"task_id": task}}
    progress = {"fence": 1, "fraction": 0.5, "message": "half", "artifact": {"artifact_id": "a", "parts": [{"text": "part"}]}}
    told: list[Told] = [
        (subjects.TASK_SUBMITTED.subject(task=task), body, ""),
        (subjects.TASK_ASSIGNED.subject(task=task, agent=agent), assigned, ""),
        (subjects.TASK_PROGRESS.subject(task=task, agent=agent), progress, ""),
        (subjects.TASK_INPUT.subject(task=task, agent=agent), {"message": "go on"}, ""),
    ]
    if ends == 1:
        told.append((subjects.TASK_RESULT.subject(task=task, agent=agent), {"fence": 1, "output": {"cause": f"h-episode0-{n}"}}, ""))
        told.append((subjects.TASK_FINISHED.subject(task=task), {"status": "succeeded", "agent": agent, "output": {"n": n}}, ""))
    elif ends == 2:
        error = {"code": "broken", "message": "it broke", "retryable": False}
        told.append((subjects.TASK_FAILED.subject(task=task, agent=agent), {"fence": 1, "error": error}, ""))
        told.append((subjects.TASK_FINISHED.subject(task=task), {"status": "failed", "agent": agent, "error": error}, ""))
    elif ends == 3:
        told.append((subjects.TASK_CANCEL.subject(task=task, agent=agent), {"reason": "no longer"}, ""))
    return told


def _episodes(rng: random.Random, n: int) -> list[Told]:
    return [(subjects.EPISODE.subject(agent=rng.choice((*AGENTS, "ops"))), _action(rng, n, i), f"episode{i}") for i in range(4)]


def _action(rng: random.Random, n: int, i: int) -> dict[str, Any]:
    body: dict[str, Any] = {
        "action_type": rng.choice(["note", "message", "observation"]),
        "action_details": {"text": _words(rng, rng.choice([3, 12, 40])), "outcome": rng.choice(["success", "failure"])},
        "importance_score": rng.choice([0.1, 0.5, 0.9]),
        "tags": rng.sample(["x", "y", "z"], rng.randint(0, 3)),
        "session_id": f"s{n // 3}",
    }
    if i == 1:
        body["timestamp"] = (START - timedelta(minutes=rng.randint(0, 600))).isoformat()
    if i == 2:
        same = str(UUID(derived("project", n % 2)))
        body |= {"cross_reference": str(UUID(derived("cross", n // 2))), "project_dna_id": same, "handoff_packet": {"to": "aria", "n": n}}
    if i == 3:
        body |= {"context_state": {"mood\0": "a\0b"}, "action_details": {"speaker": "Nexus", "text": _words(rng, 5)}}
    return body


def _forgetting(n: int, name: str) -> list[Told]:
    """Now and then an episode of the round before is forgotten."""
    if n % 5 != 4:
        return []
    body = {"ids": [f"{name}-episode3-{n - 1}"], "selector": "hash", "episodes": 1}
    return [(subjects.FORGOTTEN.subject(receipt=f"{name}-{n}"), body, "")]


def _concept(rng: random.Random, n: int, name: str) -> list[Told]:
    """One of three concepts, told again and again; some of them hold what episodes said."""
    concept = ("index", "vacuum", "deploy")[n % 3]
    body = {
        "concept": concept,
        "content": _words(rng, 6),
        "knowledge_type": "fact",
        "confidence_score": rng.choice([0.3, 0.8]),
        "source_episodes": [f"{name}-episode0-{m}" for m in range(max(0, n - 3), n)],
        "origin": "consolidated" if n % 2 else "told",
        "consolidated": [f"{name}-episode0-{n - 1}"] if n % 2 else [],
        "run": f"run{n}" if n % 2 else None,
    }
    return [(subjects.CONCEPT.subject(concept=str(UUID(derived("concept", concept)))), body, "")]


def _poison(n: int) -> list[Told]:
    """No JSON, a wrong type, nesting without end, an id that no column takes."""
    agent = AGENTS[n % 3]
    told: list[list[Told]] = [
        [(subjects.LESSON.subject(agent=agent), b"{", "broken")],
        [(subjects.EPISODE.subject(agent=agent), b'{"action_type": 5}', "wrong")],
        [(subjects.EPISODE.subject(agent=agent), b'{"action_type": "x", "action_details": ' + b"[" * 3_000, "deep")],
        [(subjects.EPISODE.subject(agent=agent), {"action_type": "note", "action_details": {"text": "too long an id"}}, "x" * 300)],
    ]
    return told[n % 4]


def _words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(WORDS, k=count))
