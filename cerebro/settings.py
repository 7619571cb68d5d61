"""All settings, read once from the environment.

Field `x_y` of part `memory` is CEREBRO_MEMORY_X_Y. Three names are shorter, because every deployment sets them:
CEREBRO_NATS_URL, CEREBRO_POSTGRES_DSN and CEREBRO_REDIS_URL. Text stands for itself, numbers and true/false are
converted, and a list or an object is written as JSON.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeVar

import msgspec

from agents.settings import AgentSettings
from agents.synadia.settings import BridgeSettings
from bus.secret import Secret
from bus.settings import BusSettings
from gateway.settings import GatewaySettings
from memory.settings import MemorySettings

SHORT: Final = {
    ("bus", "nats_url"): "CEREBRO_NATS_URL",
    ("memory", "postgres_dsn"): "CEREBRO_POSTGRES_DSN",
    ("memory", "redis_url"): "CEREBRO_REDIS_URL",
}

# No settings, but between a process and who watches it:
READY_FD: Final = "CEREBRO_READY_FD"  # a pipe's descriptor: the launcher tells its child where to say `ready`
PULSE_FILE: Final = "CEREBRO_PULSE_FILE"  # a file whose age a container's health check looks at

S = TypeVar("S", bound=msgspec.Struct)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set; each room gets its own part."""

    bus: BusSettings = BusSettings()
    memory: MemorySettings = MemorySettings()
    agents: AgentSettings = AgentSettings()
    bridge: BridgeSettings = BridgeSettings()
    gateway: GatewaySettings = GatewaySettings()
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """What is written to stderr: this level and above."""


class SettingsError(Exception):
    """A variable is unknown, or its value does not fit. The message names it."""


def read(environ: Mapping[str, str]) -> Settings:
    """The settings that `environ` asks for, defaults elsewhere. Raises SettingsError, naming the variable."""
    return read_as(Settings, environ)


def read_as(shape: type[S], environ: Mapping[str, str]) -> S:
    """As `read`, for settings of any shape: fields that are Structs are its parts."""
    known = dict(variables(shape))
    values: dict[str, dict[str, Any]] = {}
    for name, text in environ.items():
        if name in known:
            part, field = known[name]
            values.setdefault(part, {})[field.name] = convert(name, text, field.type)
        elif name.startswith("CEREBRO_") and name not in (READY_FD, PULSE_FILE):
            raise SettingsError(unknown(name, list(known)))
    own = values.pop("", {})
    parts = {field.name: field.type for field in msgspec.structs.fields(shape)}
    return shape(**own, **{part: parts[part](**given) for part, given in values.items()})


def variables(shape: type[msgspec.Struct]) -> Iterator[tuple[str, tuple[str, msgspec.structs.FieldInfo]]]:
    """Every variable there is, with the part it belongs to ("" for none) and its field."""
    for field in msgspec.structs.fields(shape):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            for inner in msgspec.structs.fields(field.type):
                name = SHORT.get((field.name, inner.name), f"CEREBRO_{field.name}_{inner.name}".upper())
                yield name, (field.name, inner)
        else:
            yield f"CEREBRO_{field.name}".upper(), ("", field)


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
