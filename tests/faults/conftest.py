"""Before anything is started: what is asked of these tests in the environment is no setting of a mesh, which would refuse it."""

from tests.faults import chances

__all__ = ["chances"]
