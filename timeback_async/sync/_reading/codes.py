"""What each kind of finding says, and what to do about it.

Causes are listed first: correcting an early one may make later ones disappear.
"""

from typing import Literal, NamedTuple

__all__ = ["CODES", "RANK", "Code", "Severity"]

Severity = Literal["error", "warning", "note"]


class Code(NamedTuple):
    """The meaning of one code.

    Attributes:
        severity: "error": something is left out; "warning": it is sent, but should be checked;
            "note": it was understood, though it differs from the standard.
        says: What is wrong.
        advice: What to do. Options are written as Python writes them: `mode="delta"`, or
            `default_org` alone.
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
        "there is no manifest.csv", 'nothing; pass mode="delta" if the files are not a full set'
    ),
    "manifest-differs": _warning(
        "the manifest and the files disagree", "the files were believed; have the export corrected"
    ),
    "mode-unclear": _warning(
        "the manifest does not say whether a file is a full set or changes",
        'it was read as changes; have the manifest corrected, or pass mode="bulk"',
    ),
    "mode-doubtful": _warning(
        "the manifest says bulk, but the rows are dated as in a delta",
        "absence is not judged; have the manifest or the rows corrected",
    ),
    "version-unknown": _warning(
        "the manifest names a version that is neither 1.1 nor 1.2", "it was read as 1.2"
    ),
    "package-inside": _note("the folder holds one package, which was read", "nothing"),
    "name-prefix": _note("the file names begin with a common prefix", "nothing"),
    # the header of a file
    "delimiter": _note("columns are not separated by commas", "nothing"),
    "encoding": _note("the file is not UTF-8 and was read as you said", "export it as UTF-8"),
    "rows-wider": _warning(
        "all rows end in blank cells that the header has no names for",
        "check whether a column's name is missing in the middle of the header",
    ),
    "header-name": _note("a column goes by another name", "nothing, or have the header corrected"),
    "header-order": Code(
        "note", "the columns are not in the order of the standard", "nothing", "error"
    ),
    "column-absent": _warning("a column of the map is not in the file", "check its spelling"),
    "column-unknown": Code("note", "a column is not known and was not read", "nothing", "note"),
    "header-incomplete": _note("a column of the standard is missing", "nothing"),
    "column-missing": _error(
        "a column that every record needs is missing", 'export it, or set it by layout="FILE"'
    ),
    "file-empty": Code(
        "warning",
        "the file has a header and no rows",
        "check whether the export is complete",
        "warning",
    ),
    "file-unusable": _warning(
        "the file lacks columns that it needs and was not read",
        "check whether it is what its name says",
    ),
    # rows
    "row-width": _error(
        "the row does not have as many cells as the header", "correct the row's quotes"
    ),
    "row-broken": _error("the row is not CSV", "look for a quote that is never closed"),
    "line-break": _error(
        "a cell contains a line break, or rows stick together", "remove the line break or the quote"
    ),
    "cell-type": _error("a cell has a type that cannot be written as text", "export it as text"),
    "json-broken": _error("the line is not a record in JSON", "correct the line"),
    "left-out-before": _error(
        "an earlier run could not make a record of this row", "correct the row in its own file"
    ),
    "id-missing": _error("the row has no sourcedId", "give it one that never changes"),
    "id-invalid": _error("the sourcedId cannot be sent", "see the detail for the rule"),
    "duplicate-same": _note("the file has the same row twice", "nothing; it counts once"),
    "rows-merged": _note(
        "several rows of one sourcedId differ only in schools, agents or grades; all of them count",
        "nothing",
    ),
    "duplicate-different": _error(
        "several different rows have one sourcedId", "keep one of them; none was sent"
    ),
    # values
    "value-missing": _error("a required value is blank", "fill it in"),
    "value-invalid": _error("a value is not valid", "see the detail for the rule"),
    "value-form": _note("a value is written in another form than the standard's", "nothing"),
    "value-dropped": _warning(
        "an optional value cannot be read and was not sent", "correct it, or leave the cell blank"
    ),
    "date-ambiguous": _error(
        "day and month cannot be distinguished",
        'pass date_format="%d/%m/%Y" or date_format="%m/%d/%Y"',
    ),
    "deleted-by-id": _note(
        "a row to be deleted lacks required values; the person is deleted as TimeBack has them",
        "nothing",
    ),
    "status-inactive": Code(
        "note", "the status inactive is of OneRoster 1.0 alone", "nothing", "note"
    ),
    "grade-unmapped": _warning(
        "a grade is not in the grade map and is sent as it is", 'map it by grades="FILE"'
    ),
    # roles and orgs
    "role-missing": _error("the person has no role", "add a row to roles.csv, or send a full set"),
    "role-unknown": _error(
        "the role is not one that TimeBack knows", 'translate it by layout="FILE"'
    ),
    "role-not-current": Code(
        "warning",
        "the person has no role today: all have ended, or have not begun",
        "check the dates of the roles; those that begin later count first, then those that ended",
        "warning",
    ),
    "role-later": Code(
        "warning",
        "a role begins after today, and a delta is not read again on that day",
        "send the role again on its first day, or a full set",
        "warning",
    ),
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
    "org-missing": _error("the person has no primary org", "fill it in, or pass default_org"),
    "org-unmapped": _error("the org is not in the org map", "add it there, or pass default_org"),
    "org-unknown": _warning(
        "the org is not in orgs.csv and is sent as it is", "correct orgs.csv, or pass org_map"
    ),
    "same-person": Code(
        "note",
        "several sourcedIds have one username, master identifier or user id",
        "nothing is merged; check whether it is one person",
        "note",
    ),
    "demographics-alone": _error(
        "demographics of a person who is not in users.csv", "send both, or a full set"
    ),
    "roles-alone": _error("a role of a person who is not in users.csv", "send both, or a full set"),
    # links; most of these follow from what is above
    "agent-unknown": _error(
        "an agent is not in users.csv", "add the agent, or remove the reference"
    ),
    "agent-neither": _error(
        "exactly one of two linked people has to be a student", "remove the reference"
    ),
    "relation-differs": _warning(
        "two people are linked in different ways; the first was taken", "keep one of them"
    ),
    "link-repeated": _warning(
        "several lines link two people in different ways; the last one counts", "keep one of them"
    ),
    "agent-role": _error(
        "an agent is not parent, guardian or relative",
        'pass relationship="TYPE", or remove the reference',
    ),
    "agent-left-out": _error(
        "a link is left out because one of its people is", "correct the person's row first"
    ),
    # compared with what earlier runs wrote
    "options-changed": _warning(
        "the mapping options have changed, and a delta does not hold all records they change",
        "send a full set",
    ),
    "absent": Code(
        "note",
        "records of earlier runs are no longer in the files; they were left alone",
        "pass deactivate_absent or unlink_absent to remove them",
        "note",
    ),
    "absence-unjudged": Code(
        "warning",
        "the files hold only changes, so no record can be absent from them",
        'send a full set, or pass mode="bulk" if this is one',
        "warning",
    ),
    "absence-doubtful": _warning(
        "absence cannot be judged: rows without a readable sourcedId might be the absent ones",
        "correct those rows",
    ),
}
RANK = {code: rank for rank, code in enumerate(CODES)}
