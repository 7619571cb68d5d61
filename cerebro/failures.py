"""What failed, out of the groups that tasks put it in."""


def first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first real failure of a group, however deep it is nested."""
    failure = failures.exceptions[0]
    return first(failure) if isinstance(failure, BaseExceptionGroup) else failure
