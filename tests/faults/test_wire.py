"""What happens to bytes on their way, over real sockets."""

import asyncio

from .case import case, figure, student
from .proxy import Weather


async def test_an_idle_connection_closed_by_the_server_costs_no_record() -> None:
    """The keep-alive race: sends fall around the moment at which the server hangs up."""
    async with case(weather=Weather(idle=0.2), keepalive=10.0, counts_match=False) as it:
        failed = 0
        for number in range(30):
            report = await it.upsert([student(f"{number}-{n}") for n in range(8)])
            failed += report.submitted - report.saved
            await asyncio.sleep(0.19 + 0.001 * (number % 20))

        assert failed == 0
        figure("keep-alive race, sends around an idle timeout of 0.2 s: failures", failed)
