"""What usually is behind an exception: a table of rules by its type and message. Public knowledge of Python, no more."""

import re

import msgspec


class Rule(msgspec.Struct, frozen=True):
    """`message` must be found in the exception's; groups of it may stand in `cause` and `fix` by name. `weight` 0…1."""

    types: tuple[str, ...]
    cause: str
    fix: str
    weight: float
    message: str = ""


_R = Rule
RULES: tuple[Rule, ...] = (
    _R(
        ("AttributeError",),
        "a value is None where an object with `{attr}` was expected: something returned nothing",
        "check what produces the value, and handle None before `.{attr}`",
        0.8,
        r"'NoneType' object has no attribute '(?P<attr>\w+)'",
    ),
    _R(
        ("AttributeError",),
        "module `{module}` has no `{attr}`: another version, a shadowing file of the same name, or a circular import",
        "compare the installed version with the code, and look for a local file called {module}.py",
        0.7,
        r"module '(?P<module>[\w.]+)' has no attribute '(?P<attr>\w+)'",
    ),
    _R(
        ("AttributeError",),
        "`{type}` has no `{attr}`: a misspelt name, or an object of another type than expected",
        "check the spelling and the type at this line",
        0.6,
        r"'(?P<type>[\w.]+)' object has no attribute '(?P<attr>\w+)'",
    ),
    _R(
        ("KeyError",),
        "key {key} is not in the mapping: the data differ from what the code expects",
        "look at the keys that are there; use .get() or check first where the key may be missing",
        0.7,
        r"(?P<key>.+)",
    ),
    _R(("IndexError",), "a sequence is shorter than the index: often it is empty", "check the length before, and what fills it", 0.7),
    _R(
        ("ModuleNotFoundError", "ImportError"),
        "`{module}` is not installed in this environment, or not on its path",
        "install it into the environment that runs this, and check which interpreter that is",
        0.8,
        r"No module named '(?P<module>[\w.]+)'",
    ),
    _R(
        ("ImportError",),
        "a circular import: two modules need each other before one is complete",
        "move the import into the function, or what both need into a third module",
        0.8,
        r"partially initialized module|circular import",
    ),
    _R(
        ("ImportError",),
        "`{name}` is not in that module: another version, or a misspelt name",
        "compare the installed version with the code",
        0.7,
        r"cannot import name '(?P<name>\w+)'",
    ),
    _R(
        ("TypeError",),
        "a value is None where something {what} was needed",
        "find what returned None, and handle it",
        0.75,
        r"'NoneType' object is not (?P<what>subscriptable|iterable|callable)",
    ),
    _R(
        ("TypeError",),
        "a call does not fit the signature: {what}",
        "compare the call with the definition",
        0.75,
        r"(?P<what>missing \d+ required .+|takes .+ but .+ given|got an unexpected keyword argument .+)",
    ),
    _R(
        ("TypeError",),
        "`{a}` and `{b}` do not go together in this operation: one was not converted",
        "convert one of them on purpose",
        0.7,
        r"unsupported operand type\(s\) for .+: '(?P<a>\w+)' and '(?P<b>\w+)'",
    ),
    _R(
        ("TypeError",),
        "something that is a `{type}` is called like a function: a name was overwritten, or () is too many",
        "check what the name refers to at this line",
        0.6,
        r"'(?P<type>\w+)' object is not callable",
    ),
    _R(
        ("TypeError",),
        "`{type}` cannot be written as JSON",
        "convert it first",
        0.75,
        r"Object of type (?P<type>\w+) is not JSON serializable",
    ),
    _R(("TypeError",), "a value has another type than this line expects", "check the types that arrive here", 0.4),
    _R(
        ("JSONDecodeError",),
        "the text is not JSON: often it is empty or an HTML error page",
        "look at the raw text and at the status of what sent it",
        0.75,
    ),
    _R(
        ("UnicodeDecodeError",),
        "the bytes are in another encoding than {codec}",
        "name the encoding, or read bytes",
        0.75,
        r"'(?P<codec>[\w-]+)' codec",
    ),
    _R(
        ("ValueError",),
        "text that is no number is converted to one: {what}",
        "check the input before it is converted",
        0.7,
        r"(?P<what>invalid literal for .+|could not convert string to float: .+)",
    ),
    _R(
        ("ValueError",),
        "another number of values than names to unpack them into",
        "check what the right side gives",
        0.7,
        r"not enough values to unpack|too many values to unpack",
    ),
    _R(
        ("ValueError",),
        "a value has the right type and is not allowed: {what}",
        "check where the value comes from",
        0.4,
        r"(?P<what>[^\n]{1,200})",
    ),
    _R(
        ("NameError", "UnboundLocalError"),
        "`{name}` is used before it is defined, or misspelt",
        "check spelling, imports and the branches that assign it",
        0.7,
        r"'(?P<name>\w+)'",
    ),
    _R(
        ("FileNotFoundError",),
        "{path} does not exist: a wrong path, or another working directory than expected",
        "use an absolute path, and check what should have made it",
        0.8,
        r"(?P<path>'[^']+')",
    ),
    _R(
        ("PermissionError",),
        "this user may not do that to {path}",
        "check owner and mode, and whether somebody else holds it",
        0.75,
        r"(?P<path>'[^']+')",
    ),
    _R(
        ("IsADirectoryError", "NotADirectoryError"),
        "a folder stands where a file was expected, or the other way round",
        "check the path",
        0.75,
    ),
    _R(
        ("ConnectionRefusedError",),
        "nothing listens at that address: the server is down, starting, or at another port",
        "check that it runs and where it listens; retry with a pause while it starts",
        0.8,
    ),
    _R(
        ("ConnectionResetError", "BrokenPipeError", "ConnectionAbortedError"),
        "the other side closed the connection",
        "look at its log for that moment; reconnect and retry what may be repeated",
        0.7,
    ),
    _R(("gaierror",), "the host name cannot be resolved", "check the name and the DNS of this machine", 0.8),
    _R(
        ("TimeoutError", "ReadTimeout", "ConnectTimeout"),
        "the other side did not answer in time: it is overloaded, unreachable or stuck",
        "measure how long it takes, and look for what it waits for",
        0.65,
    ),
    _R(
        ("OSError",),
        "the address is in use: another process, or an earlier run of this one, holds the port",
        "stop it, or take another port",
        0.85,
        r"[Aa]ddress already in use",
    ),
    _R(("OSError",), "the disk is full", "free space, and bound what fills it", 0.9, r"No space left on device"),
    _R(
        ("OSError",),
        "too many open files: something is opened and not closed",
        "close what is opened (`with`), or raise the limit",
        0.85,
        r"Too many open files",
    ),
    _R(("RecursionError",), "a function calls itself without an end", "check its condition to stop, and cycles in the data", 0.8),
    _R(("MemoryError",), "there is not enough memory for what is held at once", "work in parts, and bound what is kept", 0.7),
    _R(("ZeroDivisionError",), "the divisor is zero: often a count over nothing", "handle the empty case before dividing", 0.8),
    _R(("AssertionError",), "what the code takes for granted does not hold", "read the assertion, and find what broke it", 0.5),
    _R(
        ("SyntaxError", "IndentationError", "TabError"),
        "the source is not valid Python for this interpreter",
        "look at the marked place and the line before; check the Python version",
        0.8,
    ),
    _R(("CancelledError",), "the task was cancelled, often by a timeout or a shutdown", "look for who cancelled it", 0.5),
    _R(
        ("RuntimeError",),
        "an event loop is started inside one that runs",
        "await instead, or run it in another thread",
        0.8,
        r"event loop is already running|cannot be called from a running event loop",
    ),
    _R(
        ("RuntimeError",),
        "a collection is changed while it is iterated",
        "iterate over a copy",
        0.85,
        r"changed size during iteration|mutated during iteration",
    ),
    _R(("StopIteration",), "`next()` was asked of an iterator that is at its end", "give next() a default", 0.7),
    _R(
        ("IntegrityError", "UniqueViolationError", "UniqueViolation"),
        "a row with this key is there already: it was written twice",
        "make the write idempotent (ON CONFLICT), or find who wrote it first",
        0.75,
        r"(?i)unique|duplicate",
    ),
    _R(
        ("OperationalError", "InterfaceError", "ConnectionDoesNotExistError"),
        "the database cannot be reached, or it closed the connection",
        "check that it runs; reconnect and retry the transaction",
        0.6,
    ),
)
"""Earlier rules of a type are more specific; all that match are told."""

UNKNOWN_WEIGHT = 0.2
"""Confidence where no rule knows the exception."""


def matching(name: str, message: str) -> list[tuple[float, str, str | None]]:
    """Weight, cause and fix of each rule that fits; at least one, which then says how little is known."""
    found: list[tuple[float, str, str | None]] = []
    for rule in RULES:
        hit = re.search(rule.message, message) if name in rule.types else None
        if hit:
            named = {k: v or "" for k, v in hit.groupdict().items()}
            found.append((rule.weight, rule.cause.format(**named), rule.fix.format(**named)))
    return found or [(UNKNOWN_WEIGHT, f"{name} was raised, for which no rule is known", None)]
