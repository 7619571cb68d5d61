"""The door to a language model, for those agents that the settings give one (`docs/minds.md`).

    mind, skill, appraiser ──▶ door.LanguageModel.ask(Question) ──▶ the answer, or NoAnswer with its reason
                                 budget      may it be asked now, and for how many tokens
                                 adapter     pydantic-ai, imported here alone and only where a model is set
                                 a span, and an episode that remembers the call

What others wrote (memories, lessons, tasks, proposals) goes in as data, fenced by `prompt`; a model's answer comes out as a
Struct that was checked, or not at all. A model publishes nothing: it can read memory and ask deterministic skills (`tools`).
"""
