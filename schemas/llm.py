"""What an agent remembers of each call to a language model: an episode of type `llm_call`.

Its figures stand in `action_details`, where words would be indexed; its words stand in `context_state`, so that no search for
something else finds it. The ids of what entered the call become edges of the graph.
"""

from msgspec import UNSET, UnsetType

from schemas.words import Body, EventIds

LLM_CALL = "llm_call"
"""Its action type."""
ANSWERED = "answered"
"""The result of a call that came to an answer; every other one names why it did not."""


class CallFigures(Body, frozen=True, kw_only=True):
    """`action_details`. `estimated`: the endpoint did not say how many tokens it used, so they are estimated. `cost` is in the currency
    of the settings' prices; absent without prices.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    estimated: bool = False
    duration_s: float = 0.0
    repaired: bool = False
    cost: float | UnsetType = UNSET


class CallContext(Body, frozen=True, kw_only=True):
    """`context_state`. `evidence` are the ids of what entered the prompt, `tools` what the model looked up, in order."""

    model: str
    purpose: str
    result: str
    detail: str = ""
    evidence: EventIds = []
    tools: list[str] = []
    prompt_sha256: str = ""
    proposal_id: str | UnsetType = UNSET
    task_id: str | UnsetType = UNSET
