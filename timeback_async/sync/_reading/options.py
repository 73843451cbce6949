"""How a roster is read and mapped: the options, and the options with their files loaded."""

import datetime
import hashlib
import re
import tomllib
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from ...errors import ConfigError
from .codes import CODES
from .layout import Layout, check_date_format, read_layout

__all__ = ["CEDS_TO_TIMEBACK", "LoadedOptions", "ReadOptions", "ceds_grade"]

FileMode = Literal["bulk", "delta"]

# CEDS writes "01", TimeBack's guide "1". A CEDS code without a counterpart is sent as it is.
CEDS_TO_TIMEBACK = {
    "PK": "PK", "KG": "K", "K": "K",
    **{f"{grade:02}": str(grade) for grade in range(1, 13)},
    **{str(grade): str(grade) for grade in range(1, 13)},
}  # fmt: skip
# What CEDS calls its codes PK and KG.
NAMES_OF_CODES = {"PREKINDERGARTEN": "PK", "KINDERGARTEN": "KG"}
_number = re.compile(r"0*([1-9][0-9]?)(?:\.0*)?").fullmatch


def ceds_grade(text: str) -> str | None:
    """Return TimeBack's grade of a CEDS code in another form: `kg`, `9.0`, `009`, `Kindergarten`.

    None if it is not certainly one of the known codes: `13`, `Grade 9`, `9-12`.
    """
    if found := _number(text):
        return CEDS_TO_TIMEBACK.get(found[1])
    code = text.upper()
    return CEDS_TO_TIMEBACK.get(NAMES_OF_CODES.get(code, code))


class ReadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a roster is read. Every default is the lenient one.

    Attributes:
        strict: Whether deviations from the standard are errors instead of notes.
        encoding: Encoding of files or lines that are not UTF-8, such as "cp1252"; None to leave
            such lines out, and to refuse files that have hardly any others. UTF-16 needs no name.
        layout: A TOML file that maps columns to fields; None for OneRoster and School Data Sync.
        org_map: Pairs of the file's org id and TimeBack's: a TOML file, or a mapping. An org that
            is missing in it is an error unless there is a `default_org`.
        default_org: TimeBack's id of the org of people who have none in the files.
        grades: "ceds-to-timeback", "none", or a TOML file of pairs: the file's grade = TimeBack's.
        relationship: Type of the link to an agent who is not parent, guardian or relative; None to
            leave such links out.
        date_format: Form of the dates, for `datetime.strptime`.
        mode: What files are that the manifest does not cover: "bulk", a full set, or "delta".
        accept: Codes of findings, of `CODES`, that are known and accepted: they are reported, but
            a run with them alone is `ok`.
        today: The day that roles begin and end by; None for the local day when the options are
            loaded.
    """

    strict: bool = False
    encoding: str | None = None
    layout: str | Path | None = None
    org_map: str | Path | Mapping[str, str] | None = None
    default_org: str | None = None
    grades: str | Path = "ceds-to-timeback"
    relationship: str | None = None
    date_format: str | None = None
    mode: FileMode | None = None
    accept: Collection[str] = ()
    today: datetime.date | None = None

    def loaded(self) -> "LoadedOptions":
        """Return the options with every file loaded.

        Raises:
            ConfigError: An option is wrong, or its file cannot be read; the message begins with
                the option's name.
        """
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except (LookupError, ValueError):
                raise ConfigError(
                    f"encoding: {self.encoding!r} is not known; pass a name that Python knows"
                ) from None
        if self.date_format is not None:
            check_date_format("date_format", self.date_format)
        for code in self.accept:
            _check_code(code)
        grades: dict[str, str] | None = CEDS_TO_TIMEBACK
        if self.grades != "ceds-to-timeback":
            grades = None if self.grades == "none" else _pairs("grades", self.grades)
        return LoadedOptions(
            strict=self.strict,
            encoding=self.encoding,
            layout=read_layout(Path(self.layout)) if self.layout else None,
            org_map=None if self.org_map is None else _pairs("org_map", self.org_map),
            default_org=self.default_org,
            grades=grades,
            relationship=self.relationship,
            date_format=self.date_format,
            mode=self.mode,
            accept=frozenset(self.accept),
            today=self.today or datetime.date.today(),  # noqa: DTZ011 - the school's own day
        )


class LoadedOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`ReadOptions` with their files loaded; see there."""

    strict: bool
    encoding: str | None
    layout: Layout | None
    org_map: dict[str, str] | None
    default_org: str | None
    grades: dict[str, str] | None
    relationship: str | None
    date_format: str | None
    mode: FileMode | None
    accept: frozenset[str] = frozenset()
    today: datetime.date

    def context(self) -> bytes:
        """Return all that may change what is found in the same files on the same day."""
        always = replace(self, accept=frozenset(), today=datetime.date.min)
        return msgspec.json.encode(always, order="sorted")

    def fingerprint(self) -> str:
        """Return a text that differs if the same files would become other records."""
        mapping = (
            self.layout, self.org_map, self.default_org, self.grades, self.relationship,
            self.date_format,
        )  # fmt: skip
        return hashlib.blake2b(msgspec.json.encode(mapping, order="sorted")).hexdigest()[:32]


def _check_code(code: str) -> None:
    if code not in CODES:
        *others, last = get_close_matches(code, CODES, cutoff=0.5) or [""]
        close = f"{', '.join(others)} or {last}" if others else last
        hint = f"is it {close}?" if close else "each finding shows its code"
        raise ConfigError(f"accept: {code!r} is not the code of a finding; {hint}")


def _pairs(option: str, path: str | Path | Mapping[str, str]) -> dict[str, str]:
    if isinstance(path, Mapping):
        return dict(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
        return msgspec.convert(tomllib.loads(text), dict[str, str])
    except OSError as error:
        raise ConfigError(f"{option}: {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ConfigError(f'{option}: {path}: must be lines of the form "from" = "to"') from None
