"""Where the rosters are that schools and vendors have published. They are not ours to copy."""

from pathlib import Path

import pytest

__all__ = ["DATA", "needs_samples"]

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_samples = pytest.mark.skipif(
    not DATA.is_dir(),
    reason=f"needs the rosters that schools and vendors have published, in {DATA}: they are not "
    "ours to copy into the repository, so only its maintainers have them; the same is tested on "
    "packages of our own making, see tests/support/packages.py",
)
