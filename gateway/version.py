"""The version of the release."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("cerebro")
except PackageNotFoundError:  # run from a checkout that is not installed
    VERSION = "0.1.0"
