"""What a vote rests on: gathered from memory, from the lessons this agent holds, and from earlier proposals."""

import asyncio
from collections.abc import Callable, Mapping
from itertools import islice

from agents.consensus import rules
from agents.learning.actor import Learning
from agents.minds.case import Case, Outcome, Precedent
from agents.recall import Recall, Recalled
from agents.relevance import similarity
from schemas.consensus import Opened
from schemas.emotion import Alignment
from schemas.llm import LLM_CALL
from schemas.memory import SearchHit

PRECEDENTS_MAX = 5
"""Most earlier proposals one case cites."""
PRECEDENTS_SCANNED_MAX = 2_000
"""Most earlier proposals that are compared, the latest first."""
PRECEDENT_SIMILARITY_MIN = 0.3
"""Below this similarity (0…1) an earlier proposal is no precedent."""
SIMILAR_MAX = 20
"""Most recalled episodes one case holds."""


class CaseBuilder:
    """Builds the case of one proposal for one agent's mind."""

    def __init__(self, recall: Recall, learning: Learning, alignment: Callable[[], Alignment]) -> None:
        self._recall = recall
        self._learning = learning
        self._alignment = alignment

    async def build(self, ident: str, opened: Opened, proposals: Mapping[str, rules.ProposalState]) -> Case:
        """All that is known now; where memory is away the case says so."""
        text = f"{opened.title} {opened.description}".strip()
        async with asyncio.TaskGroup() as group:
            cited = group.create_task(self._recall.episodes(list(opened.evidence)), name=f"evidence {ident}")
            near = group.create_task(self._recall.search(text, limit=SIMILAR_MAX), name=f"recall {ident}")
        evidence, similar = cited.result(), near.result()
        return Case(
            proposal_id=ident,
            proposal=opened,
            evidence=evidence.episodes,
            missing_evidence=evidence.missing,
            similar=[h for h in similar.hits if h.action_type != LLM_CALL and not _about(h, ident)],
            lessons=list(self._learning.relevant(text, opened.domain)),
            precedents=precedents(ident, text, proposals, similar),
            memory_complete=evidence.complete and similar.complete,
            approval_confidence_min=self._alignment().approval_confidence_min,
        )


def _about(hit: SearchHit, ident: str) -> bool:
    """Whether a hit is part of this very proposal's own history."""
    return hit.action_details.get("proposal") == ident


def precedents(ident: str, text: str, proposals: Mapping[str, rules.ProposalState], recalled: Recalled) -> list[Precedent]:
    """The earlier proposals nearest to `text` that have ended, and what came of them."""
    found = []
    for state in islice(reversed(list(proposals.values())), PRECEDENTS_SCANNED_MAX):
        if state.proposal_id == ident or state.opened is None or (end := rules.verdict(state)) is None:
            continue
        near = similarity(text, f"{state.opened.title} {state.opened.description}")
        if near >= PRECEDENT_SIMILARITY_MIN:
            found.append(
                Precedent(
                    proposal_id=state.proposal_id,
                    title=state.opened.title,
                    description=state.opened.description,
                    status=end.status,
                    choice=end.choice,
                    similarity=near,
                    outcome=_outcome(state.proposal_id, recalled),
                )
            )
    return sorted(found, key=lambda p: (-p.similarity, p.proposal_id))[:PRECEDENTS_MAX]


def _outcome(ident: str, recalled: Recalled) -> Outcome | None:
    """What an episode that names this proposal recorded as its outcome."""
    for hit in recalled.hits:
        if ident in (hit.action_details.get("proposal_id"), hit.action_details.get("proposal")):
            match hit.action_details.get("outcome"):
                case "success":
                    return "success"
                case "failure":
                    return "failure"
    return None
