"""A skill made of a function: its schemas come from the type hints, its input is checked before it is called, its output after."""

import asyncio
import inspect
import typing
from collections.abc import Callable
from typing import Any

import msgspec

from cerebro_agent import messages
from cerebro_agent.errors import SkillError
from cerebro_agent.messages import Reply

Function = Callable[..., Any]


class Skill:
    """`function` takes the task's input and, where it asks for it, the task: a parameter whose type is `context`.

    One further parameter of a type that is a JSON object (a Struct, a dataclass, a TypedDict, a dict) is the whole input; several, or
    ones of simple types, are its fields. A plain function runs in a thread.
    """

    def __init__(self, name: str, description: str, function: Function, context: type) -> None:
        self.name = name
        self.description = description
        self._function = function
        hints = typing.get_type_hints(function, include_extras=True)
        self._output: Any = hints.pop("return", Any)
        parameters = inspect.signature(function).parameters
        self._task = next((p for p in parameters if hints.get(p) is context), None)
        taken = {p: hints.get(p, Any) for p in parameters if p != self._task}
        self._whole = next(iter(taken)) if len(taken) == 1 and _is_object(next(iter(taken.values()))) else None
        self._input: Any = taken[self._whole] if self._whole else _fields(name, parameters, taken)

    def announced(self) -> messages.Skill:
        output = {} if self._output in {Any, Reply} else msgspec.json.schema(self._output)
        return messages.Skill(
            name=self.name, description=self.description, input_schema=msgspec.json.schema(self._input), output_schema=output
        )

    async def perform(self, given: dict[str, Any], task: Any) -> Reply:
        """Call the function. Raises what it raises, and `SkillError`: `bad_input`, `bad_output`."""
        arguments = self._arguments(given)
        if self._task:
            arguments[self._task] = task
        if inspect.iscoroutinefunction(self._function):
            returned = await self._function(**arguments)
        else:
            returned = await asyncio.to_thread(self._function, **arguments)
        reply = returned if isinstance(returned, Reply) else Reply(output=returned)
        return Reply(output=self._checked(reply.output), parts=reply.parts)

    def _arguments(self, given: dict[str, Any]) -> dict[str, Any]:
        try:
            read = msgspec.convert(given, self._input)
        except msgspec.ValidationError as e:
            where = "" if " - at `" in str(e) else " - at `$`"
            raise SkillError("bad_input", f"input of {self.name}: {e}{where}") from e
        if self._whole:
            return {self._whole: read}
        return {field: getattr(read, field) for field in read.__struct_fields__}

    def _checked(self, output: Any) -> Any:
        try:
            plain = msgspec.to_builtins(output)
            if self._output not in {Any, Reply}:
                msgspec.convert(plain, self._output)
        except (msgspec.ValidationError, TypeError) as e:
            raise SkillError("bad_output", f"output of {self.name}: {e}") from e
        return plain


def _is_object(kind: Any) -> bool:
    kind = typing.get_origin(kind) or kind
    if not isinstance(kind, type):
        return False
    return issubclass(kind, msgspec.Struct | dict) or typing.is_typeddict(kind) or hasattr(kind, "__dataclass_fields__")


def _fields(name: str, parameters: Any, taken: dict[str, Any]) -> type[msgspec.Struct]:
    """A Struct with a field for each parameter."""
    fields: list[Any] = []
    for field, kind in taken.items():
        default = parameters[field].default
        fields.append((field, kind) if default is inspect.Parameter.empty else (field, kind, default))
    return msgspec.defstruct(f"{name}_input", fields, kw_only=True)
