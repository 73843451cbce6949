"""A TimeBack server in memory to test against, and the faults that it can have.

Under pytest the fixtures `timeback_server` and `timeback_session` are available without an import.
"""

from ._faults import Faults, Throttle
from ._server import MockServer

__all__ = ["Faults", "MockServer", "Throttle"]
