"""The report page: right figures, nothing from outside, and a filter that works in a browser."""

import json
import re
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.support.trace import Clock, statistics
from timeback_async import Outcome
from timeback_async._trace import Trace
from timeback_async.sync import PHASES, Findings, PhaseReport, SyncReport
from timeback_async.sync._running.facts import Failure
from timeback_async.sync._running.frame import EXAMPLES_SHOWN
from timeback_async.sync._running.page import page

HOSTILE = "\"'><script>alert(1)</script><img src=https://elsewhere.invalid/x onerror=alert(2)>"
PUNCTUATION = "a & b $headline &lt;"
MAKERS = re.compile(rb"\w+ (https?://)?[\w.-]+\.(google|googleapis|gvt1)\.com\b").match
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)


class Page(HTMLParser):
    """The page as a browser takes it in: elements with their attributes, texts and scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] in ("script", "style"):
            self.scripts.append(data)
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        """Return the attributes of every element of a tag that has these among them."""
        found = (attrs for own, attrs in self.elements if own == tag)
        return [attrs for attrs in found if attributes.items() <= attrs.items()]


def trace(*rates: int) -> Trace:
    """Return a run with so many records in each of its seconds."""
    clock = Clock()
    made = Trace(clock)
    for second in range(len(rates)):
        clock.now += 1
        made.note(sum(rates[: second + 1]), statistics(window=8.0))
    return made


def report(findings: Findings | None = None, **changes: Any) -> SyncReport:
    """Return a report of a run in which all went well, but for what is changed."""
    phases = {phase: PhaseReport(0) for phase in PHASES}
    found = findings or Findings()
    values: dict[str, Any] = {
        "roster": "export.zip",
        "endpoint": "https://timeback.test",
        "began": 0.0,
        "format": "OneRoster 1.2",
        "read": {"rows": 1999, "students": 1187, "users": 812, "links": 2390, "left_out": 0},
        "severities": found.severities,
        "unchanged": 0,
        "absent": {},
        "phases": phases | changes.pop("phases", {}),
        "causes": found.causes,
        "unaccepted": found.unaccepted,
    }
    return SyncReport(**values | changes)


def phase(planned: int, **counts: int) -> PhaseReport:
    ended = {outcome: counts.get(outcome.name.lower(), 0) for outcome in Outcome}
    return PhaseReport(planned, ended, 0.25, 4.75)


def findings(*told: tuple[str, str, int, str, str]) -> Findings:
    collected = Findings()
    for each in told:
        collected.add(*each)
    return collected


# -- the way to it


def test_a_report_gives_its_page_with_the_advice_in_its_readers_words() -> None:
    found = report(findings(("org-missing", "users.csv", 2, "orgSourcedIds", "")))

    assert found.as_html() == page(found)
    assert "pass default_org" in found.as_html()
    assert "pass --default-org" in found.as_html(
        lambda text: text.replace("default_", "--default-")
    )


def test_a_run_that_is_refused_has_a_report_too() -> None:
    refused = SyncReport.refused("a\x1bb.zip", "is not a zip file")

    assert (refused.roster, refused.stopped, refused.ok) == ("a?b.zip", "is not a zip file", False)
    assert "Refused nothing was sent" in Page(page(refused)).text
    assert "Planned" not in Page(page(refused)).text


# -- the figures


def test_what_was_read_and_sent_stands_in_tiles() -> None:
    shown = Page(
        page(report(unchanged=3201, requests=1190, retries=17, throttled=2, elapsed=61.25))
    )

    tiles = shown.text.partition("Phases")[0]
    assert (
        "1,999 rows read 1,187 students 812 users 2,390 links 0 rows left out 3,201 unchanged"
        in tiles
    )
    assert "1,190 requests 17 retries 2 throttled 61.2 seconds" in tiles
    assert len(shown.all("div", **{"class": "tile"})) == 10


def test_a_phase_says_what_became_of_it_and_when() -> None:
    people = phase(2000, saved=1500, failed=300, unknown=100)

    shown = Page(page(report(phases={"people": people})))

    bars = [(each["class"], each["style"]) for each in shown.all("i")]
    assert bars == [("ok", "width:75.00%"), ("bad", "width:15.00%"), ("look", "width:5.00%")]
    assert "people 2,000 1,500 saved, 300 failed, 100 unknown, 100 not reached 0.2 s, 4.8 s" in (
        shown.text
    )


def test_the_head_says_what_was_brought_where_and_when() -> None:
    shown = Page(page(report()))

    assert "OneRoster 1.2, to https://timeback.test, 1970-01-01 00:00 UTC" in shown.text


def test_what_was_not_reached_is_said_and_a_dry_run_has_no_bars() -> None:
    ended = Page(page(report(phases={"people": phase(9, saved=2)}, stopped="interrupted")))
    actions = {"create": 6, "update": 3, "deactivate": 1}
    samples = {"people": ["create student s-1"]}
    planned = report(
        phases={"people": PhaseReport(9)}, actions=actions, samples=samples, dry_run=True
    )
    dry = Page(page(planned))

    assert "9 changes: 2 saved, 7 not reached. Interrupted." in ended.text
    assert "not reached" not in dry.text
    assert dry.all("div", **{"class": "bar"}) == []
    assert "people 6 new, 3 changed create student s-1" in dry.text
    assert "links nothing" not in dry.text
    assert not {"requests", "seconds", "Over time", "results"} & set(dry.text.split())
    assert "Nothing was sent" not in dry.text


def test_a_plan_that_was_refused_is_shown_with_the_reason() -> None:
    phases = {"deactivations": phase(99)}

    shown = Page(
        page(report(phases=phases, actions={"deactivate": 99}, is_refused=True, stopped="too many"))
    )

    assert "99 to deactivate" in shown.text
    assert "Refused nothing was sent" in shown.text
    assert "Too many." in shown.text
    assert "not reached" not in shown.text


def test_a_phase_with_nothing_to_do_has_no_bar() -> None:
    shown = Page(page(report(phases={"people": phase(9, saved=9)})))

    assert len(shown.all("div", **{"class": "bar"})) == 1


def test_a_phase_with_nothing_to_do_is_left_out() -> None:
    shown = Page(page(report(phases={"people": phase(9, saved=9)})))

    assert "people 9" in shown.text
    assert "unlinks" not in shown.text
    assert "Phases" not in Page(page(report())).text


@pytest.mark.parametrize(
    ("changes", "head", "summary"),
    [
        ({}, ("ok", "Done", "nothing had changed"), ""),
        (
            {"phases": {"links": phase(1000, saved=999, failed=1)}},
            ("look", "Please check", "999 of 1,000 changes are at TimeBack"),
            "1,000 changes: 999 saved, 1 failed.",
        ),
        (
            {"phases": {"unlinks": phase(7, deleted=7)}},
            ("ok", "Done", "all 7 changes are at TimeBack"),
            "7 changes: 7 deleted.",
        ),
        (
            {"phases": {"unlinks": phase(1, deleted=1)}},
            ("ok", "Done", "1 of 1 change is at TimeBack"),
            "1 change: 1 deleted.",
        ),
        (
            {"phases": {"links": phase(1000)}, "dry_run": True},
            ("calm", "Dry run", "1,000 changes would be sent"),
            "1,000 changes: 1,000 valid.",
        ),
        (
            {"phases": {"links": phase(9, saved=2)}, "stopped": "interrupted"},
            ("look", "Interrupted", "2 of 9 changes are at TimeBack"),
            "9 changes: 2 saved, 7 not reached. Interrupted. The same command continues from there",
        ),
        (
            {"phases": {"links": phase(9)}, "stopped": "no more disk", "is_resumable": False},
            ("bad", "Ended early", "0 of 9 changes are at TimeBack"),
            "9 changes: 9 not reached. No more disk. export.zip",
        ),
        (
            {"dry_run": True, "unaccepted": 1},
            ("look", "Dry run, please check the files", "0 changes would be sent"),
            "1 finding left something out; see below.",
        ),
    ],
)
def test_the_head_says_at_a_glance_how_it_went(
    changes: dict[str, Any], head: tuple[str, str, str], summary: str
) -> None:
    shown = Page(page(report(**changes)))

    colour, mark, headline = head
    icons = {"ok": "✓", "look": "!", "bad": "✕", "calm": "i"}
    assert f"{icons[colour]} {mark} {headline} " in shown.text
    assert f"export.zip: {mark}, {headline} " in shown.text
    assert [each["class"] for each in shown.all("span") if "mark" in (each.get("class") or "")] == [
        f"mark {colour}"
    ]
    assert summary in shown.text


def failure(sourced_id: str, line: int, outcome: Outcome = Outcome.FAILED) -> Failure:
    file = "users.csv" if line else ""
    return Failure(file, line, "student", sourced_id, outcome, f"HTTP 422: {HOSTILE}", sourced_id)


def test_what_was_not_done_stands_there_with_place_id_and_reason() -> None:
    failures = [failure("s-1", 2), failure(HOSTILE, 0, Outcome.NOT_SENT)]

    shown = Page(page(report(failures=failures, phases={"people": phase(3, saved=1, failed=2)})))

    assert f"users.csv:2 student s-1 failed HTTP 422: {HOSTILE}" in shown.text
    assert f"{HOSTILE} not sent" in shown.text
    assert shown.all("img") == []
    assert "more." not in shown.text


def test_of_much_that_was_not_done_the_first_is_shown_and_the_rest_counted() -> None:
    failures = [failure(f"s-{n}", n + 2) for n in range(1000)]

    shown = Page(page(report(failures=failures, phases={"people": phase(5000, failed=5000)})))

    assert shown.text.count("HTTP 422") == 3
    assert "… and 4,997 more." in shown.text


def test_where_all_was_done_there_is_no_table_of_what_was_not() -> None:
    assert "Not saved" not in Page(page(report())).text


# -- over time


def test_rate_latency_and_window_are_drawn_over_time() -> None:
    drawn = page(report(requests=700, trace=trace(100, 300, 300)))

    shown = Page(drawn)
    lines = [each["points"] or "" for each in shown.all("polyline")]
    points = [tuple(map(float, point.split(","))) for point in lines[0].split()]
    assert len(lines) == len(shown.all("svg")) == 3
    assert len(points) == 120
    assert all(50 <= x <= 790 and 24 <= y <= 130 for x, y in points)
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert points[0][1] == pytest.approx(130 - 106 / 3, abs=0.1)  # 100 of at most 300
    assert points[-1][1] == 24
    assert "records a second, at most 300" in shown.text
    assert "milliseconds to an answer, at most 500" in shown.text
    assert "most requests in flight, at most 8" in shown.text
    assert "0 0.0 s 150 1.5 s 300 3.0 s" in shown.text


def test_a_run_in_which_nothing_was_done_draws_no_line_outside_its_picture() -> None:
    shown = Page(page(report(requests=1, trace=trace(0, 0))))

    assert all("nan" not in (each["points"] or "nan") for each in shown.all("polyline"))
    assert "records a second, at most 1" in shown.text


def test_where_nothing_was_sent_nothing_is_drawn() -> None:
    shown = Page(page(report()))

    assert shown.all("svg") == []
    assert "Nothing was sent." in shown.text


def test_a_run_too_short_for_a_picture_does_not_deny_that_it_sent() -> None:
    shown = Page(page(report(requests=6)))

    assert shown.all("svg") == []
    assert "Nothing was sent." not in shown.text


# -- what was found


def test_causes_stand_before_their_consequences_each_with_what_to_do_and_where() -> None:
    found = findings(
        ("agent-left-out", "users.csv", 9, "agentSourcedIds", "u-7"),
        ("value-missing", "users.csv", 7, "familyName", ""),
        ("value-missing", "users.csv", 8, "familyName", ""),
        ("status-inactive", "users.csv", 3, "status", ""),
    )

    shown = Page(page(report(found)))

    rows = [each["data-severity"] for each in shown.all("tr") if "data-severity" in each]
    text = shown.text
    assert rows == ["error", "error", "note"]
    assert "error 2 users.csv: familyName: a required value is blank. What to do: fill" in text
    assert "users.csv:7: familyName: a required value is blank" in text
    assert "users.csv:9: agentSourcedIds: a link is left out because one of its people" in text
    assert text.index("users.csv:8") < text.index("(u-7)") < text.index("users.csv:3")


def test_notes_are_folded_behind_their_number_and_accepted_ones_are_marked() -> None:
    collected = Findings(accepted=["row-width"])
    for line in (2, 3):
        collected.add("value-form", "users.csv", line, "role")
    collected.add("row-width", "users.csv", 4)

    shown = Page(page(report(collected)))

    labels = [
        each["class"] for each in shown.all("span") if "severity" in (each.get("class") or "")
    ]
    assert "2 notes on what was understood all the same" in shown.text
    assert len(shown.all("details", id="notes")) == 1
    assert labels == ["severity calm", "severity calm"]
    assert "accepted 1 users.csv" in shown.text


def test_of_many_findings_with_one_cause_the_first_are_shown_and_the_rest_counted() -> None:
    many = findings(*[("id-missing", "users.csv", n, "sourcedId", "") for n in range(2, 1502)])

    shown = Page(page(report(many)))

    assert len(shown.all("li")) == EXAMPLES_SHOWN
    assert f"… and {1500 - EXAMPLES_SHOWN:,} more." in shown.text


def test_without_findings_it_says_so() -> None:
    assert "Nothing that was left out, and nothing to check." in Page(page(report())).text


# -- nothing from outside, and nothing let in


def hostile() -> str:
    found = findings(
        ("agent-unknown", f"{HOSTILE}users.csv", 2, "agentSourcedIds", HOSTILE),
        ("header-name", "users.csv", 0, "", PUNCTUATION),
    )
    return page(report(found, roster=HOSTILE, format=HOSTILE, stopped=HOSTILE))


def test_hostile_names_ids_and_headers_are_text() -> None:
    innocent = Page(page(report(findings(("agent-unknown", "users.csv", 2, "x", "u-1")))))

    shown = Page(hostile())

    assert shown.scripts == innocent.scripts
    assert shown.all("img") == []
    assert not [name for _, attrs in shown.elements for name in attrs if name.startswith("on")]
    assert shown.text.count("<script>alert(1)</script>") == 7
    assert PUNCTUATION in shown.text
    assert any(HOSTILE in (each.get("data-cause") or "") for each in shown.all("tr"))


def test_it_needs_nothing_from_outside() -> None:
    html = hostile()

    shown = Page(html)
    policy = shown.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"] or ""
    links = [
        value
        for _, attrs in shown.elements
        for name, value in attrs.items()
        if name in ("src", "href", "srcset", "action", "data", "poster", "background", "xlink:href")
    ]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert links == ["data:,"]
    assert not re.search(
        r"url\(|@import|fetch\(|XMLHttp|WebSocket|import\(", "".join(shown.scripts)
    )


# -- in a browser

# Before the page's own script: whatever goes wrong is noted.
EARLY = """<script>
const wrong = [];
addEventListener("error", event => wrong.push(event.message));
addEventListener("securitypolicyviolation", event => wrong.push(event.blockedURI));
for (const name of ["error", "warn"]) console[name] = (...words) => wrong.push(words.join(" "));
</script>"""
# After it: the filter is used, and what can be seen then is noted.
LATE = """<script>
const seen = [];
function look() {
  const all = [...document.querySelectorAll(".findings tbody tr")];
  const visible = all.filter(row => row.offsetParent);
  const places = document.querySelectorAll(".findings tbody tr:not([hidden]) li:not([hidden])");
  seen.push([visible.map(row => row.dataset.severity),
             places.length, document.getElementById("shown").textContent]);
}
function type(text) {
  const input = document.getElementById("filter");
  input.value = text;
  input.dispatchEvent(new Event("input"));
  look();
}
if (notes) notes.open = true;
look();
["users.csv:7", "FAMILYNAME", "u-7", "value-missing", "nobody", "<script", ""].forEach(type);
const box = document.querySelector("input[value=error]");
box.click();
look();
addEventListener("load", () => {
  const asked = performance.getEntriesByType("resource").map(each => each.name);
  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = encodeURIComponent(JSON.stringify({wrong, seen, asked}));
  document.body.append(result);
});
</script>"""


# What the scripts noted, what was asked of the network, and what stands on the console.
Opened = Callable[[str], tuple[dict[str, Any], list[bytes], str]]


@contextmanager
def listener() -> Iterator[tuple[str, list[bytes]]]:
    """Stand where a browser's proxy would, and note whoever asks for anything."""
    asked: list[bytes] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked.append(self.rfile.readline())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def browse(path: Path, profile: Path) -> tuple[dict[str, Any], list[bytes], str]:
    """Open a page; return what its scripts noted, what was asked of the network, and the log."""
    assert BROWSER is not None
    with listener() as (proxy, asked):
        command = [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", f"--user-data-dir={profile}", f"--proxy-server={proxy}",
            "--proxy-bypass-list=<-loopback>", "--enable-logging=stderr",
            "--virtual-time-budget=2000", "--dump-dom", path.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    noted = re.search(r'<pre id="result">(.*?)</pre>', done.stdout)
    assert noted is not None
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    # Browsers ask their maker for the time and the like, whatever they show.
    pages = [line for line in asked if not MAKERS(line)]
    return json.loads(unquote(noted[1])), pages, console


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """Open a page with a script before its own and another after it."""

    def open_(html: str) -> tuple[dict[str, Any], list[bytes], str]:
        path = tmp_path / "report.html"
        bugged = html.replace("<head>", f"<head>{EARLY}", 1).replace("</body>", f"{LATE}</body>", 1)
        path.write_text(bugged, "utf-8")
        return browse(path, tmp_path / "profile")

    return open_


needs_browser = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")


@needs_browser
def test_in_a_browser_the_filter_works_without_errors_and_nothing_is_asked_of_the_network(
    opened: Opened,
) -> None:
    found = findings(
        ("value-missing", "users.csv", 7, "familyName", ""),
        ("value-missing", "users.csv", 8, "familyName", ""),
        ("status-inactive", "users.csv", 3, "status", ""),
        ("agent-unknown", "users.csv", 9, "agentSourcedIds", "u-7"),
        ("agent-unknown", "users.csv", 9, "agentSourcedIds", HOSTILE),
    )

    noted, asked, console = opened(page(report(found, trace=trace(1, 2, 3))))

    error, note = "error", "note"
    assert noted["wrong"] == []
    assert noted["seen"] == [
        [[error, error, note], 5, "3 of 3 causes"],
        [[error], 1, "1 of 3 causes"],  # a file and a line
        [[error], 2, "1 of 3 causes"],  # a field, in any case
        [[error], 1, "1 of 3 causes"],  # an id
        [[error], 2, "1 of 3 causes"],  # a code
        [[], 0, "0 of 3 causes"],
        [[error], 1, "1 of 3 causes"],  # what looks like an element
        [[error, error, note], 5, "3 of 3 causes"],
        [[note], 1, "1 of 3 causes"],  # a severity switched off
    ]
    assert noted["asked"] == asked == []
    assert console == ""


@needs_browser
def test_in_a_browser_a_page_without_findings_goes_on_saying_so(opened: Opened) -> None:
    html = page(report())
    row = 'document.querySelector(".findings tbody tr").offsetParent'

    noted, _, _ = opened(html.replace("</body>", f"<script>if (!{row}) nowhere()</script></body>"))

    assert noted["wrong"] == []


ASKING = '<img src="http://elsewhere.invalid/x"><script>nowhere()</script>'


@needs_browser
def test_in_a_browser_the_policy_keeps_what_the_page_should_not_ask_for(opened: Opened) -> None:
    noted, asked, console = opened(page(report()).replace("</h1>", f"</h1>{ASKING}", 1))

    assert len(noted["wrong"]) == 2
    assert asked == []
    assert "nowhere is not defined" in console


@needs_browser
def test_in_a_browser_a_page_that_asks_for_something_is_caught(opened: Opened) -> None:
    html = page(report()).replace("</h1>", f"</h1>{ASKING}", 1)

    noted, asked, _ = opened(re.sub(r"<meta http-equiv.*?>", "", html))

    assert noted["asked"] == ["http://elsewhere.invalid/x"]
    assert [line.split()[1] for line in asked] == [b"http://elsewhere.invalid/x"]


@pytest.mark.parametrize("name", ["ok", "bad", "look", "calm"])
def test_white_text_can_be_read_on_every_colour(name: str) -> None:
    found = re.search(rf"--{name}: #(\w\w)(\w\w)(\w\w);", page(report()))
    assert found is not None
    parts = [int(each, 16) / 255 for each in found.groups()]
    linear = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts
    ]
    red, green, blue = linear

    # WCAG 2.2, success criterion 1.4.3
    assert 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05) >= 4.5
