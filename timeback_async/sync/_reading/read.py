"""Read a roster: find out what the files are, and read one after the other into the roster."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path

import msgspec
from msgspec.structs import replace

from ..._tables import is_table
from ..._version import __version__
from ...errors import ConfigError
from .columns import Columns, columns_of, standard_columns
from .comparison import OWNERS
from .database import writing
from .files import DataFile, Package, Tables, packages_in, shown
from .findings import Finding, Findings
from .json_lines import read_json_lines
from .layout import ONEROSTER, TARGETS, FileLayout, Layout, layout_for
from .links import LinkBuilder
from .load import Loader
from .manifest import Manifest
from .memory import Memory
from .night import Night
from .options import LoadedOptions, ReadOptions
from .parquet import RECORD_COLUMNS, header_of
from .relatives import gives_role
from .roster import Roster
from .rows import Rows
from .tables import Table

__all__ = ["read_roster"]

MAX_REFUSALS_SHOWN = 5
# Files of School Data Sync that a standard layout may name.
SDS_FILES = ("student", "teacher", "school", "user", "guardianrelationship")
# Files of OneRoster and School Data Sync that hold no people and no links.
NOT_NEEDED = {
    "academicsessions", "categories", "classes", "classresources", "courseresources", "courses",
    "enrollments", "lineitemlearningobjectiveids", "lineitems", "lineitemscorescales", "manifest",
    "resources", "resultlearningobjectiveids", "results", "resultscorescales", "scorescales",
    "section", "studentenrollment", "teacherroster", "userflags", "userresources",
}  # fmt: skip


def read_roster(
    path: str | PathLike[str] | Mapping[str, object],
    options: ReadOptions | None = None,
    *,
    on_finding: Callable[[Finding], None] | None = None,
    since: Memory | None = None,
) -> Roster:
    """Return the roster in a OneRoster package, a folder, a CSV, JSON Lines or Parquet file.

    Tables of a program or a database are read as such files are:

        read_roster({"users": frame, "orgs": connection.sql("SELECT …")})

    It blocks: from an event loop, `await asyncio.to_thread(read_roster, path)`.

    Args:
        path: A folder, a zip, or one file. Or tables by the name of the file that each stands
            for ("users", "orgs", "demographics", or one of the map): anything with
            `__arrow_c_stream__`, of polars, pandas, DuckDB or pyarrow. Each is read into memory,
            and its rows are numbered from 1.
        options: How to read it; None for the lenient defaults.
        on_finding: Called with every finding as it is found, in the thread that reads; also while
            the roster is planned. `Roster.findings` keeps at most 1,000 of each cause.
        since: The state that the roster will be planned with. Then people about whom nothing has
            changed since the last run that saved everything are counted, with their findings, but
            not read again: they are not among `Roster.records`. None to read everything.

    Raises:
        ConfigError: It cannot be read at all, an option is wrong, or it is `strict` and a file as
            a whole differs from the standard. Problems of single rows are in `findings`.
        TypeError: It is none of these, such as a table without a name.
    """
    if is_table(path) or not isinstance(path, str | PathLike | Mapping):
        given = type(path).__name__
        raise TypeError(f'pass a path, or tables by name: {{"users": …}}, not a {given}')
    loaded = (options or ReadOptions()).loaded()
    name = "tables" if isinstance(path, Mapping) else shown(Path(path).name)
    roster = Roster(name, loaded, on_finding)
    try:
        with writing(), _package(path, loaded) as package:
            _Reader(roster, package, loaded, since).read()
    except BaseException:
        roster.close()
        raise
    return roster


def _package(path: str | PathLike[str] | Mapping[str, object], options: LoadedOptions) -> Package:
    if isinstance(path, Mapping):
        return Tables(path)
    return Package(Path(path), is_prefixed=options.layout is None)


class _Reader:
    """Fills a roster from a package."""

    def __init__(
        self, roster: Roster, package: Package, options: LoadedOptions, since: Memory | None
    ) -> None:
        self._since = since
        self._roster, self._package, self._options = roster, package, options
        self._report = roster.findings.add
        self._manifest: Manifest | None = None

    def read(self) -> None:
        files = self._package.files
        if self._package.is_inside:
            self._report("package-inside", detail=shown(self._package.path.name))
        if form := self._form_of_records(files):
            self._roster.format = form
            read_json_lines(self._roster, next(iter(files.values())), self._options.mode or "delta")
        else:
            self._read_tables(files)
        LinkBuilder(self._roster, self._options.relationship).finish()
        refused = [
            cause.examples[0]
            for cause in self._roster.findings.causes
            if cause.severity == "error" and cause.examples[0].line == 0
        ]
        if self._options.strict and refused:
            some = "; ".join(map(str, refused[:MAX_REFUSALS_SHOWN]))
            number = len(refused) - MAX_REFUSALS_SHOWN
            more = f"; and {number} more" if number > 0 else ""
            raise ConfigError(f"differs from the standard: {some}{more}")

    def _form_of_records(self, files: dict[str, DataFile]) -> str:
        """Return the form of a file of whole records; "" for anything else."""
        if not self._package.is_alone:
            return ""
        file = next(iter(files.values()))
        if file.suffix in (".jsonl", ".ndjson"):
            return "JSON Lines"
        is_exported = file.suffix == ".parquet" and header_of(file) == RECORD_COLUMNS
        return "records in Parquet" if is_exported else ""

    def _loader(self) -> Loader:
        claims_bulk = self._manifest is not None and self._manifest.mode("users") == "bulk"
        return Loader(self._roster, self._options, self._mode, claims_bulk)

    # -- tables

    def _read_tables(self, files: dict[str, DataFile]) -> None:
        if self._package.prefix:
            self._report("name-prefix", detail=self._package.prefix)
        if "manifest" in files:
            self._manifest = Manifest(files["manifest"], self._options.encoding)
        tables, layout = self._chosen(files)
        by_target: dict[str, list[str]] = {}
        for stem in tables:
            by_target.setdefault(layout[stem].target, []).append(stem)
        if layout is ONEROSTER and self._package.is_packed and not self._package.is_alone:
            self._check_manifest(by_target)
        if "users" not in by_target and not self._may_lack_people(by_target):
            raise ConfigError(self._without_people(files, layout))
        self._roster.format = self._format(layout)
        self._report_unread(files, tables)
        self._read_targets(files, tables, layout, by_target)

    def _read_targets(
        self,
        files: dict[str, DataFile],
        tables: dict[str, Table],
        layout: Layout,
        by_target: dict[str, list[str]],
    ) -> None:
        loader = self._loader()

        def opened(target: str, findings: Findings = self._roster.findings) -> Iterator[Rows]:
            for stem in by_target.get(target, ()):
                rows = self._opened(files[stem], stem, tables[stem], layout[stem], findings)
                if rows is not None:
                    yield rows

        if self._since is not None:
            told = [rows for target in OWNERS for rows in opened(target, Findings())]
            if self._is_comparable(told) and "relationships" not in by_target:
                stems = [*by_target.get("orgs", ()), *({"manifest"} & files.keys())]
                others = {stem: files[stem] for stem in stems}
                self._roster.night = self._compared(self._since, told, others)
        # In this order: people need all that is before them.
        for target, read in (
            ("orgs", loader.read_orgs),
            ("roles", loader.read_roles),
            ("userprofiles", loader.read_profiles),
            ("demographics", loader.read_demographics),
            ("relationships", loader.read_relationships),
        ):
            for rows in opened(target):
                read(rows)
                self._report_empty(rows)
        # A first time, for nothing but relationships.
        loader.look_ahead(list(opened("users", Findings())))
        for rows in opened("users"):
            loader.read_people(rows)
            self._report_empty(rows)
        loader.finish()

    def _is_comparable(self, files: Sequence[Rows]) -> bool:
        """Whether lines of these files may stand for themselves."""
        # Not where a set holds changes alone, and so says little of what is there; where another
        # file may say what somebody is who has no role; where two files say the same of people;
        # and in Parquet, which has no lines.
        targets = [rows.layout.target for rows in files]
        gives_roles = {gives_role(rows) for rows in files if rows.layout.target == "users"}
        return (
            all(self._mode(target) == "bulk" for target in targets if target != "userprofiles")
            and len(gives_roles) == 1
            and all(rows.table.file.suffix == ".csv" for rows in files)
            and all(targets.count(target) <= 1 for target in OWNERS if target != "users")
            and len({rows.file for rows in files}) == len(files)
        )

    def _compared(
        self, since: Memory, files: Sequence[Rows], others: Mapping[str, DataFile]
    ) -> Night:
        """Choose the rows that have to be read, and return what is known of the others."""
        # The names of files may hold the day; those in `Rows.name` stay the same.
        facts = [
            __version__, sys.version, self._options.context(), self._package.is_alone,
            [(rows.name, rows.layout, rows.columns.places, rows.table.form) for rows in files],
        ]  # fmt: skip
        night = Night(self._roster.database, self._roster.findings, since, self._options.today)
        night.begin(files, others, msgspec.json.encode(facts, order="sorted"))
        return night

    def _report_empty(self, rows: Rows) -> None:
        if not rows.read:
            self._report("file-empty", rows.file)

    def _without_people(self, files: dict[str, DataFile], layout: Layout) -> str:
        """Return what is wrong with a package that has no file of people."""
        known = ", ".join(layout) if self._options.layout else "users.csv"
        path = self._package.path
        there = [*(file.name for file in files.values()), *self._package.others]
        if not there:
            there = [f"{each.name} (is this the roster?)" for each in packages_in(path)]
        advice = ""
        if files and not self._options.layout:
            advice = '; if one of them holds people, say which column is what by layout="FILE"'
        return (
            f"{path}: has no file of people; expected {known}, found "
            f"{', '.join(there) or 'nothing to read'}{advice}"
        )

    def _report_unread(self, files: dict[str, DataFile], tables: dict[str, Table]) -> None:
        for stem, file in files.items():
            if stem not in tables and stem not in NOT_NEEDED:
                self._report("file-unread", file.name)
        for name in self._package.others:
            self._report("file-unread", name)
        if not self._package.is_alone:
            for stem in self._options.layout or ():
                if stem not in tables:
                    self._report("table-absent", detail=stem)

    def _chosen(self, files: dict[str, DataFile]) -> tuple[dict[str, Table], Layout]:
        """Return the files to read, and what each of them holds."""
        # Four cases:
        #   one file and a layout of one file -> that layout, whatever the file's name
        #   one file and a layout of several  -> the table of its name
        #   one file                          -> what its name says, else people
        #   a package                         -> the files that the layout, or a standard, names
        encoding, layout = self._options.encoding, self._options.layout
        if self._package.is_alone:
            ((stem, file),) = files.items()
            tables = {stem: Table(file, encoding)}
            if layout is not None and len(layout) == 1:
                return tables, {stem: next(iter(layout.values()))}
            if layout is not None:
                if stem not in layout:
                    raise ConfigError(
                        f"{file.name}: the map has no table of this name; it has "
                        f"{', '.join(map(shown, layout))}"
                    )
                return tables, layout
            header = tables[stem].header
            found = layout_for({"users": header} if stem not in SDS_FILES else {stem: header})
            return tables, {stem: found.get(stem) or found.get("users") or FileLayout("users")}
        wanted = set(layout or ()) or {*TARGETS, *SDS_FILES}
        tables = {
            stem: Table(file, encoding)
            for stem, file in files.items()
            if stem in wanted and file.suffix not in (".jsonl", ".ndjson")
        }
        layout = layout or layout_for({stem: table.header for stem, table in tables.items()})
        return {stem: table for stem, table in tables.items() if stem in layout}, layout

    def _may_lack_people(self, targets: Iterable[str]) -> bool:
        """Whether a set without people is whole: the manifest says so, or it holds changes."""
        claimed = self._manifest.mode("users") if self._manifest else ""
        changes = {"roles", "demographics"} & set(targets)
        return claimed == "absent" or (
            not claimed and any(self._mode(target) == "delta" for target in changes)
        )

    def _format(self, layout: Layout) -> str:
        if self._options.layout is not None:
            return "mapped files"
        if "student" in layout:
            return "School Data Sync v1"
        if layout.get("users", FileLayout("")).columns:
            return "School Data Sync v2"
        if not self._package.is_packed:
            return "tables"
        if self._manifest is None:
            return "OneRoster without a manifest"
        return f"OneRoster {self._manifest.version or 'of no version'}"

    def _check_manifest(self, by_target: dict[str, list[str]]) -> None:
        manifest = self._manifest
        if manifest is None:
            self._report("manifest-missing")
            return
        if not manifest.is_known:
            self._report("version-unknown", "manifest.csv")
        for target in TARGETS:
            mode = manifest.mode(target)
            if mode in ("bulk", "delta") and target not in by_target:
                self._report("manifest-differs", "manifest.csv", detail=f"{target} is not there")
            elif mode == "absent" and target in by_target:
                self._report("manifest-differs", "manifest.csv", detail=f"{target} is there")
            is_open = mode not in ("bulk", "delta") and self._options.mode is None
            if is_open and target in by_target and target in ("users", "roles", "demographics"):
                self._report("mode-unclear", "manifest.csv", detail=target)

    def _mode(self, target: str) -> str:
        """Return "bulk" or "delta"; a file that the manifest does not cover is not a full set."""
        # The manifest comes first, then the option, then the default: a set without a manifest is
        # full, and a file that a manifest does not cover holds changes.
        claimed = self._manifest.mode(target) if self._manifest else ""
        if claimed in ("bulk", "delta"):
            return claimed
        return self._options.mode or ("bulk" if self._manifest is None else "delta")

    def _opened(
        self, file: DataFile, stem: str, table: Table, layout: FileLayout, findings: Findings
    ) -> Rows | None:
        """Return the rows of a file, or None if it lacks columns without which it says nothing."""
        try:
            columns = columns_of(layout, table.header)
        except ConfigError as error:
            raise ConfigError(f"{file.name}: {error}") from None
        is_mapped = self._options.layout is not None
        missing = columns.missing if is_mapped else dict.fromkeys(columns.missing, "")
        if layout.target == "users" and "sourcedId" in missing:
            what = missing["sourcedId"] or "is it a file of people?"
            raise ConfigError(f"{file.name}: has no column sourcedId; {what}")
        if layout.target != "users" and missing:
            findings.add("file-unusable", file.name, detail=_told(missing))
            return None
        for code, detail in (*table.notes, *columns.notes):
            if code != "column-absent" or is_mapped:
                findings.add(code, file.name, detail=detail)
        if self._options.strict and not layout.columns:
            version = self._manifest.version if self._manifest else ""
            for field in standard_columns(layout.target, version):
                if field not in columns.places:
                    findings.add("header-incomplete", file.name, field=field)
        # In a delta, people who leave need no more than the id: rows that need more say so.
        has_leavers = "status" in columns.places and self._mode(layout.target) == "delta"
        for field, more in missing.items() if not has_leavers else ():
            findings.add("column-missing", file.name, field=field, detail=more)
        layout = self._with_enabled(file, columns, layout, findings)
        name = layout.target if self._package.is_alone else stem
        return Rows(file.name, name, table, columns, layout, findings)

    def _with_enabled(
        self, file: DataFile, columns: Columns, layout: FileLayout, findings: Findings
    ) -> FileLayout:
        """Return the layout with `enabledUser`, where a file of people has no such column."""
        # OneRoster 1.0 has no such column: everybody in it is enabled. Where the manifest or a map
        # speaks of a later format, this is taken for granted, too, but is to be checked.
        if layout.target != "users" or "enabledUser" in {*columns.places, *layout.constants}:
            return layout
        is_expected = layout.columns or (self._manifest is not None and self._manifest.is_known)
        findings.add("enabled-missing" if is_expected else "enabled-assumed", file.name)
        return replace(layout, constants=layout.constants | {"enabledUser": "true"})


def _told(missing: dict[str, str]) -> str:
    return ", ".join(f"{field}: {more}" if more else field for field, more in missing.items())
