"""Knowledge synthesis: an answer put together from sentences of what is recalled, each with where it comes from.

Sentences are chosen by maximal marginal relevance (Carbonell and Goldstein 1998): near to the question, far from what
was chosen already. Nothing is made up: where nothing recalled bears on the question, the answer is empty.
"""

import re
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from agents.relevance import similarity
from agents.skills.skill import Skill, SkillContext, SkillError, Speech, is_echo
from bus import subjects
from schemas.memory import QUERY_LEN_MAX, SearchHit
from schemas.words import Token

RECALLED_MAX = 30
"""Most things that are recalled for one question."""
SENTENCES_MAX = 300
"""Most sentences that are weighed, those of the best hits first."""
SENTENCE_LEN_MAX = 600
"""Longest sentence that is quoted, in characters; longer ones are cut."""
ANSWER_SENTENCES_MAX = 5
"""Most sentences of one answer."""
RELEVANCE_MIN = 0.12
"""Below this similarity (0…1) to the question a sentence does not bear on it."""
NOVELTY_WEIGHT = 0.3
"""How much being unlike what was chosen counts beside bearing on the question (1 − λ of MMR)."""
ALIKE_MAX = 0.8
"""From this similarity on two sentences say the same."""

_END = re.compile(r"(?<=[.!?…])\s+|\n+")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked; with `agent_id` only of what this agent did, saw or taught."""

    question: Annotated[str, Meta(min_length=1, max_length=QUERY_LEN_MAX)]
    agent_id: Token | None = None


class Citation(msgspec.Struct, frozen=True, kw_only=True):
    """Where a sentence of the answer comes from."""

    id: str
    kind: str
    agent_id: str
    timestamp: str
    sentence: str
    relevance: float


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, `[n]` in it naming the n-th citation; empty where nothing bears on the question."""

    answer: str
    citations: list[Citation]


def synthesise(question: str, hits: Sequence[SearchHit]) -> Answer:
    """The answer to `question` from what was recalled, best hit first."""
    weighed = _weighed(question, hits)
    chosen: list[Citation] = []
    while weighed and len(chosen) < ANSWER_SENTENCES_MAX:
        best = max(weighed, key=lambda c: (_marginal(c, chosen), -weighed.index(c)))
        chosen.append(best)
        weighed = [c for c in weighed if c is not best and similarity(c.sentence, best.sentence) < ALIKE_MAX]
    text = " ".join(f"{c.sentence} [{n}]" for n, c in enumerate(chosen, 1))
    return Answer(answer=text, citations=chosen)


def _weighed(question: str, hits: Sequence[SearchHit]) -> list[Citation]:
    sentences = [(hit, sentence) for hit in hits for sentence in split(hit.text)][:SENTENCES_MAX]
    weighed = [(hit, sentence, similarity(question, sentence)) for hit, sentence in sentences]
    return [
        Citation(id=h.id, kind=h.kind, agent_id=h.agent_id, timestamp=h.timestamp, sentence=s, relevance=round(near, 4))
        for h, s, near in weighed
        if near >= RELEVANCE_MIN and not _same(s, question)
    ]


def split(text: str) -> list[str]:
    """The sentences of `text`."""
    return [s.strip()[:SENTENCE_LEN_MAX] for s in _END.split(text) if s.strip()]


def _same(sentence: str, question: str) -> bool:
    """Whether the sentence is the question itself, asked earlier: that is no answer."""
    return sentence.casefold().strip(" ?.!") == question.casefold().strip(" ?.!")


def _marginal(candidate: Citation, chosen: Sequence[Citation]) -> float:
    told = max((similarity(candidate.sentence, c.sentence) for c in chosen), default=0.0)
    return (1 - NOVELTY_WEIGHT) * candidate.relevance - NOVELTY_WEIGHT * told


async def _run(context: SkillContext, asked: Question) -> Answer:
    only = {"agent_id": asked.agent_id} if asked.agent_id else {}
    recalled = await context.recall.search(asked.question, limit=RECALLED_MAX, **only)
    if not recalled.complete:
        raise SkillError("memory_unavailable", "memory does not answer; without it nothing can be recalled", retryable=True)
    hits = [h for h in recalled.hits if h.action_type != subjects.TASK_SUBMITTED.name]  # asking is no answer
    return synthesise(asked.question, [h for h in hits if not is_echo(h.action_type, h.action_details, context.task_id)])


def _hear(text: str) -> Question | None:
    return Question(question=text) if len(text) <= QUERY_LEN_MAX else None


def _say(answer: Answer) -> str:
    cited = [f"[{n}] {c.kind} {c.id}, {c.agent_id}, {c.timestamp}" for n, c in enumerate(answer.citations, 1)]
    return "\n".join([answer.answer or "Nothing is remembered about this.", *cited])


KNOWLEDGE_SYNTHESIS = Skill(
    name="knowledge_synthesis",
    description="Answer a question from recalled episodes, concepts and lessons, with a citation for each sentence.",
    input=Question,
    output=Answer,
    run=_run,
    speech=Speech(wants=f"a question of at most {QUERY_LEN_MAX} characters", hear=_hear, say=_say),
)
