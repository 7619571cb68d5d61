"""Settings of the language model. Each can be set for all agents, and for one."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bus.errors import Misconfigured
from bus.secret import Secret

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0, le=600)]
Price = Annotated[float, Meta(ge=0)]


class LlmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The language model that agents think with, and how far they may use it. `CEREBRO_LLM_<AGENT>_…` sets any of these for one agent
    alone (`CEREBRO_LLM_RICARDO_MODEL`); what is not set there is as for all. See docs/minds.md.
    """

    model: Annotated[str, Meta(pattern=r"^([a-z0-9/-]+:\S+)?$")] = ""
    """Provider and model, as pydantic-ai names them: `openai-chat:gpt-…` for whatever speaks OpenAI's chat completions, `openai:…` for its
    Responses API, `anthropic:…`, `ollama:…`. Empty: no language model, and the rules judge alone. Needs the extra `llm`.
    """
    base_url: Annotated[str, Meta(pattern=r"^(https?://[^/\s]+.*)?$")] = ""
    """Where the provider is reached, for instance `http://127.0.0.1:11434/v1`. Empty: where the provider itself is."""
    api_key: Secret = Secret()
    """The provider's key. Empty: what the provider's own variable says (`OPENAI_API_KEY`, …)."""
    votes: bool = True
    """Ask the model when this agent votes."""
    proposal_text: bool = True
    """Let the model read the proposal's own words when it votes, as they are what the vote is about. `false`: it votes by numbers alone,
    and no word of anybody, the proposer's neither, can move it.
    """
    appraisals: bool = False
    """Ask the model how strongly an event moves this agent's affect, within half and one and a half times the table."""
    objections: Literal["told", "withhold"] = "told"
    """What a model's objection to the words of a case does to an approval: it is told in the rationale, or it makes the vote an abstention.
    With the second, whoever can write a memory can withhold approvals.
    """
    overturn_confidence_max: Annotated[float, Meta(ge=0, le=1)] = 0.8
    """The model's vote stands against the rules' only where their confidence is at most this. 0: never against a decided vote."""
    vote_timeout_s: Seconds = 6.0
    """Longest wait for a model when voting; never more than 0.6 of what is left until the proposal's deadline."""
    appraisal_timeout_s: Annotated[float, Meta(gt=0, le=2.5)] = 1.5
    """Longest wait for a model when an event is appraised; who asks for it waits 3 s at most."""
    task_timeout_s: Seconds = 60.0
    """Longest wait for a model when working on a task; never more than is left of the task's time."""
    output_tokens_max: Count = 8_000
    """Most tokens of one answer."""
    call_tokens_max: Count = 40_000
    """Most tokens of one call with all its requests, in and out."""
    hour_tokens_max: Count = 400_000
    """Most tokens an instance uses within any hour."""
    hour_cost_max: Price = 0.0
    """Most that an instance spends within any hour, in the currency of the prices. 0: no such limit. Needs prices."""
    price_input: Price = 0.0
    """Price of a million tokens in."""
    price_output: Price = 0.0
    """Price of a million tokens out."""
    calls_max: Annotated[int, Meta(ge=1, le=64)] = 4
    """Most calls at a time; others wait for their turn within their time."""
    tool_calls_max: Annotated[int, Meta(ge=0, le=20)] = 4
    """Most times that a model may look something up in one call. 0: it has no tools."""
    prompt_len_max: Annotated[int, Meta(ge=2_000)] = 60_000
    """Most characters of data in one prompt; what comes last is left out first."""
    tries_max: Annotated[int, Meta(ge=1, le=5)] = 2
    """How often one request is sent to an endpoint that is away or busy, within the call's time."""
    pause_s: Annotated[float, Meta(ge=0, le=3_600)] = 10.0
    """How long an endpoint is left alone after it was away, busy or late; meanwhile the rules judge."""


def settings_of(agent: str, agents: Iterable[str], for_all: LlmSettings, by_agent: Mapping[str, LlmSettings]) -> LlmSettings:
    """The settings of one agent; `by_agent` has names in capitals, as variables have them. Raises `Misconfigured` for one that none has."""
    names = {name.upper().replace("-", "_") for name in agents}
    if unknown := sorted(by_agent.keys() - names):
        raise Misconfigured(f"CEREBRO_LLM_{unknown[0]}_…: no setting and no agent is called so; there are {', '.join(sorted(agents))}")
    return by_agent.get(agent.upper().replace("-", "_"), for_all)
