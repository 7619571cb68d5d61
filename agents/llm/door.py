"""The one door to a language model: a question with its limits goes in, a checked answer comes out, or the reason why none did.

Whatever happens to a call, it is counted in the budget, traced, and remembered as an episode of its agent (`schemas/llm.py`).
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import msgspec

from agents.llm.budget import Budget, Used
from agents.llm.settings import LlmSettings
from agents.llm.spending import spent_before
from agents.recall import Noted
from bus import subjects, telemetry
from bus.connection import Bus
from bus.errors import CerebroError, Misconfigured
from schemas.llm import ANSWERED, LLM_CALL, CallContext, CallFigures, CallResult, NoAnswerReason
from schemas.memory import Action

log = logging.getLogger("cerebro.agents")

CHARS_PER_TOKEN = 3
"""By how many characters a token is estimated where the endpoint does not count: rather too many tokens than too few."""
DETAIL_LEN_MAX = 300
"""Characters of what an endpoint said that are kept."""
IMPORTANCE = 0.2
"""Of the episode that remembers a call: it says how something else came about."""

TOLD: Mapping[NoAnswerReason, str] = {
    "time": "there was no answer in time",
    "budget": "the budget of this hour is spent",
    "limit": "the call came to its limit",
    "busy": "it has too much to do",
    "away": "it is not reached",
    "refused": "it refused the question",
    "invalid": "its answer is not of the form that was asked for",
    "broken": "the call failed",
    "resting": "it failed a moment ago and is left alone",
}
"""Each reason as a sentence has it. What an endpoint says itself is nowhere repeated but in the episode."""
LEFT_ALONE: frozenset[NoAnswerReason] = frozenset({"time", "busy", "away"})
"""After these an endpoint is left alone for a while; but not where a call was late as it waited for its turn, or looked things up."""


class NoAnswer(Exception):
    """The model gave no answer that can be used; `reason` is one of a closed set, the message is for logs."""

    def __init__(self, reason: NoAnswerReason, message: str = "") -> None:
        super().__init__(message or TOLD[reason])
        self.reason: NoAnswerReason = reason

    @property
    def told(self) -> str:
        return TOLD[self.reason]


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """Something a model may look up: `run` takes the arguments that `schema` describes, unchecked, and gives a text. It changes nothing."""

    name: str
    description: str
    schema: dict[str, Any]
    run: Callable[[dict[str, Any]], Awaitable[str]]


def _faultless(_: Any) -> list[str]:
    return []


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One call. `instructions` are our words only, `prompt` is fenced by `agents.llm.prompt`. `answer` is a msgspec Struct; `check` names
    what is wrong with one that has its form, which is told back to the model once. `noted` has the ids of what enters.
    """

    purpose: str
    instructions: str
    prompt: str
    answer: Any
    timeout_s: float
    check: Callable[[Any], list[str]] = _faultless
    tools: Sequence[Tool] = ()
    noted: Noted = msgspec.field(default_factory=Noted)
    proposal_id: str | None = None
    task_id: str | None = None


