"""A mind with a language model beside its rules: what decides has read no recalled word, what reads them decides nothing.

    rules      ── the vote of the rule mind, always, and first
    weighing   ── the model sees numbers (attributes, the force of each reason, the rules' vote) and, unless the settings forbid it, the
                  proposal's own words; it says how to vote
    reading    ── beside it, the model sees all texts (evidence, memories, lessons, precedents) as data, may look up more, and says what
                  they mean, what it would object, and which ids it rests on

`settle` makes the vote of the three. The choice follows from the rules and the weighing alone, so a recalled text can order what it wants
and be obeyed by the worst of models: no vote changes, because nothing that has read it has a say. Words become numbers by the rules, which
count and obey nothing. (After the dual-model pattern, S. Willison 2023, and "Design Patterns for Securing LLM Agents against Prompt
Injections", Beurer-Kellner et al. 2025: isolate what has read untrusted text from what acts.) Options travel under labels of ours; a label
that is none of them is no answer. Whatever fails, the rules' vote stands, and says so.
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agents.llm import prompt
from agents.llm.door import NoAnswer, Question
from agents.llm.faculty import Faculty
from agents.llm.prompt import Datum
from agents.llm.settings import LlmSettings
from agents.minds import MINDS, known, options
from agents.minds.case import Case
from agents.minds.evidence import outcome_of, text_of
from agents.minds.reasons import Basis, Reason
from agents.minds.verdict import EVIDENCE_MAX, decide
from agents.recall import Noted, Recall
from schemas.consensus import ABSTAIN, Vote
from schemas.words import ID_LEN_MAX, Unit

TIME_SHARE = 0.6
"""Share of a proposal's remaining time that the model may take; the rest is for the vote to reach the log."""
TIME_MIN_S = 0.2
"""With less than this the model is not asked."""
TURN_DOWN = "turn_down"
"""The label of the option that means no."""

WEIGHING = (
    "Decide how your agent votes on a proposal. You are given numbers: the proposer's attributes (0 to 1), the reasons that exact rules"
    " found (log_odds above 0 speaks for, below 0 against) and the vote of these rules. Weigh them as your role does. Choose a label;"
    " abstain where there is too little to judge by. Confidence is 0 (undecided) to 1 (certain). Say why in one or two sentences."
)
READING = (
    "Read what is known about a proposal and say what it means for the decision: what speaks for, what against, what the words say that"
    " numbers do not. You may look up more where that helps. Name the label you would choose. Another judgement decides the vote; yours is"
    " told beside it, with your objections. Cite the ids that you rest on."
)


class Reading(msgspec.Struct, frozen=True):
    """What the texts say: the choice they would lead to, why, and on which ids it rests; `uncited`: ids that were not before it."""

    choice: str
    rationale: str
    evidence: list[str] = []
    uncited: int = 0


class Weighing(msgspec.Struct, frozen=True):
    """How the model votes, and why."""

    choice: str
    confidence: float
    why: str = ""


class Labels:
    """The options of a proposal under labels of ours, both ways."""

    def __init__(self, case: Case) -> None:
        ballot = options.ballot(case.proposal.options)
        candidates = {f"option_{n}": option for n, option in enumerate(ballot.candidates, 1)}
        against = {TURN_DOWN: ballot.against} if ballot.against else {}
        self.option: Mapping[str, str] = {**candidates, **against, ABSTAIN: ABSTAIN}
        self.label: Mapping[str, str] = {option: label for label, option in self.option.items()}

    def answer(self, name: str, *fields: tuple[str, Any, Any] | tuple[str, Any]) -> Any:
        """A Struct whose `choice` is one of the labels."""
        return msgspec.defstruct(name, [("choice", Literal[tuple(self.option)]), *fields], frozen=True)


