"""What a pool counts."""

import pytest

from tests.support.clock import simulated
from tests.support.rig import scripted
from tests.support.scripted import REFUSED, Outcome, answer


@simulated
async def test_statistics_count_what_has_happened() -> None:
    script: list[Outcome] = [answer(), answer(429), answer(503), REFUSED, answer(401), answer()]
    rig = scripted(*script, latency=1.0)
    for _ in range(3):
        await rig.send()

    statistics = rig.pool.statistics()

    assert (statistics.attempts, statistics.retries, statistics.throttled) == (7, 4, 1)
    assert statistics.token_requests == 2
    assert (statistics.in_flight, statistics.waiting, statistics.gate) == (0, 0, 0.0)
    assert statistics.latency.p50 == pytest.approx(1.0, rel=0.02)