class Spent(msgspec.Struct):
    """What a call used so far; the engine writes it, so that it is known of a call that failed too. `unmeasured`: something was sent of
    which it is not known how many tokens it took.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    unmeasured: bool = False
    repaired: bool = False
    tools: list[str] = []


class Engine(Protocol):
    """What speaks to the provider."""

    async def run(self, question: Question, tokens_max: int, spent: Spent) -> Any:
        """The answer as a `question.answer` that passed its check. Raises `NoAnswer`."""

    def scrubbed(self, text: str) -> str:
        """`text` without the key."""


class LanguageModel:
    """The language model of one agent."""

    def __init__(self, bus: Bus, agent: str, settings: LlmSettings, engine: Engine, before: Sequence[Used] = ()) -> None:
        self.agent = agent
        self.settings = settings
        self._bus = bus
        self._engine = engine
        self._clock = time.monotonic
        self._budget = Budget(settings, before)
        self._turns = asyncio.Semaphore(settings.calls_max)
        self._rests_until = 0.0

    async def ask(self, question: Question) -> Any:
        """The model's answer, a `question.answer`. Raises `NoAnswer`; the call is traced and remembered either way."""
        began, spent = self._clock(), Spent()
        with telemetry.within("llm.call", {"llm.model": self.settings.model, "llm.purpose": question.purpose}) as span:
            try:
                answer = await self._granted(question, spent)
            except NoAnswer as e:
                detail = self._engine.scrubbed(str(e))[:DETAIL_LEN_MAX]
                log.warning("%s: the language model gave no answer (%s): %s: %s", self.agent, question.purpose, e.reason, detail)
                span.set_attribute("llm.result", e.reason)
                await self._remember(question, self._figures(spent, began), spent.tools, e.reason, detail)
                raise
            span.set_attributes({"llm.result": ANSWERED, "llm.tokens": spent.input_tokens + spent.output_tokens})
            await self._remember(question, self._figures(spent, began), spent.tools, ANSWERED)
            return answer

    async def _granted(self, question: Question, spent: Spent) -> Any:
        """Ask within the budget, which counts the call however it ends."""
        if self._clock() < self._rests_until:
            raise NoAnswer("resting")
        granted = self._budget.reserve(self._clock())
        if not granted:
            raise NoAnswer("budget")
        try:
            return await self._in_time(question, granted, spent)
        except NoAnswer as e:
            if e.reason in LEFT_ALONE and (e.reason != "time" or (spent.unmeasured and not spent.tools)):
                self._rests_until = self._clock() + self.settings.pause_s
            raise
        finally:
            if spent.unmeasured:
                self._estimate(question, spent)
            self._budget.settle(self._clock(), granted, spent.input_tokens, spent.output_tokens)

    async def _in_time(self, question: Question, granted: int, spent: Spent) -> Any:
        try:
            async with asyncio.timeout(question.timeout_s), self._turns:
                return await self._engine.run(question, granted, spent)
        except TimeoutError as e:
            raise NoAnswer("time", f"no answer within {question.timeout_s:g} s") from e
        except NoAnswer:
            raise
        except Exception as e:
            log.exception("%s: a call of the language model failed", self.agent)
            raise NoAnswer("broken", type(e).__name__) from e

    def _estimate(self, question: Question, spent: Spent) -> None:
        """What a call may have used of which the endpoint did not say it: its prompt, and as long an answer as it could have had."""
        prompt_tokens = (len(question.instructions) + len(question.prompt)) // CHARS_PER_TOKEN
        spent.input_tokens = max(spent.input_tokens, prompt_tokens)
        spent.output_tokens = max(spent.output_tokens, self.settings.output_tokens_max)

    def _figures(self, spent: Spent, began: float) -> CallFigures:
        priced = self.settings.price_input or self.settings.price_output
        return CallFigures(
            requests=spent.requests,
            input_tokens=spent.input_tokens,
            output_tokens=spent.output_tokens,
            estimated=spent.unmeasured,
            duration_s=round(self._clock() - began, 3),
            repaired=spent.repaired,
            cost=round(self._budget.cost(spent.input_tokens, spent.output_tokens), 6) if priced else msgspec.UNSET,
        )

    async def _remember(self, question: Question, figures: CallFigures, tools: list[str], result: CallResult, detail: str = "") -> None:
        """Put the call on the log; where that does not work, what it was for goes on."""
        context = CallContext(
            model=self.settings.model,
            purpose=question.purpose,
            result=result,
            detail=detail,
            evidence=question.noted.receipt() or [],
            tools=tools,
            prompt_sha256=hashlib.sha256(f"{question.instructions}\n{question.prompt}".encode()).hexdigest(),
            proposal_id=question.proposal_id or msgspec.UNSET,
            task_id=question.task_id or msgspec.UNSET,
        )
        action = Action(
            action_type=LLM_CALL,
            action_details=msgspec.to_builtins(figures),
            context_state=msgspec.to_builtins(context),
            importance_score=IMPORTANCE,
        )
        try:
            await self._bus.publish(subjects.EPISODE, action, agent=self.agent)
        except CerebroError as e:
            log.warning("%s: a call of the language model is not remembered: %s", self.agent, e)


@asynccontextmanager
async def opened(bus: Bus, agent: str, settings: LlmSettings) -> AsyncIterator[LanguageModel | None]:
    """The agent's language model while it is used; None where the settings name none. Raises `Misconfigured`."""
    if not settings.model:
        yield None
        return
    if settings.hour_cost_max and not (settings.price_input or settings.price_output):
        raise Misconfigured("CEREBRO_LLM_HOUR_COST_MAX needs CEREBRO_LLM_PRICE_INPUT or CEREBRO_LLM_PRICE_OUTPUT")
    try:
        from agents.llm import adapter
    except ImportError as e:
        text = f"CEREBRO_LLM_MODEL is set for {agent}, which needs the extra `llm` (pip install 'cerebro[llm]'): {e}"
        raise Misconfigured(text) from e
    async with adapter.opened(settings) as engine:
        yield LanguageModel(bus, agent, settings, engine, await spent_before(bus, agent, time.monotonic()))
