"""Collect what is wrong, odd or worth knowing in a roster, without quoting its values.

A finding has a code, a file, a line and a field; ids are the only content it may hold.
"""

from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

import msgspec

from .codes import CODES, RANK, SEVERITIES, Severity

__all__ = ["Cause", "Finding", "Findings"]

MAX_EXAMPLES = 1000
Watch = Callable[[str, Severity, str, int, str, str], None]


class Finding(msgspec.Struct, frozen=True):
    """One thing that was found.

    Attributes:
        code: One of `CODES`.
        severity: "error", "warning" or "note"; depends on `strict`.
        file: The file's name, or "" for the package.
        line: The line it begins on, from 1; 0 for the whole file.
        field: OneRoster's name of the field, or "".
        detail: An id, the name of a column, or a rule; never another value.
        is_accepted: Whether its code is one of those that `ReadOptions.accept` names.
    """

    code: str
    severity: Severity
    file: str = ""
    line: int = 0
    field: str = ""
    detail: str = ""
    is_accepted: bool = False

    @property
    def reason(self) -> str:
        """What is wrong, without the place."""
        more = f" ({self.detail})" if self.detail else ""
        return f"{CODES[self.code].says}{more}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types, with what it says and what to do about it."""
        return {
            "severity": self.severity,
            "accepted": self.is_accepted,
            "code": self.code,
            "file": self.file,
            "line": self.line,
            "field": self.field,
            "detail": self.detail,
            "says": CODES[self.code].says,
            "advice": CODES[self.code].advice,
        }

    def __str__(self) -> str:
        where = ":".join(filter(None, (self.file, str(self.line or ""))))
        field = f"{self.field}: " if self.field else ""
        return f"{where or 'package'}: {field}{self.reason}"


class Cause(msgspec.Struct):
    """All findings of one code and one field in one file.

    Attributes:
        code: One of `CODES`.
        severity: "error", "warning" or "note".
        file: The file's name, or "" for the package.
        field: OneRoster's name of the field, or "".
        count: How many there are.
        examples: The first 1,000.
        is_accepted: Whether `ReadOptions.accept` names its code.
    """

    code: str
    severity: Severity
    file: str
    field: str
    count: int
    examples: list[Finding]
    is_accepted: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for a program, with the first finding as text."""
        return {
            "code": self.code,
            "severity": self.severity,
            "accepted": self.is_accepted,
            "file": self.file,
            "field": self.field,
            "count": self.count,
            "first": str(self.examples[0]),
        }

    def __str__(self) -> str:
        where = f"{self.file}: " if self.file else ""
        what = f"{self.field}: " if self.field else ""
        return f"{where}{what}{CODES[self.code].says}"


class Findings:
    """Collects findings by cause, in memory that does not grow with their number.

    Args:
        strict: Whether deviations from the standard are errors.
        on_error: Called with every finding that leaves something out.
        on_finding: Called with every finding; None for nothing.
        accepted: Codes of findings that are known and accepted.

    Attributes:
        watch: Called with everything of each finding as well: code, severity, file, line, field
            and detail; None for nothing.
    """

    def __init__(
        self,
        strict: bool = False,
        on_error: Callable[[Finding], None] = lambda finding: None,
        on_finding: Callable[[Finding], None] | None = None,
        accepted: Collection[str] = (),
    ) -> None:
        self._strict, self._on_error, self._on_finding = strict, on_error, on_finding
        self._accepted = frozenset(accepted)
        self.watch: Watch | None = None
        self._causes: dict[tuple[str, str, str], Cause] = {}

    def add(
        self, code: str, file: str = "", line: int = 0, field: str = "", detail: str = ""
    ) -> Severity:
        """Add one finding, and return its severity."""
        cause = self._causes.get((code, file, field))
        if cause is None:
            known = CODES[code]
            severity = known.by_the_letter if self._strict else known.severity
            cause = Cause(code, severity, file, field, 0, [], code in self._accepted)
            self._causes[code, file, field] = cause
        cause.count += 1
        is_example, is_error = len(cause.examples) < MAX_EXAMPLES, cause.severity == "error"
        if is_example or is_error or self._on_finding is not None:
            finding = Finding(code, cause.severity, file, line, field, detail, cause.is_accepted)
            if is_example:
                cause.examples.append(finding)
            if is_error:
                self._on_error(finding)
            if self._on_finding is not None:
                self._on_finding(finding)
        if self.watch is not None:
            self.watch(code, cause.severity, file, line, field, detail)
        return cause.severity

    @property
    def causes(self) -> list[Cause]:
        """All causes: errors, then warnings, then notes; each before its consequences.

        Accepted ones come after the others of their severity.
        """

        def place(cause: Cause) -> tuple[int, bool, int, int]:
            severity = SEVERITIES.index(cause.severity)
            return severity, cause.is_accepted, RANK[cause.code], -cause.count

        return sorted(self._causes.values(), key=place)

    @property
    def severities(self) -> dict[Severity, int]:
        """How many findings there are of each severity, the accepted ones among them."""
        counts: Counter[Severity] = Counter()
        for cause in self._causes.values():
            counts[cause.severity] += cause.count
        return {severity: counts[severity] for severity in SEVERITIES}

    @property
    def errors(self) -> int:
        """How many findings left something out of the roster."""
        return self.severities["error"]

    @property
    def unaccepted(self) -> int:
        """How many of the errors are not accepted."""
        causes = (cause for cause in self._causes.values() if not cause.is_accepted)
        return sum(cause.count for cause in causes if cause.severity == "error")
