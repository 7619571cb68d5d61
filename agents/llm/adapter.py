"""pydantic-ai behind the door: the only file that imports it, and imported only where a model is set.

A call is one agent run: structured output by a tool of ours, whose schema is that of a msgspec Struct, checked here, and told back once
where it does not fit. All limits are those of the settings and of the grant.
"""

import inspect
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import msgspec
from pydantic_ai import Agent, ModelRetry, StructuredDict, ToolOutput, UsageLimits
from pydantic_ai import Tool as ModelTool
from pydantic_ai.exceptions import (
    AgentRunError,
    ContentFilterError,
    ModelAPIError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
    UsageLimitUnavailableWarning,
    UserError,
)
from pydantic_ai.models import Model, infer_model
from pydantic_ai.providers import Provider, infer_provider_class
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RunUsage

from agents.llm.door import NoAnswer, Question, Spent, Tool
from agents.llm.settings import LlmSettings
from bus.errors import Misconfigured
from schemas.llm import NoAnswerReason

REPAIRS_MAX = 1
"""How often an answer that does not fit is told back with what is wrong."""
FAULTS_TOLD_MAX = 20
"""Most faults that are told back."""
ANSWER = "answer"
"""What the output tool is called."""
ADDRESSES = ("base_url", "api_base", "azure_endpoint")
"""What providers call the address."""
KEY_LEN_MIN = 6
"""A key shorter than this (a word such as `none`, which local servers are given) is no secret."""


@asynccontextmanager
async def opened(settings: LlmSettings) -> AsyncIterator["PydanticAi"]:
    """The model of these settings, with its connections. Raises `Misconfigured` where the provider cannot be used so."""
    try:
        model = infer_model(settings.model, partial(provider, settings))
    except (UserError, ValueError, ImportError) as e:
        raise Misconfigured(f"CEREBRO_LLM_MODEL {settings.model}: {e}") from e
    warnings.simplefilter("ignore", UsageLimitUnavailableWarning)  # the door counts such answers itself
    async with model:
        yield PydanticAi(model, settings)


def provider(settings: LlmSettings, name: str) -> Provider[Any]:
    """The provider called `name`, with the key and the address of the settings where they name any."""
    kind = infer_provider_class(name)
    taken = inspect.signature(kind).parameters
    address = next((parameter for parameter in ADDRESSES if parameter in taken), "base_url")
    given = {"api_key": settings.api_key.reveal(), address: settings.base_url}
    wanted = {parameter: value for parameter, value in given.items() if value}
    if refused := wanted.keys() - taken.keys():
        raise ValueError(f"provider {name} takes no {', '.join(sorted(refused))}")
    return kind(**wanted)


class PydanticAi:
    """The engine of `door.LanguageModel`."""

    def __init__(self, model: Model, settings: LlmSettings) -> None:
        self._model = model
        self._settings = settings
        self._key = settings.api_key.reveal() or str(getattr(getattr(model, "client", None), "api_key", ""))

    def scrubbed(self, text: str) -> str:
        return text.replace(self._key, "***") if len(self._key) >= KEY_LEN_MIN else text

    async def run(self, question: Question, tokens_max: int, spent: Spent) -> Any:
        """The model's answer in the question's shape, checked; what it cost stands in `spent`, also where it fails. Raises `NoAnswer`."""
        usage, accepted = RunUsage(), []

        def checked(given: dict[str, Any]) -> dict[str, Any]:
            accepted.append(self._checked(question, given, spent))
            return given

        agent = Agent(
            self._model,
            output_type=ToolOutput(StructuredDict(object_schema(question.answer), name=ANSWER), name=ANSWER),
            instructions=question.instructions,
            tools=[tool_of(tool, spent) for tool in question.tools if self._settings.tool_calls_max],
            retries=REPAIRS_MAX,
            model_settings=self._model_settings(question, tokens_max),
            name="cerebro",
        )
        agent.output_validator(checked)
        spent.unmeasured = True
        try:
            await agent.run(question.prompt, usage=usage, usage_limits=self._limits(tokens_max))
        except (AgentRunError, UserError) as e:
            spent.unmeasured = _unmeasured(usage)
            raise NoAnswer(reason_of(e), f"{type(e).__name__}: {e}") from e
        else:
            spent.unmeasured = _unmeasured(usage)
            return accepted[-1]
        finally:
            spent.requests, spent.input_tokens, spent.output_tokens = usage.requests, usage.input_tokens, usage.output_tokens

    @staticmethod
    def _checked(question: Question, given: dict[str, Any], spent: Spent) -> Any:
        """The answer as its Struct. By way of JSON, which knows no NaN. Raises `ModelRetry`, which tells the model what is wrong."""
        try:
            answer = msgspec.json.decode(msgspec.json.encode(given), type=question.answer)
        except msgspec.ValidationError as e:
            spent.repaired = True
            raise ModelRetry(str(e)) from e
        if faults := question.check(answer):
            spent.repaired = True
            raise ModelRetry("\n".join(faults[:FAULTS_TOLD_MAX]))
        return answer

    def _model_settings(self, question: Question, tokens_max: int) -> ModelSettings:
        return ModelSettings(
            max_tokens=min(self._settings.output_tokens_max, tokens_max),
            timeout=question.timeout_s,
            max_retries=self._settings.tries_max - 1,
        )

    def _limits(self, tokens_max: int) -> UsageLimits:
        lookups = self._settings.tool_calls_max
        return UsageLimits(request_limit=1 + REPAIRS_MAX + lookups, tool_calls_limit=lookups, total_tokens_limit=tokens_max)


def _unmeasured(usage: RunUsage) -> bool:
    """Whether an answer came of which the endpoint did not say what it took."""
    return usage.unmeasured_requests > 0 or (usage.requests > 0 and not usage.total_tokens)


def tool_of(tool: Tool, spent: Spent) -> ModelTool[Any]:
    """A tool as pydantic-ai takes it."""

    async def call(**given: Any) -> str:
        spent.tools.append(tool.name)
        return await tool.run(given)

    return ModelTool.from_schema(call, tool.name, tool.description, tool.schema)


def object_schema(kind: Any) -> dict[str, Any]:
    """The JSON Schema of a Struct, itself at the top and those it holds in `$defs`."""
    (_,), parts = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    top = dict(parts.pop(kind.__name__))
    return top | ({"$defs": parts} if parts else {})


def reason_of(error: AgentRunError | UserError) -> NoAnswerReason:
    """Why there is no answer, in our closed set."""
    match error:
        case UsageLimitExceeded():
            return "limit"
        case ModelRateLimitError() | ModelQuotaExceededError():
            return "busy"
        case ContentFilterError() | ModelRequestRejectedError() | UserError():
            return "refused"
        case ModelAPIError():
            return "away"
        case UnexpectedModelBehavior():
            return "invalid"
    return "broken"
