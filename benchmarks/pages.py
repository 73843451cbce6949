"""Show the results of all versions of Python on the pages that people read.

A page has them between `<!-- benchmark upsert -->` and `<!-- end -->`; "reach" stands for what was
aimed at in all benchmarks, and what it came out at; "newest" for that of upserts alone, on the
newest Python.
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from .measure import ROOT, Ratio, markdown
from .results import FOLDER, Document, Versions, load, numbers

PAGES = (ROOT / "README.md", ROOT / "benchmarks" / "README.md")
PLACE = re.compile(r"(<!-- benchmark (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
TITLES = {
    "reach": "What it must reach over http (grey lines), and what it came out at",
    "upsert": "One upsert over http",
    "upsert-https": "One upsert over https",
    "latency": "The share of the best possible rate",
    "scale": "Peak memory",
    "start": "The start",
    "night": "A night, in times what the file alone takes",
    "codec": "Encoding and decoding",
}
LEGEND = """\
Two figures are http / https, one alone is http. ± is the A/A spread: how far a contender was from
itself, where that was measured. **Bold**: the aim was missed. void: the server was the limit. A
dash: not measured, such as a contender that does not exist for this version."""
DASH = "–"  # noqa: RUF001 - as in any table

# One ratio, by version of Python.
Row = dict[str, Ratio]


def publish(folder: Path = FOLDER, pages: Iterable[Path] = PAGES) -> None:
    """Draw the charts of all results, and put them and the tables into the pages."""
    from . import charts

    found = load(folder)
    drawn = {name: ratios([versions]) for name, versions in found.items()}
    drawn["reach"] = [row for row in aimed(found) if _any(row).scheme != "https"]
    for name, rows in drawn.items():
        for theme in charts.INK if rows else ():
            chart = charts.ratios(TITLES.get(name, name), rows, theme)
            (folder / f"{name}-{theme}.svg").write_text(chart)
    for page in pages:
        page.write_text(filled(page.read_text(), found, folder, page))


def filled(text: str, found: Mapping[str, Versions], folder: Path, page: Path) -> str:
    """Return the text of a page with the results in their places."""

    def content(place: re.Match[str]) -> str:
        name = place[2]
        if name == "reach":
            shown = [reach(found), LEGEND]
        elif name == "newest":
            name, shown = "reach", [reach(_newest_upserts(found))]
        elif name in found:
            shown = [details(name, found[name], folder)]
        else:
            return place[0]
        if (folder / f"{name}-light.svg").exists():
            shown.insert(0, picture(name, Path(os.path.relpath(folder, page.parent))))
        return f"{place[1]}\n" + "\n\n".join(shown) + f"\n\n{place[3]}"

    return PLACE.sub(content, text)


def picture(name: str, folder: Path) -> str:
    """Return the chart of a benchmark, for light and for dark pages."""
    return f"""\
<picture>
  <source media="(prefers-color-scheme: dark)" srcset="{folder}/{name}-dark.svg">
  <img alt="{TITLES.get(name, name)}" src="{folder}/{name}-light.svg">
</picture>"""


def details(name: str, versions: Versions, folder: Path) -> str:
    """Return the tables of each version under its name, the newest open."""
    newest = list(versions)[-1]
    return "\n\n".join(
        f"<details{' open' if version == newest else ''}>\n<summary>{document.says}</summary>\n\n"
        f"{(folder / version / name).with_suffix('.md').read_text()}\n</details>"
        for version, document in versions.items()
    )


def ratios(benchmarks: Iterable[Versions]) -> list[Row]:
    """Return each ratio of some benchmarks, by version."""
    found: dict[tuple[str, str, str], Row] = {}
    for versions in benchmarks:
        for version, document in versions.items():
            for one in document.ratios:
                found.setdefault((one.what, one.against, one.scheme), {})[version] = one
    return list(found.values())


def aimed(found: Mapping[str, Versions]) -> list[Row]:
    """Return the ratios that must reach something, in the order of the benchmarks."""
    rows = ratios(found[name] for name in TITLES if name in found)
    return [row for row in rows if _aim(_any(row))]


def reach(found: Mapping[str, Versions]) -> str:
    """Return the table of what must be reached, and what it came out at on each version."""
    columns: dict[str, list[Document]] = {}
    for documents in found.values():
        for version, document in documents.items():
            if any(map(_aim, document.ratios)):
                columns.setdefault(version, []).append(document)
    versions = sorted(columns, key=numbers)
    lines: dict[tuple[str, str], list[Row]] = {}
    for row in aimed(found):
        lines.setdefault((_any(row).what, _any(row).against), []).append(row)
    table = [
        [what, against, " / ".join(dict.fromkeys(_aim(_any(row)) for row in rows))]
        + [" / ".join(_cell(row.get(version)) for row in rows) for version in versions]
        for (what, against), rows in lines.items()
    ]
    head = ["", "against", "aim", *(_head(columns[version]) for version in versions)]
    return markdown(head, table)


def _newest_upserts(found: Mapping[str, Versions]) -> dict[str, Versions]:
    kept = {name: found[name] for name in ("upsert", "upsert-https") if name in found}
    newest = max((version for each in kept.values() for version in each), key=numbers)
    return {name: {newest: each[newest]} for name, each in kept.items() if newest in each}


def _head(column: list[Document]) -> str:
    busy = " (machine busy)" if any(document.is_busy for document in column) else ""
    return f"Python {column[0].python}{busy}"


def _any(row: Row) -> Ratio:
    return next(iter(row.values()))


def _aim(one: Ratio) -> str:
    if one.at_most is not None:
        return f"≤ {one.at_most:g}"
    return "" if one.at_least is None else f"≥ {one.at_least:g}"


def _cell(one: Ratio | None) -> str:
    if one is None or one.found is None:
        return DASH if one is None else "void"
    middle = one.found.middle
    says = f"{middle:.{2 if middle < 10 else 0}f}"
    says += f" ±{one.spread - 1:.0%}" if one.spread > 1.0 else ""
    return says if one.is_reached else f"**{says}**"
