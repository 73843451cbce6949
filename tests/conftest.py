import os
import random

import pytest

# The jitter of each test; another number shows what holds by chance.
SEED = int(os.environ.get("TEST_SEED", "0"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def draw_the_same_in_each_run() -> None:
    random.seed(SEED)