class ModelMind:
    """The mind called `name`, with a language model beside it, which may look things up in `recall`."""

    def __init__(self, name: str, faculty: Faculty, recall: Recall) -> None:
        self._name = known(name)
        self._faculty = faculty
        self._recall = recall

    async def judge(self, case: Case, left_s: float, noted: Noted) -> Vote:
        """The vote, within a share of `left_s`; the rules' where the model is not heard."""
        basis, labels = MINDS[self._name](case), Labels(case)
        rules = decide(case, basis)
        timeout_s = min(self._faculty.settings.vote_timeout_s, left_s * TIME_SHARE)
        if timeout_s < TIME_MIN_S:
            return settle(case, rules, NoAnswer("time"), NoAnswer("time"), self._faculty.settings)
        async with asyncio.TaskGroup() as group:
            weighing = group.create_task(self._weigh(case, basis, rules, labels, timeout_s), name=f"weigh {case.proposal_id}")
            reading = group.create_task(self._read(case, rules, labels, timeout_s, noted), name=f"read {case.proposal_id}")
        return settle(case, rules, weighing.result(), reading.result(), self._faculty.settings)

    async def _weigh(self, case: Case, basis: Basis, rules: Vote, labels: Labels, timeout_s: float) -> Weighing | NoAnswer:
        read = self._faculty.settings.proposal_text
        data = own_words(case, labels) if read else []
        question = Question(
            purpose="vote.weigh",
            instructions=f"{self._faculty.persona} {WEIGHING} {prompt.RULES}",
            prompt=prompt.whole(msgspec.json.encode(numbers(case, basis, rules, labels)).decode(), data),
            answer=labels.answer("Weighing", ("confidence", Unit), ("why", Annotated[str, Meta(max_length=600)], "")),
            timeout_s=timeout_s,
            proposal_id=case.proposal_id,
        )
        try:
            said = await self._faculty.model.ask(question)
        except NoAnswer as e:
            return e
        return Weighing(labels.option[said.choice], round(said.confidence, 4), said.why)

    async def _read(self, case: Case, rules: Vote, labels: Labels, timeout_s: float, noted: Noted) -> Reading | NoAnswer:
        data, left_out = prompt.fitting(texts(case, rules, labels), self._faculty.settings.prompt_len_max)
        clock = asyncio.get_running_loop().time
        ends = clock() + timeout_s

        def left_s() -> float:
            return ends - clock()

        before = Noted()
        before.take(datum.id for datum in data if datum.id is not None and datum.id not in labels.option)
        tools = self._faculty.lookups.tools(self._recall, before, left_s)
        ids = Annotated[list[Annotated[str, Meta(max_length=ID_LEN_MAX)]], Meta(max_length=EVIDENCE_MAX)]
        question = Question(
            purpose="vote.read",
            instructions=f"{self._faculty.persona} {READING} {prompt.RULES}",
            prompt=prompt.whole("What is known about the proposal" + (f" ({left_out} texts left out)" if left_out else "") + ":", data),
            answer=labels.answer("Reading", ("rationale", Annotated[str, Meta(max_length=1_500)]), ("evidence", ids, [])),
            timeout_s=timeout_s,
            tools=tools,
            noted=before,
            proposal_id=case.proposal_id,
        )
        try:
            said = await self._faculty.model.ask(question)
        except NoAnswer as e:
            return e
        finally:
            noted.take(before.ids)
        held = set(before.ids)
        cited = [ident for ident in said.evidence if ident in held]
        return Reading(labels.option[said.choice], said.rationale, cited, len(said.evidence) - len(cited))


def settle(case: Case, rules: Vote, weighing: Weighing | NoAnswer, reading: Reading | NoAnswer, settings: LlmSettings) -> Vote:
    """The vote. Its choice follows from `rules` and `weighing`; `reading` adds words and ids, and may withhold an approval where the
    settings let it.
    """
    return _with_reading(case, _weighed(case, rules, weighing, settings), reading, settings)


def _weighed(case: Case, rules: Vote, weighing: Weighing | NoAnswer, settings: LlmSettings) -> Vote:
    """The vote as far as no recalled word has a part in it."""
    if isinstance(weighing, NoAnswer):
        return _saying(rules, f"The language model was not heard, as {weighing.told}; this is the vote of the rules.")
    sure = f"{weighing.choice} ({weighing.confidence:.2f})"
    if weighing.choice != rules.choice != ABSTAIN and rules.confidence > settings.overturn_confidence_max:
        return _saying(rules, f"The language model would vote {sure}; the rules are too sure for that, and their vote stands.")
    choice, needed = weighing.choice, case.approval_confidence_min
    said = f"I vote {choice} with confidence {weighing.confidence:.2f}, as the language model weighs it."
    if _approves(case, choice) and weighing.confidence < needed:
        said = f"I abstain: the language model would vote {sure}, and a confidence of {needed:.2f} is needed now."
        choice = ABSTAIN
    rationale = " ".join(filter(None, (said, weighing.why, f"The rules alone: {rules.rationale}")))
    return msgspec.structs.replace(rules, choice=choice, confidence=weighing.confidence, rationale=rationale)


