"""A secret among the settings: it does not show itself where the settings are logged, printed or put into an error."""


class Secret:
    """A text that only `reveal` tells; `repr`, `str` and formatting give stars, and it has no JSON form."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself. Whoever calls this keeps it out of logs, errors and answers."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(***)" if self._text else "Secret()"
