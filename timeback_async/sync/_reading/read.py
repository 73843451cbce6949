"""Read a roster: find out what the files are, and read one after the other into the roster."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...errors import ConfigError
from .database import writing
from .files import DataFile, Package, packages_in, shown
from .json_lines import read_json_lines
from .layout import (
    ONEROSTER,
    TARGETS,
    FileLayout,
    Layout,
    columns_of,
    layout_for,
    standard_columns,
)
from .links import LinkBuilder
from .load import Loader
from .manifest import Manifest
from .options import LoadedOptions, ReadOptions
from .roster import Roster
from .rows import Rows
from .tables import Table

__all__ = ["read_roster"]

MAX_REFUSALS_SHOWN = 5


def read_roster(path: str | Path, options: ReadOptions | None = None) -> Roster:
    """Return the roster in a OneRoster package, a folder, or a CSV, JSON Lines or Parquet file.

    It blocks: from an event loop, `await asyncio.to_thread(read_roster, path)`.

    Args:
        path: A folder, a zip, or one file.
        options: How to read it; None for the lenient defaults.

    Raises:
        ConfigError: It cannot be read at all, an option is wrong, or it is `strict` and a file as
            a whole differs from the standard. Problems of single rows are in `findings`.
    """
    loaded = (options or ReadOptions()).loaded()
    roster = Roster(shown(Path(path).name), loaded)
    try:
        with writing(), Package(Path(path), is_prefixed=loaded.layout is None) as package:
            _Reader(roster, package, loaded).read()
    except BaseException:
        roster.close()
        raise
    return roster


class _Reader:
    """Fills a roster from a package."""

    def __init__(self, roster: Roster, package: Package, options: LoadedOptions) -> None:
        self._roster, self._package, self._options = roster, package, options
        self._report = roster.findings.add
        self._manifest: Manifest | None = None

    def read(self) -> None:
        files = self._package.files
        if self._package.is_inside:
            self._report("package-inside", detail=self._package.path.name)
        if self._package.is_alone and next(iter(files.values())).suffix in (".jsonl", ".ndjson"):
            self._roster.format = "JSON Lines"
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
        if layout is ONEROSTER and not self._package.is_alone:
            self._check_manifest(by_target)
        if "users" not in by_target and not self._may_lack_people(by_target):
            known = ", ".join(layout) if self._options.layout else "users.csv"
            path = self._package.path
            there = [file.name for file in files.values()]
            if not there:
                there = [f"{each.name} (is this the roster?)" for each in packages_in(path)]
            raise ConfigError(
                f"{path}: has no file of people; expected {known}, found "
                f"{', '.join(there) or 'nothing to read'}"
            )
        self._roster.format = self._format(layout)
        loader = self._loader()
        # In this order: people need all that is before them.
        for target, read in (
            ("orgs", loader.read_orgs),
            ("roles", loader.read_roles),
            ("userprofiles", loader.read_profiles),
            ("demographics", loader.read_demographics),
            ("users", loader.read_people),
            ("relationships", loader.read_relationships),
        ):
            for stem in by_target.get(target, ()):
                self._read_table(files[stem], stem, tables[stem], layout[stem], read)
        loader.finish()

    def _chosen(self, files: dict[str, DataFile]) -> tuple[dict[str, Table], Layout]:
        """Return the files to read, and what each of them holds."""
        # Three cases:
        #   one file and a layout of one file -> that layout, whatever the file's name
        #   one file                          -> what its name says, else people
        #   a package                         -> the files that the layout, or a standard, names
        encoding, layout = self._options.encoding, self._options.layout
        if self._package.is_alone:
            ((stem, file),) = files.items()
            tables = {stem: Table(file, encoding)}
            if layout is not None and len(layout) == 1:
                return tables, {stem: next(iter(layout.values()))}
            found = layout or layout_for({stem: tables[stem].header, "users": tables[stem].header})
            return tables, {stem: found.get(stem) or found.get("users") or FileLayout("users")}
        wanted = set(layout or ()) or {*TARGETS, "student", "teacher", "school"}
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

    def _read_table(
        self, file: DataFile, stem: str, table: Table, layout: FileLayout, read: Any
    ) -> None:
        try:
            columns = columns_of(layout, table.header, layout.target)
        except ConfigError as error:
            raise ConfigError(f"{file.name}: {error}") from None
        if "sourcedId" in columns.missing and layout.target == "users":
            raise ConfigError(f"{file.name}: has no column sourcedId; is it a file of people?")
        if columns.missing and layout.target != "users":
            self._report("file-unusable", file.name, detail=", ".join(columns.missing))
            return
        for code, detail in (*table.notes, *columns.notes):
            if code != "column-absent" or self._options.layout is not None:
                self._report(code, file.name, detail=detail)
        if self._options.strict and not layout.columns:
            version = self._manifest.version if self._manifest else ""
            for field in standard_columns(layout.target, version):
                if field not in columns.places:
                    self._report("header-incomplete", file.name, field=field)
        # In a delta, people who leave need no more than the id: rows that need more say so.
        has_leavers = "status" in columns.places and self._mode(layout.target) == "delta"
        for field in () if has_leavers else columns.missing:
            self._report("column-missing", file.name, field=field)
        name = layout.target if self._package.is_alone else stem
        read(Rows(file.name, name, table, columns, layout, self._roster.findings))
