import logging
from pathlib import Path

import pytest

from tests.support.command import server

__all__ = ["server"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of one's own, as an operator does; the state is there."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    logger = logging.getLogger("timeback_async")
    monkeypatch.setattr(logger, "handlers", [])  # of an earlier run, whose stderr is closed
    monkeypatch.setattr(logger, "level", logger.level)
    return tmp_path / "here"
