"""What one run came to: plain data, between the processes that run and the one that compares."""

import msgspec


class Sample(msgspec.Struct):
    """One run of one contender: CPU and time of the sending in seconds, peak memory in bytes.

    What the server has seen meanwhile stands beside it.
    """

    contender: str
    records: int
    cpu: float
    elapsed: float
    peak: int
    attempts: int = 0
    server_cpu: float = 0.0
    saved: int = 0
    rejected: int = 0
    round: int = 0


class Figures(msgspec.Struct):
    """What a server has seen: its own CPU in seconds, and answers by kind."""

    cpu: float = 0.0
    saved: int = 0
    rejected: int = 0
