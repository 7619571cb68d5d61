"""What an agent with a language model has: the model, whose it is, and what it may look up."""

import msgspec

from agents.llm.door import LanguageModel
from agents.llm.settings import LlmSettings
from agents.llm.tools import Lookups


class Faculty(msgspec.Struct, frozen=True, kw_only=True):
    """One agent's language model. `persona` says in its instructions whose mind it is."""

    model: LanguageModel
    persona: str
    lookups: Lookups

    @property
    def settings(self) -> LlmSettings:
        return self.model.settings
