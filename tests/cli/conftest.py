from tests.support.command import server

__all__ = ["server"]
