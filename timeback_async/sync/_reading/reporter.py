"""Collect the findings about one person."""

from collections.abc import Callable

from .codes import Severity

__all__ = ["AddFinding", "Reporter"]

# Takes code, field and detail of a finding; returns its severity.
AddFinding = Callable[[str, str, str], Severity]


class Reporter:
    """Passes each finding on once, and remembers whether one of them is an error."""

    def __init__(self, add: AddFinding) -> None:
        self._add = add
        self._reported: list[tuple[str, str, str]] = []
        self.is_bad = False

    @property
    def number(self) -> int:
        return len(self._reported)

    def __call__(self, code: str, field: str, detail: str = "") -> None:
        if (code, field, detail) not in self._reported:
            self._reported.append((code, field, detail))
            if self._add(code, field, detail) == "error":
                self.is_bad = True
