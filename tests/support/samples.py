"""Where the rosters are that schools and vendors have published. They are not ours to copy."""

from pathlib import Path

import pytest

__all__ = ["DATA", "name_of_sample", "needs_samples"]

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_samples = pytest.mark.skipif(
    not DATA.is_dir(),
    reason=f"needs the rosters that schools and vendors have published, in {DATA}: they are not "
    "ours to copy into the repository, so only its maintainers have them; the same is tested on "
    "packages of our own making, see tests/support/packages.py",
)


def name_of_sample(value: object) -> str | None:
    """Return the id of a parameter that is a sample's path."""
    return str(value.relative_to(DATA)) if isinstance(value, Path) else None
