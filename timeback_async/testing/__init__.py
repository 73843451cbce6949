"""A TimeBack server in memory to test against, and the faults that it can have.

Under pytest the fixtures `timeback_server` and `timeback_session` are available without an import.
"""

from ._calls import Call, Failure
from ._faults import Faults, Throttle
from ._mocked import MockedResponse
from ._server import MockServer

__all__ = ["Call", "Failure", "Faults", "MockServer", "MockedResponse", "Throttle"]
