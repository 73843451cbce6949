"""What a call knows of itself: its attempts, its last status, whether an answer is missing."""

import pytest

from tests.support.clock import simulated
from tests.support.rig import scripted
from tests.support.scripted import AT_ONCE, CUT_OFF, NO_ANSWER, REFUSED, Outcome, answer
from timeback_async import RetryPolicy


@pytest.mark.parametrize(
    ("script", "unanswered"),
    [
        ([answer(400)], False),
        ([CUT_OFF], True),
        ([REFUSED], False),
        ([NO_ANSWER, REFUSED], True),
        ([NO_ANSWER, answer(503)], True),
        ([NO_ANSWER, answer(302)], True),
        ([NO_ANSWER, answer(429), answer(503)], True),
        ([NO_ANSWER, answer(503), answer(409)], False),
        ([NO_ANSWER, answer(503), answer(201)], False),
        ([answer(503), answer(503)], False),
    ],
    ids=repr,
)
@simulated
async def test_a_call_knows_whether_an_answer_is_missing(
    script: list[Outcome], unanswered: bool
) -> None:
    rig = scripted(*script, retry=RetryPolicy(attempts=len(script), initial=0.0))
    call = rig.call()

    await rig.settle(rig.pool.send(call))

    assert call.unanswered == unanswered


@simulated
async def test_a_call_has_the_status_of_its_last_answer() -> None:
    rig = scripted(answer(503), CUT_OFF, answer(200), retry=AT_ONCE)
    call = rig.call()

    await rig.pool.send(call)

    assert (call.status, call.attempts, call.failures) == (200, 3, 2)