def _approves(case: Case, choice: str) -> bool:
    return choice in options.ballot(case.proposal.options).candidates


def _saying(vote: Vote, more: str) -> Vote:
    return msgspec.structs.replace(vote, rationale=f"{vote.rationale} {more}")


def _with_reading(case: Case, vote: Vote, reading: Reading | NoAnswer, settings: LlmSettings) -> Vote:
    """The vote with what the texts say told beside it."""
    if isinstance(reading, NoAnswer):
        return _saying(vote, f"The texts were not read by the model, as {reading.told}.")
    said, choice = f"Having read the texts: {reading.rationale}", vote.choice
    if reading.choice != choice:
        said += f" By the texts it would rather be {reading.choice}; that is told and moves no vote."
        if settings.objections == "withhold" and _approves(case, choice):
            said += f" But the objection withholds {choice}, so I abstain."
            choice = ABSTAIN
    if reading.uncited:
        said += f" {reading.uncited} ids that it cited were not before it and are left out."
    cited = list(dict.fromkeys((*vote.evidence, *reading.evidence)))[:EVIDENCE_MAX]
    return msgspec.structs.replace(_saying(vote, said), choice=choice, evidence=cited)


def numbers(case: Case, basis: Basis, rules: Vote, labels: Labels) -> dict[str, Any]:
    """The case without a word that anybody else wrote: numbers, labels of ours, kinds of reasons."""
    return {
        "labels": list(labels.option),
        "attributes": msgspec.to_builtins(case.proposal.attributes) if case.proposal.attributes else {},
        "reasons": [
            {"kind": kind_of(case, r), "about": labels.label.get(r.option or "", "the whole"), "log_odds": round(r.force, 3)}
            for r in basis.reasons
        ],
        "rules": {"choice": labels.label[rules.choice], "confidence": rules.confidence},
        "approval_confidence_min": case.approval_confidence_min,
        "electorate": len(case.proposal.electorate or ()),
        "missing_evidence": len(case.missing_evidence),
        "memory_complete": case.memory_complete,
    }


def kind_of(case: Case, reason: Reason) -> str:
    """What a reason rests on, by its ids and not by its words."""
    ids = set(reason.ids)
    if not ids:
        return "attribute"
    if ids & {k.lesson_id for k in case.lessons}:
        return "lesson"
    if ids & {e.episode_id for e in case.evidence}:
        return "named evidence"
    return "precedent" if ids & {p.proposal_id for p in case.precedents} else "recalled episode"


def own_words(case: Case, labels: Labels) -> list[Datum]:
    """The proposal as its proposer wrote it."""
    p = case.proposal
    proposal = Datum(kind="proposal", text=f"{p.title}\n{p.description}".strip(), fields={"domain": p.domain, "proposer": p.proposer})
    return [proposal, *(Datum(kind="option", id=label, text=option) for label, option in labels.option.items() if label != ABSTAIN)]


def texts(case: Case, rules: Vote, labels: Labels) -> Iterator[Datum]:
    """Everything that is before the agent, as data, the nearest to the question first."""
    yield from own_words(case, labels)
    yield Datum(
        kind="vote of the rules", text=rules.rationale, fields={"choice": labels.label[rules.choice], "confidence": rules.confidence}
    )
    for e in case.evidence:
        fields: dict[str, Any] = {
            "by": e.agent_id,
            "at": e.timestamp,
            "type": e.action_type,
            "outcome": outcome_of(e.action_type, e.action_details),
        }
        yield Datum(kind="named evidence", id=e.episode_id, text=text_of(e.action_details), fields=fields)
    for k in case.lessons:
        fields = {"similarity": round(k.similarity, 3), "confidence": k.lesson.confidence, "domain": k.lesson.domain}
        yield Datum(kind="lesson", id=k.lesson_id, text=f"{k.lesson.topic}\n{k.lesson.content}", fields=fields)
    for p in case.precedents:
        fields = {"status": p.status, "choice": p.choice, "outcome": p.outcome, "similarity": round(p.similarity, 3)}
        yield Datum(kind="precedent", id=p.proposal_id, text=f"{p.title}\n{p.description}".strip(), fields=fields)
    for h in case.similar:
        fields = {"by": h.agent_id, "at": h.timestamp, "type": h.action_type, "outcome": outcome_of(h.action_type, h.action_details)}
        yield Datum(kind=f"recalled {h.kind}", id=h.id, text=h.text, fields=fields)
