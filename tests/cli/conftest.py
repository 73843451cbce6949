import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import server

__all__ = ["server"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder: commands write where they are."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Give Ctrl-C back, which a command that has ended does not care for any more."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)
