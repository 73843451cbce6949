"""A mock server beside the tests of the fleet, whose workers are threads and processes."""

from tests.support.command import server

__all__ = ["server"]
