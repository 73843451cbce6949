"""Figures that tests report at the end of the run."""

__all__ = ["FIGURES", "figure"]

FIGURES: list[tuple[str, object]] = []


def figure(what: str, value: object) -> None:
    """Report a figure of a test, at the end of the test run."""
    FIGURES.append((what, str(value)))
