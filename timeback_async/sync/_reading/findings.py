"""What is wrong, odd or worth knowing in a roster, without a single value of it.

A finding names code, file, line and field; ids are the only content it may hold. Codes stand here
in the order of cause and consequence: what comes first is to be mended first.
"""

from typing import Literal, NamedTuple

import msgspec

__all__ = ["CODES", "Cause", "Code", "Finding", "Findings", "Severity"]

Severity = Literal["error", "warning", "note"]


class Code(NamedTuple):
    """What a kind of finding says.

    Attributes:
        severity: "error": something is left out; "warning": it is sent, look at it; "note": it
            was understood, though it is not by the letter.
        says: What is the matter.
        advice: What to do about it.
        by_the_letter: The severity under `strict`.
    """

    severity: Severity
    says: str
    advice: str
    by_the_letter: Severity = "error"


def _note(says: str, advice: str) -> Code:
    return Code("note", says, advice)


def _warning(says: str, advice: str) -> Code:
    return Code("warning", says, advice)


def _error(says: str, advice: str) -> Code:
    return Code("error", says, advice)


CODES: dict[str, Code] = {
    # the package
    "manifest-missing": _note(
        "there is no manifest.csv", "nothing, or say --mode delta where the files are no full set"
    ),
    "manifest-differs": _warning(
        "the manifest and the files disagree", "the files were believed; have the export mended"
    ),
    "mode-unclear": _warning(
        "the manifest does not say whether a file is a full set or changes",
        "it was read as changes; have the manifest mended, or say --mode bulk",
    ),
    "mode-doubtful": _warning(
        "the manifest says bulk, but the rows are dated as in a delta",
        "absence is not judged; have the manifest or the rows mended",
    ),
    "version-unknown": _warning(
        "the manifest names a version that is neither 1.1 nor 1.2", "it was read as 1.2"
    ),
    "package-inside": _note("the folder holds one package, which was read", "nothing"),
    "name-prefix": _note("the file names begin with a common prefix", "nothing"),
    # the head of a file
    "delimiter": _note("columns are not separated by commas", "nothing"),
    "encoding": _note("the file is not UTF-8 and was read as you said", "export it as UTF-8"),
    "rows-wider": _warning(
        "all rows end in blank cells that the header has no names for",
        "look whether a column's name is missing in the middle of the header",
    ),
    "header-name": _note("a column goes by another name", "nothing, or have the header mended"),
    "header-order": Code(
        "note", "the columns are not in the order of the standard", "nothing", "error"
    ),
    "column-absent": _warning("a column of the map is not in the file", "look for a typing error"),
    "column-unknown": Code("note", "a column is not known and was not read", "nothing", "note"),
    "header-incomplete": _note("a column of the standard is not there", "nothing"),
    "column-missing": _error(
        "a column that every record needs is not there", "export it, or give it in a --map file"
    ),
    "file-empty": Code(
        "warning",
        "the file has a header and no rows",
        "look whether the export is complete",
        "warning",
    ),
    "file-unusable": _warning(
        "the file lacks columns that it needs and was not read",
        "look whether it is what its name says",
    ),
    # rows
    "row-width": _error("the row has not as many cells as the header", "mend the row's quotes"),
    "row-broken": _error("the row is not CSV", "look for a quote that is never closed"),
    "line-break": _error(
        "a cell holds a line break, or rows stick together", "take the line break or the quote out"
    ),
    "cell-type": _error("a cell holds what no text could say", "export it as text"),
    "json-broken": _error("the line is not a record in JSON", "mend the line"),
    "id-missing": _error("the row has no sourcedId", "give it one that stays the same"),
    "id-invalid": _error("the sourcedId cannot be sent", "see the detail for the rule"),
    "duplicate-same": _note("the same row stands there twice", "nothing; it counts once"),
    "duplicate-different": _error(
        "several different rows have one sourcedId", "keep one of them; none was sent"
    ),
    # values
    "value-missing": _error("a required value is blank", "fill it in"),
    "value-invalid": _error("a value is not valid", "see the detail for the rule"),
    "value-form": _note("a value is written in another form than the standard's", "nothing"),
    "date-ambiguous": _error(
        "day and month cannot be told apart", "say --date-format, such as %d/%m/%Y"
    ),
    "status-inactive": Code("note", "status inactive is OneRoster 1.0's", "nothing", "note"),
    "grade-unmapped": _warning(
        "a grade is not in the grade map and is sent as it is", "give it in a --grades file"
    ),
    # roles and orgs
    "role-missing": _error("the person has no role", "add a row to roles.csv, or send a bulk set"),
    "role-unknown": _error("the role is none that TimeBack knows", "translate it in a --map file"),
    "role-administrator": Code(
        "note",
        "OneRoster 1.1's administrator became site or district administrator by its org",
        "nothing",
        "note",
    ),
    "role-left-out": Code(
        "warning",
        "a student has other roles too, which TimeBack's students cannot have",
        "nothing, or give the person two sourcedIds",
        "warning",
    ),
    "org-missing": _error("there is no org to be the primary one", "fill it in, or --default-org"),
    "org-unmapped": _error("the org is not in the org map", "add it there, or --default-org"),
    "org-unknown": _warning(
        "the org is not in orgs.csv and is sent as it is", "mend orgs.csv, or give an --org-map"
    ),
    "same-person": Code(
        "note",
        "several sourcedIds have one username, master identifier or user id",
        "nothing is merged; look whether it is one person",
        "note",
    ),
    "demographics-alone": _error(
        "demographics of somebody who is not in users.csv", "send both, or a bulk set"
    ),
    "roles-alone": _error("a role of somebody who is not in users.csv", "send both, or a bulk set"),
    # links, most of which follow from what is above
    "agent-unknown": _error("an agent is not in users.csv", "add the agent, or drop the reference"),
    "agent-neither": _error(
        "of two linked people exactly one has to be a student", "drop the reference"
    ),
    "relation-differs": _warning(
        "two people are linked in different ways; the first was taken", "keep one of them"
    ),
    "agent-role": _error(
        "an agent is no parent, guardian or relative", "say --relationship TYPE, or drop it"
    ),
    "agent-left-out": _error(
        "the link of somebody who is left out is left out too", "mend the person's row first"
    ),
    # against what earlier runs wrote
    "options-changed": _warning(
        "the mapping options have changed, and a delta holds not all that they change",
        "send a bulk set",
    ),
    "absent": Code(
        "note",
        "earlier runs wrote what is no longer in the files; it was left alone",
        "--deactivate-absent or --unlink-absent, if that is meant",
        "note",
    ),
    "absence-unjudged": Code(
        "warning",
        "nobody is absent from files that hold changes alone",
        "send a full set, or say --mode bulk if this is one",
        "warning",
    ),
    "absence-doubtful": _warning(
        "absence cannot be judged: rows without a readable sourcedId might be the absent ones",
        "mend those rows",
    ),
}
RANK = {code: rank for rank, code in enumerate(CODES)}
MAX_EXAMPLES = 1000


