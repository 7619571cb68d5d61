"""The log of one test's own, on the session's server."""

from tests.integration.conftest import bus, bus_settings

__all__ = ["bus", "bus_settings"]
