"""The figures of one run, as plain data that processes exchange."""

import msgspec


class Sample(msgspec.Struct):
    """One run of one contender: CPU and time of sending in seconds, peak memory in bytes.

    `server_cpu` and `saved` are the figures of the server during the run.
    """

    contender: str
    records: int
    cpu: float
    elapsed: float
    peak: int
    server_cpu: float = 0.0
    saved: int = 0
    round: int = 0


class Figures(msgspec.Struct):
    """The figures of a server: its own CPU in seconds, and the records it saved."""

    cpu: float = 0.0
    saved: int = 0