class Finding(msgspec.Struct, frozen=True):
    """One thing that was found.

    Attributes:
        code: One of `CODES`.
        severity: How bad it is, here.
        file: The file's name, or "" for the package.
        line: The line it begins on, from 1; 0 for the whole file.
        field: The field in OneRoster's name, or "".
        detail: More about it: an id, a column's name, a rule; never another value.
    """

    code: str
    severity: Severity
    file: str = ""
    line: int = 0
    field: str = ""
    detail: str = ""

    def __str__(self) -> str:
        where = ":".join(filter(None, (self.file, str(self.line or ""))))
        what = f"{self.field}: {CODES[self.code].says}" if self.field else CODES[self.code].says
        more = f" ({self.detail})" if self.detail else ""
        return f"{where or 'package'}: {what}{more}"


class Cause(msgspec.Struct):
    """All findings of one code and one field in one file.

    Attributes:
        count: How many there are.
        examples: The first 1,000.
    """

    code: str
    severity: Severity
    file: str
    field: str
    count: int
    examples: list[Finding]

    def __str__(self) -> str:
        where = f"{self.file}: " if self.file else ""
        what = f"{self.field}: " if self.field else ""
        return f"{where}{what}{CODES[self.code].says}"


class Findings:
    """Collects findings by cause, in memory that does not grow with their number.

    Args:
        strict: By the letter of the standard.
    """

    def __init__(self, strict: bool = False) -> None:
        self._strict = strict
        self._causes: dict[tuple[str, str, str], Cause] = {}

    def add(
        self, code: str, file: str = "", line: int = 0, field: str = "", detail: str = ""
    ) -> Severity:
        """Take one finding in, and return how bad it is."""
        cause = self._causes.get((code, file, field))
        if cause is None:
            known = CODES[code]
            severity = known.by_the_letter if self._strict else known.severity
            cause = Cause(code, severity, file, field, 0, [])
            self._causes[code, file, field] = cause
        cause.count += 1
        if len(cause.examples) < MAX_EXAMPLES:
            cause.examples.append(Finding(code, cause.severity, file, line, field, detail))
        return cause.severity

    @property
    def causes(self) -> list[Cause]:
        """What was found: causes before their consequences."""
        return sorted(self._causes.values(), key=lambda cause: (RANK[cause.code], -cause.count))

    @property
    def errors(self) -> int:
        """How many findings left something out."""
        return sum(cause.count for cause in self._causes.values() if cause.severity == "error")
