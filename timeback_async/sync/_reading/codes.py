"""What each kind of finding says, and what to do about it.

Causes are listed first: correcting an early one may make later ones disappear.
"""

from typing import Literal, NamedTuple, get_args

from ...models.ids import ID_RULE

__all__ = ["CODES", "RANK", "SEVERITIES", "Code", "Severity"]

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)  # the worst first


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
        "there is no manifest.csv, so the files are taken for everybody",
        'nothing; if they hold only changes, pass mode="delta"',
    ),
    "manifest-differs": _warning(
        "the manifest and the files disagree",
        "check whether a file is missing that manifest.csv lists; those that are there were read",
    ),
    "mode-unclear": _warning(
        "manifest.csv does not say whether a file holds everybody (bulk) or changes alone (delta)",
        'have manifest.csv corrected, or pass mode="bulk"; until then it is read as changes',
    ),
    "mode-doubtful": _warning(
        "manifest.csv says that everybody is in the file (bulk), but the rows are dated as changes",
        "have the export corrected; until then nobody counts as missing",
    ),
    "version-unknown": _warning(
        "manifest.csv names a version that is not known", "check the result; it was read as 1.2"
    ),
    "package-inside": _note("the folder holds one package, which was read", "nothing"),
    "name-prefix": _note("the file names begin with a common prefix", "nothing"),
    "file-unread": Code(
        "note",
        "a data file was not read",
        'nothing, or say what it holds by layout="FILE"',
        "note",
    ),
    "table-absent": _warning(
        "the map has a table for a file that is not there",
        "check whether the export is complete, and the name",
    ),
    # the header of a file
    "delimiter": _note("columns are not separated by commas", "nothing"),
    "encoding": _note("the file is not UTF-8", "nothing, or export it as UTF-8"),
    "encoding-doubtful": _warning(
        "the file could be UTF-8, but was read in the encoding that you named",
        "check whether its names are right; if not, leave out the option encoding",
    ),
    "before-header": _note("some lines stand before the header; they were not read", "nothing"),
    "header-name": _note("a column goes by another name", "nothing, or have the header corrected"),
    "header-order": Code(
        "note", "the columns are not in the order of the standard", "nothing", "error"
    ),
    "column-absent": _warning("a column of the map is not in the file", "check its spelling"),
    "column-nameless": _warning(
        "a column with values has no name, so it was not read", "name it in the header"
    ),
    "column-misspelt": _warning(
        "a column was not read, but its name looks like one of the standard",
        "correct its name in the header",
    ),
    "column-unknown": Code("note", "a column is not known and was not read", "nothing", "note"),
    "column-unnamed": Code(
        "note",
        "a column that the map does not name was read by its OneRoster name",
        'nothing; a line "NAME" = "" in the map leaves it out',
        "note",
    ),
    "column-overruled": _warning(
        "a column was not read, because the map has a constant in its place",
        'name the column in the map, or leave it out there by "NAME" = ""',
    ),
    "enabled-assumed": _note(
        "there is no column enabledUser, and everybody counts as enabled",
        "nothing; OneRoster 1.0 has no such column",
    ),
    "enabled-missing": _warning(
        "the column enabledUser is missing, and everybody counts as enabled",
        'export it, or set it by layout="FILE"',
    ),
    "header-incomplete": _note("a column of the standard is missing", "nothing"),
    "column-missing": _error(
        "a column that every record needs is missing",
        'have it exported; if it has another name, or one value for all, say so by layout="FILE"',
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
    "row-encoding": _error(
        "the row is in another encoding than the file",
        'export the file as UTF-8, or name the encoding of such rows, such as encoding="cp1252"',
    ),
    "row-broken": _error(
        "a quote in the row is never closed, or stands alone",
        'look for a quote (") that is opened and never closed',
    ),
    "row-width": _error(
        "the row does not have as many cells as the header",
        "look for a comma or a quote too many or too few in it",
    ),
    "row-shifted": _error(
        "an e-mail stands where a telephone belongs: the cells are in wrong columns",
        "look for a comma or a quote too many or too few in it",
    ),
    "row-no-record": _note("a line is a footer, a ruler, or the header again", "nothing"),
    "row-shorter": _warning(
        "the row ends before the last columns, which were read as blank",
        "check whether a comma is missing in the row",
    ),
    "row-wider": _warning(
        "the row ends in blank cells that belong to no column",
        "check whether there is a comma too many in the row",
    ),
    "row-doubtful": _warning(
        "the e-mail address of the row is none, or it stands in another column",
        "check whether the cells of the row are in their columns",
    ),
    "encoding-mixed": _warning(
        "the row is in another encoding than most of its file, and was read in that one",
        "check whether its names are right; export the file as UTF-8",
    ),
    "cell-type": _error("a cell has a type that cannot be written as text", "export it as text"),
    "json-broken": _error("the line is not a record in JSON", "correct the line"),
    "left-out-before": _error(
        "an earlier run could not make a record of this row", "correct the row in its own file"
    ),
    "id-missing": _error("the row has no sourcedId", "give it one that never changes"),
    "id-damaged": _error(
        "a spreadsheet has changed the id, or it is not one id: its original is not known",
        "export it again as text, without opening the file in a spreadsheet",
    ),
    "id-mended": _note("invisible characters or quotes around an id were removed", "nothing"),
    "id-unusual": _warning(
        "an id has characters that OneRoster does not allow; it was sent as it is",
        "check whether it is the right one",
    ),
    "id-invalid": _error(f"the sourcedId cannot be sent: it {ID_RULE}", "correct it"),
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
    "value-invalid": _error("a value is not valid", "correct it; the rule is in brackets"),
    "value-left-out": _warning(
        "a value cannot be read, so the person was sent without it",
        "correct it; the rule is in brackets. For dates of another form, pass date_format",
    ),
    "value-none": _note("a word or a date stands for no value, and was read as blank", "nothing"),
    "username-none": _note("the student has no username; none was sent", "nothing"),
    "name-doubtful": _warning("a name is a word for no value", "check whether it is a name"),
    "list-unknown": _error(
        "a list is written in an unknown way, and was not read", "separate its ids by commas"
    ),
    "text-unseen": _note("invisible characters were removed from a value", "nothing"),
    "text-html": _warning(
        "a value is written as on a page of the web, such as &amp; for &", "check the value"
    ),
    "text-formula": _warning(
        "a spreadsheet wrote a formula or a shortened number in place of a value, which is lost",
        "export it again without opening the file in a spreadsheet",
    ),
    "text-quoted": _note("quotes around a value were removed", "nothing"),
    "text-control": _warning(
        "characters that are no letters were removed from a value", "check the value"
    ),
    "text-lost": _warning(
        "a letter was lost before the file was written, and a sign stands in its place",
        "correct it where the file comes from, or export it again as UTF-8",
    ),
    "text-garbled": _warning(
        "letters look garbled, because a program before took UTF-8 for another encoding",
        "export the file again as UTF-8",
    ),
    "value-form": _note("a value is written in another form than the standard's", "nothing"),
    "email-doubtful": _warning("an e-mail address is not one address", "check it"),
    "date-ambiguous": _warning(
        "day and month cannot be distinguished, so the date was left out",
        'pass date_format="%d/%m/%Y" or date_format="%m/%d/%Y"',
    ),
    "deleted-by-id": _note(
        "a row to be deleted lacks required values; the person is deleted as TimeBack has them",
        "nothing",
    ),
    "dates-swapped": _warning(
        "some dates of the file have day and month the other way round, so that others may have "
        "been read wrongly",
        'check them, and pass date_format="%d/%m/%Y" or date_format="%m/%d/%Y"',
    ),
    "status-inactive": Code(
        "note", "the status inactive is of OneRoster 1.0 alone", "nothing", "note"
    ),
    "grade-unmapped": _warning(
        "a grade is not one that TimeBack is known to use, and is sent as it is",
        'check it; to send another one in its place, pass grades="FILE"',
    ),
    # roles and orgs
    "role-missing": _error(
        "the person has no role",
        "fill in one, such as student or parent, or add a row to roles.csv, or a relationship to a "
        "student, or export everybody",
    ),
    "role-related": Code(
        "note",
        "a person without a role has the one that a relationship to a student says",
        "nothing; the org is default_org, or else the student's",
        "note",
    ),
    "contact-known": Code(
        "note",
        "another file holds this contact with a role, and that row counts",
        "nothing",
        "note",
    ),
    "role-unknown": _error(
        "the role is not one that TimeBack knows", 'correct it, or translate it by layout="FILE"'
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
    "administrator-uncertain": _warning(
        "OneRoster 1.1's administrator became a site administrator, because the org is not known "
        "as a district",
        "say in orgs.csv which orgs are districts and schools",
    ),
    "role-left-out": Code(
        "warning",
        "a student has other roles too, which TimeBack's students cannot have",
        "nothing, or give the person two sourcedIds",
        "warning",
    ),
    "org-missing": _error(
        "the person has no primary org, that is, no school",
        "fill it in, or pass default_org for everybody without one",
    ),
    "org-unmapped": _error(
        "the org (a school) is not in the org map, the list of what TimeBack calls each",
        "add it to the file of org_map, or pass default_org",
    ),
    "org-unreadable": _error(
        "the org is neither an id nor a list of ids in a known form",
        "write one id, or several separated by commas; or pass org_map or default_org",
    ),
    "org-uncertain": _warning(
        "the person has several orgs, and none is known as a school; the first one was taken as "
        "the primary org",
        "say in orgs.csv which of them are schools",
    ),
    "org-unknown": _warning(
        "the org (a school) is not in orgs.csv, and is sent as it is",
        "check its id, or add it to orgs.csv; if TimeBack has another id for it, pass org_map",
    ),
    "same-person": Code(
        "note",
        "several sourcedIds have one username, master identifier or user id",
        "nothing is merged; check whether it is one person",
        "note",
    ),
    "demographics-alone": _error(
        "demographics of a person who is not in users.csv",
        "export both together, or everybody",
    ),
    "roles-alone": _error(
        "a role of a person who is not in users.csv", "export both together, or everybody"
    ),
    # links; most of these follow from what is above
    "agent-unknown": _error(
        "an agent is not in users.csv", "add that parent or guardian there, or remove the id"
    ),
    "contact-unknown": _error(
        "no contact has the e-mail of a student's relationship",
        "add the contact, or remove the relationship",
    ),
    "contact-unclear": _error(
        "several contacts have the e-mail of a student's relationship",
        "give each of them an e-mail of their own",
    ),
    "agent-neither": _error(
        "exactly one of two linked people has to be a student",
        "remove the id of one from the row of the other, or correct a role",
    ),
    "relation-differs": _warning(
        "two people are linked in different ways; the first was taken", "keep one of them"
    ),
    "link-repeated": _warning(
        "several lines link two people in different ways; the last one counts", "keep one of them"
    ),
    "agent-role": _error(
        "an agent is not parent, guardian or relative",
        'correct the role or remove the id; to link them all the same, pass relationship="TYPE"',
    ),
    "agent-left-out": _error(
        "a link is left out because one of its people is", "correct the person's row first"
    ),
    # compared with what earlier runs wrote
    "id-other-form": _warning(
        "a new sourcedId is that of somebody who is gone, written in another form",
        "check whether it is the same person; if so, write the sourcedId as before",
    ),
    "options-changed": _warning(
        "options of reading have changed, and files of changes do not hold all whom that concerns",
        "send everybody once: a full set",
    ),
    "absent": Code(
        "note",
        "records of earlier runs are no longer in the files; they were left alone",
        "pass deactivate_absent or unlink_absent to remove them",
        "note",
    ),
    "absence-unjudged": Code(
        "warning",
        "the files hold only changes, so nobody can be missing from them",
        'send a full set, or pass mode="bulk" if this is one',
        "warning",
    ),
    "absence-doubtful": _warning(
        "nobody was taken for missing: rows without a readable sourcedId may be theirs",
        "correct those rows",
    ),
}
RANK = {code: rank for rank, code in enumerate(CODES)}
