"""The figures of one run, as plain data that processes exchange. Times are in seconds."""

import msgspec


class Sample(msgspec.Struct):
    """One run of one contender: CPU and time of sending, and the peak memory in bytes.

    The other figures are those of the server during the run: its CPU, the records it saved, and how
    long it waited before an answer.
    """

    contender: str
    records: int
    cpu: float
    elapsed: float
    peak: int
    server_cpu: float = 0.0
    saved: int = 0
    latency: float = 0.0
    round: int = 0


class Figures(msgspec.Struct):
    """The figures of a server: its own CPU, the records it saved, and all its waiting for them."""

    cpu: float = 0.0
    saved: int = 0
    waited: float = 0.0
