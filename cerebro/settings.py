"""All settings, read once from the environment.

Field `x_y` of part `memory` is CEREBRO_MEMORY_X_Y. Names that every deployment sets are shorter, as CEREBRO_NATS_URL (`SHORT`). Text
stands for itself, numbers and true/false are converted, and a list or an object is written as JSON. A part that has a field
`<part>_by_agent` beside it can be set for one agent too: CEREBRO_LLM_RICARDO_MODEL is field `model` of part `llm` for ricardo.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from agents.llm.settings import LlmSettings
from agents.settings import AgentSettings
from agents.synadia.settings import BridgeSettings
from bus.secret import Secret
from bus.settings import BusSettings
from cerebro.embedded.settings import NatsServerSettings
from gateway.a2a.settings import A2ASettings
from gateway.settings import GatewaySettings
from memory.settings import MemorySettings

SHORT: Final = {
    ("bus", "nats_url"): "CEREBRO_NATS_URL",
    ("bus", "nats_nkey"): "CEREBRO_NATS_NKEY",
    ("bus", "nats_ca"): "CEREBRO_NATS_CA",
    ("bus", "nats_cert"): "CEREBRO_NATS_CERT",
    ("bus", "nats_cert_key"): "CEREBRO_NATS_CERT_KEY",
    ("memory", "postgres_dsn"): "CEREBRO_POSTGRES_DSN",
    ("memory", "redis_url"): "CEREBRO_REDIS_URL",
}

# No settings, but between a process and who watches it:
READY_FD: Final = "CEREBRO_READY_FD"  # a pipe's descriptor: the launcher tells its child where to say `ready`
PULSE_FILE: Final = "CEREBRO_PULSE_FILE"  # a file whose age a container's health check looks at

LOG_FILE_BYTES_MAX: Final = 16 * 1024 * 1024

BY_AGENT: Final = "_by_agent"  # ends the name of the field that holds what is set for one agent alone

S = TypeVar("S", bound=msgspec.Struct)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set; each room gets its own part."""

    bus: BusSettings = BusSettings()
    nats: NatsServerSettings = NatsServerSettings()
    memory: MemorySettings = MemorySettings()
    agents: AgentSettings = AgentSettings()
    bridge: BridgeSettings = BridgeSettings()
    llm: LlmSettings = LlmSettings()
    llm_by_agent: dict[str, LlmSettings] = {}
    gateway: GatewaySettings = GatewaySettings()
    a2a: A2ASettings = A2ASettings()
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """What is written to stderr: this level and above."""
    log_file_bytes_max: Annotated[int, Meta(ge=4_096)] = LOG_FILE_BYTES_MAX
    """Longest log of a process of `cerebro up`: then it begins anew within two seconds; the one before is kept as `NAME.old`. 16 MiB."""


class SettingsError(Exception):
    """A variable is unknown, or its value does not fit. The message names it."""


def read(environ: Mapping[str, str]) -> Settings:
    """The settings that `environ` asks for, defaults elsewhere. Raises SettingsError, naming the variable."""
    return read_as(Settings, environ)


def read_as(shape: type[S], environ: Mapping[str, str]) -> S:
    """As `read`, for settings of any shape: fields that are Structs are its parts."""
    known = dict(variables(shape))
    values: dict[str, dict[str, Any]] = {}
    special: dict[str, dict[str, dict[str, Any]]] = {}
    for name, text in environ.items():
        if name in known:
            part, field = known[name]
            values.setdefault(part, {})[field.name] = convert(name, text, field.type)
        elif found := of_agent(shape, name):
            part, agent, field = found
            special.setdefault(part, {}).setdefault(agent, {})[field.name] = convert(name, text, field.type)
        elif name.startswith("CEREBRO_") and name not in (READY_FD, PULSE_FILE):
            raise SettingsError(unknown(name, list(known)))
    own = values.pop("", {})
    parts = {field.name: field.type for field in msgspec.structs.fields(shape)}
    made = shape(**own, **{part: parts[part](**given) for part, given in values.items()})
    return msgspec.structs.replace(made, **{f"{part}{BY_AGENT}": _each(getattr(made, part), given) for part, given in special.items()})


def _each(for_all: msgspec.Struct, given: Mapping[str, Mapping[str, Any]]) -> dict[str, msgspec.Struct]:
    """For each agent that has its own, the settings of all with those in their place."""
    return {agent: msgspec.structs.replace(for_all, **own) for agent, own in given.items()}


def variables(shape: type[msgspec.Struct]) -> Iterator[tuple[str, tuple[str, msgspec.structs.FieldInfo]]]:
    """Every variable there is, with the part it belongs to ("" for none) and its field."""
    for field in msgspec.structs.fields(shape):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            for inner in msgspec.structs.fields(field.type):
                name = SHORT.get((field.name, inner.name), f"CEREBRO_{field.name}_{inner.name}".upper())
                yield name, (field.name, inner)
        elif not field.name.endswith(BY_AGENT):
            yield f"CEREBRO_{field.name}".upper(), ("", field)


def of_agent(shape: type[msgspec.Struct], name: str) -> tuple[str, str, msgspec.structs.FieldInfo] | None:
    """The part, the agent (in capitals, as a variable has it) and the field that a variable sets for one agent; None where it does not.

    Where the ends of two fields' names fit, the longer one is meant.
    """
    types = {field.name: field.type for field in msgspec.structs.fields(shape)}
    for part in (field.removesuffix(BY_AGENT) for field in types if field.endswith(BY_AGENT)):
        for inner in sorted(msgspec.structs.fields(types[part]), key=lambda f: -len(f.name)):
            if found := re.fullmatch(f"CEREBRO_{part.upper()}_([A-Z0-9_]+)_{inner.name.upper()}", name):
                return part, found[1], inner
    return None


def convert(name: str, text: str, kind: Any) -> Any:
    """The value of a variable as its field wants it. Raises SettingsError without the value, which may be a secret."""
    if kind is Secret:
        return Secret(text.strip())
    try:
        if text[:1] in ("[", "{"):
            return msgspec.json.decode(text, type=kind)
        return msgspec.convert(text, kind, strict=False)
    except msgspec.MsgspecError as error:
        raise SettingsError(f"{name}: {error}") from None


def unknown(name: str, known: list[str]) -> str:
    """The sentence for a variable that is no setting, with the one that was probably meant."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else "")
