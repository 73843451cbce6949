"""What `sync --dry-run` tells, and leaves alone."""

from pathlib import Path

from tests.support.command import family, figures, sync
from tests.support.rosters import FAMILY, child
from timeback_async.testing import MockServer


def test_a_dry_run_needs_no_credentials_makes_no_state_and_sends_nothing(
    server: MockServer, here: Path
) -> None:
    done = sync(family(), "--dry-run", TIMEBACK_CLIENT_ID="", TIMEBACK_CLIENT_SECRET="")

    assert done.exit_code == 0
    assert "create student s-1" in done.stdout
    assert "link agent s-1" in done.stdout
    assert "nothing was sent" in done.stdout
    assert [path.name for path in here.iterdir()] == ["family"]
    assert server.requests == server.token_requests == 0


def test_a_dry_run_compares_with_the_state_and_leaves_it_as_it_is(server: MockServer) -> None:
    sync(family())
    before = Path("timeback-state.db").read_bytes()

    more = (child(f"s-{number}") for number in range(3, 9))
    report = figures(family(*FAMILY, *more), "--dry-run", TIMEBACK_CLIENT_ID="")

    assert report["samples"] == {"people": [f"create student s-{n}" for n in (3, 4, 5)]}
    assert (report["unchanged"], report["dry_run"], report["exit"]) == (5, True, 0)
    assert Path("timeback-state.db").read_bytes() == before


def test_a_dry_run_of_files_with_errors_is_exit_code_1(server: MockServer) -> None:
    assert sync(family(child("s-1", role="")), "--dry-run").exit_code == 1
