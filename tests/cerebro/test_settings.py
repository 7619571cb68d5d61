"""Settings from an environment: named, converted, and refused with the variable's name."""

from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from agents.llm.settings import LlmSettings
from bus.secret import Secret
from cerebro.settings import SettingsError, read, read_as


class Part(msgspec.Struct, frozen=True):
    nats_url: str = "nats://default"
    wait_s: Annotated[float, Meta(gt=0)] = 1.0
    loud: bool = False
    names: list[str] = []
    secret: str | None = None


class Shape(msgspec.Struct, frozen=True):
    bus: Part = Part()
    other: Part = Part()
    log_level: str = "INFO"


class TestReading:
    def test_nothing_set_gives_the_defaults(self) -> None:
        assert read_as(Shape, {"PATH": "/bin"}) == Shape()

    def test_a_field_of_a_part_is_named_after_both(self) -> None:
        assert read_as(Shape, {"CEREBRO_OTHER_WAIT_S": "2.5"}).other.wait_s == 2.5

    def test_a_field_of_no_part_has_the_prefix_only(self) -> None:
        assert read_as(Shape, {"CEREBRO_LOG_LEVEL": "DEBUG"}).log_level == "DEBUG"

    def test_the_server_of_the_bus_has_a_short_name(self) -> None:
        assert read_as(Shape, {"CEREBRO_NATS_URL": "nats://elsewhere"}).bus.nats_url == "nats://elsewhere"

    @pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("false", False), ("0", False)])
    def test_booleans_are_words_or_digits(self, text: str, value: bool) -> None:
        assert read_as(Shape, {"CEREBRO_OTHER_LOUD": text}).other.loud is value

    def test_a_list_is_json(self) -> None:
        assert read_as(Shape, {"CEREBRO_OTHER_NAMES": '["a", "b"]'}).other.names == ["a", "b"]

    def test_text_that_looks_like_a_number_stays_text(self) -> None:
        assert read_as(Shape, {"CEREBRO_OTHER_SECRET": "12"}).other.secret == "12"


class TestRefusing:
    def test_a_value_that_does_not_fit_names_the_variable(self) -> None:
        with pytest.raises(SettingsError, match=r"^CEREBRO_OTHER_WAIT_S: .*> 0"):
            read_as(Shape, {"CEREBRO_OTHER_WAIT_S": "-1"})

    def test_a_value_is_not_repeated_because_it_may_be_a_secret(self) -> None:
        with pytest.raises(SettingsError) as refused:
            read_as(Shape, {"CEREBRO_OTHER_WAIT_S": "hunter2"})
        assert "hunter2" not in str(refused.value)

    def test_an_unknown_variable_names_the_nearest_one(self) -> None:
        with pytest.raises(SettingsError, match="CEREBRO_OTHER_WAITS is not a setting; did you mean CEREBRO_OTHER_WAIT_S"):
            read_as(Shape, {"CEREBRO_OTHER_WAITS": "1"})

    def test_what_the_launcher_tells_its_child_is_no_setting(self) -> None:
        assert read_as(Shape, {"CEREBRO_READY_FD": "7"}) == Shape()


class TestSecrets:
    @pytest.mark.parametrize("text", ["sk-hidden", "sk-hidden\n", '{"a": "sk-hidden"}'])
    def test_a_secret_is_read_and_shows_itself_nowhere(self, text: str) -> None:
        settings = read({"CEREBRO_MEMORY_EMBEDDING_API_KEY": text})
        assert settings.memory.embedding_api_key == Secret(text.strip())
        shown = [repr(settings), str(settings.memory), f"{settings.memory.embedding_api_key}", f"{settings.memory.embedding_api_key!s}"]
        assert "sk-hidden" not in " ".join(shown)
        assert settings.memory.embedding_api_key.reveal() == text.strip()

    def test_none_is_false(self) -> None:
        assert not read({}).memory.embedding_api_key

    def test_a_url_without_a_scheme_is_refused_without_being_repeated(self) -> None:
        with pytest.raises(SettingsError, match="CEREBRO_MEMORY_EMBEDDING_URL") as refused:
            read({"CEREBRO_MEMORY_EMBEDDING_URL": "user:hunter2@host"})
        assert "hunter2" not in str(refused.value)


class TestForOneAgent:
    def test_what_is_set_for_one_stands_beside_what_is_set_for_all(self) -> None:
        settings = read(
            {
                "CEREBRO_LLM_MODEL": "openai-chat:small",
                "CEREBRO_LLM_VOTE_TIMEOUT_S": "3",
                "CEREBRO_LLM_RICARDO_MODEL": "openai-chat:large",
                "CEREBRO_LLM_SITE_OPS_API_KEY": "sk-hidden",
            }
        )
        own = settings.llm_by_agent
        assert (settings.llm.model, own["RICARDO"].model, own["SITE_OPS"].model) == (
            "openai-chat:small",
            "openai-chat:large",
            "openai-chat:small",
        )
        assert own["RICARDO"].vote_timeout_s == 3.0
        assert (own["SITE_OPS"].api_key, own["RICARDO"].api_key) == (Secret("sk-hidden"), Secret())
        assert "sk-hidden" not in repr(settings)

    def test_of_two_fields_whose_names_end_alike_the_longer_one_is_meant(self) -> None:
        own = read({"CEREBRO_LLM_ARIA_TOOL_CALLS_MAX": "2"}).llm_by_agent
        assert own == {"ARIA": LlmSettings(tool_calls_max=2)}

    @pytest.mark.parametrize(
        "name", ["CEREBRO_LLM_MODELS", "CEREBRO_LLM_RICARDO_MODELS", "CEREBRO_LLM_BY_AGENT", "CEREBRO_LLM_ricardo_MODEL"]
    )
    def test_what_is_no_field_is_no_setting(self, name: str) -> None:
        with pytest.raises(SettingsError, match=f"{name} is not a setting"):
            read({name: "x"})

    def test_a_value_that_does_not_fit_names_the_variable(self) -> None:
        with pytest.raises(SettingsError, match="CEREBRO_LLM_RICARDO_PAUSE_S"):
            read({"CEREBRO_LLM_RICARDO_PAUSE_S": "-1"})


class TestTheRealOnes:
    def test_the_three_servers_have_their_short_names(self) -> None:
        settings = read({"CEREBRO_NATS_URL": "nats://n:1", "CEREBRO_POSTGRES_DSN": "postgresql://p/d", "CEREBRO_REDIS_URL": "redis://r"})
        assert (settings.bus.nats_url, settings.memory.postgres_dsn, settings.memory.redis_url) == (
            "nats://n:1",
            "postgresql://p/d",
            "redis://r",
        )
