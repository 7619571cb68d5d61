"""What failed: out of the groups that tasks put it in, and as a process tells it by its status."""

import os
from typing import Final

MISCONFIGURED: Final = os.EX_CONFIG
"""Status of an actor whose settings do not fit what is there: starting it again does not help."""


def first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first real failure of a group, however deep it is nested."""
    failure = failures.exceptions[0]
    return first(failure) if isinstance(failure, BaseExceptionGroup) else failure
