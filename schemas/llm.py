"""What an agent remembers of each call to a language model: an episode of type `llm_call`.

Its figures stand in `action_details`, where words would be indexed; its words stand in `context_state`, so that no search for
something else finds it. The ids of what entered the call become edges of the graph.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from schemas.words import Body, EventIds

LLM_CALL = "llm_call"
"""Its action type."""
NoAnswerReason = Literal["time", "budget", "limit", "busy", "away", "refused", "invalid", "broken", "resting"]
"""Why a call came to no answer: late; the hour's budget spent; a limit of the call; the endpoint busy, away, refusing; an answer that does
not fit; a fault on our side; the endpoint left alone after a failure."""
CallResult = Literal[NoAnswerReason, "answered"]
ANSWERED: CallResult = "answered"
FIGURE_MAX = 10**9
"""Largest figure of one call."""
Count = Annotated[int, Meta(ge=0, le=FIGURE_MAX)]
Amount = Annotated[float, Meta(ge=0, le=float(FIGURE_MAX))]
Purpose = Annotated[str, Meta(pattern=r"^[a-z_]{1,40}(\.[a-z_]{1,40})?$")]
"""What a call was for: `vote.weigh`, `vote.read`, `appraise`, `task.<skill>`."""


class CallFigures(Body, frozen=True, kw_only=True):
    """`action_details`. `estimated`: the endpoint did not say how many tokens it used, so they are estimated. `cost` is in the currency
    of the settings' prices; absent without prices.
    """

    requests: Count = 0
    input_tokens: Count = 0
    output_tokens: Count = 0
    estimated: bool = False
    duration_s: Amount = 0.0
    repaired: bool = False
    cost: Amount | UnsetType = UNSET


class CallContext(Body, frozen=True, kw_only=True):
    """`context_state`. `evidence` are the ids of what entered the prompt, `tools` what the model looked up, in order."""

    model: str
    purpose: Purpose
    result: CallResult
    detail: str = ""
    evidence: EventIds = []
    tools: list[str] = []
    prompt_sha256: str = ""
    proposal_id: str | UnsetType = UNSET
    task_id: str | UnsetType = UNSET
