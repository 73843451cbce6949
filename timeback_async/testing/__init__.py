"""A TimeBack server to test against, and the faults it can have.

With pytest the fixtures `timeback_server` and `timeback_session` are there by themselves.
"""

from ._faults import Faults, Throttle
from ._server import MockServer

__all__ = ["Faults", "MockServer", "Throttle"]
