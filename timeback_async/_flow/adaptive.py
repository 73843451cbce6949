"""Find how many requests at once the server takes, and send no more.

TimeBack publishes no limits, and a server may tell its limit in any words: 429, 503, even 500. So
failures that fall in number when we send less are a limit, and those that do not are noise. The
window grows while all is well, is cut when there are more failures than noise explains, and sends
one probe at a time while nothing comes through. A call that waits meanwhile uses up no attempt.
No I/O and no clock, like every window.

Sources: RFC 9438 (CUBIC), with requests instead of bytes; RFC 8257 (DCTCP): the share of marked
answers decides, not each of them; a CUSUM test decides that there are too many.
"""

import random
from collections.abc import Callable
from math import ceil, inf

from .._statistics import WindowMode
from .window import GATE_FROM, Window

__all__ = ["AdaptiveWindow"]

START = 4.0
SMALLEST = 0.02  # before the first answer; then one request in `LAST_PROBE` seconds
# A cut is to 0.8 of the size that was too much, less the share that failed since the last cut, so
# that it is below the limit. The window is back at that size after one cycle, grows slowly for half
# of one more, and then doubles every half, since the limit has moved by then.
CUT, DOUBLE_FROM, DOUBLE_EVERY = 0.8, 1.5, 0.5
# No cut is deeper; the first one is to a half, since the window grew quickly. A limit then lets as
# much through as before, or this share of it at least.
DEEPEST_CUT, KEPT = 0.5, 0.75
# A cycle has at least so many requests, so that those it spends on finding the limit are few.
SHORTEST_CYCLE, LONGEST_CYCLE, CYCLE_REQUESTS = 5.0, 60.0, 200.0
# Where others share a limit, what one of them gives up is found again in less time.
LONGEST_SHARED_CYCLE = 10.0
# Requests that were in flight at a cut may still fail: that is no reason for another cut.
EPOCH_ROUND_TRIPS, SHORTEST_EPOCH = 2.0, 0.1
# Failures beyond noise and `TOLERATED`, a share of the answers, call for a cut once they are that
# share of a cycle: at least `LEAST_EXCESS`, at most `SEARCH_EXCESS` while the size may be far off,
# and more where there is noise, since noise comes in bursts.
TOLERATED, LEAST_EXCESS, SEARCH_EXCESS, EXCESS_OF_NOISE = 0.005, 1.0, 3.0, 50.0
# Noise is learned in the first part of a cycle, from about so many answers. A larger share than
# `MOST_NOISE` is never taken for noise.
CALM_PART, LEARN, MOST_NOISE = 0.5, 50.0, 0.2
# A wake-up that is late by up to this many seconds does not reduce the rate.
PACING_SLACK = 0.005
FIRST_PROBE, LAST_PROBE, LAST_PROBE_OVERLOAD = 0.25, 4.0, 1.0
# A window that is dry again after fewer answers than this was too large, whatever the failures say.
SETTLED_AFTER = 50
# A row of failures that begins so soon after a cut belongs to what the cut was for.
CALM = 1.0
# The smallest share of the time that a rate limit is taken to have let requests in.
LEAST_SHARE = 0.1


class AdaptiveWindow(Window):
    """A window that finds its size, up to `limit`, from the results of the attempts.

    OPEN grows by one with each success. LIMITED grows with time, from below the size that was too
    much. DRY sends one probe at a time.

          ┌───────────────── e ────────────────┐
          v                                    │
        OPEN ─── a, b, c ──> LIMITED ─── d ──> DRY
          │                     ^              │ ^
          │                     └──── b, f ────┘ │
          └──────────────────── d ───────────────┘

        a  more failures than noise explains
        b  a long Retry-After
        c  after e: grown to 0.8 of the size before the failures
        d  as many failures in a row as are in flight, and at least 6
        e  a probe succeeds, and the server was down
        f  a probe succeeds, and the server was overloaded: the failures were throttled, or the
           window was dry shortly before

    Where other processes share the limit, a cut may help them alone, while failures stay: so a
    throttled answer is never noise there. Each would take the others for noise.

    Args:
        limit: The most requests in flight at once.
        max_rate: The most requests a second; None for no limit.
        processes: How many share the server's limits. All of them together begin, and grow, like
            one alone.
        jitter: Returns a random number from 0 to 1, so that clients do not probe in step.
        on_change: Called with the new mode at every change.
    """

    def __init__(
        self,
        limit: int,
        max_rate: float | None = None,
        *,
        processes: int = 1,
        jitter: Callable[[], float] = random.random,
        on_change: Callable[[WindowMode], None] = lambda mode: None,
    ) -> None:
        super().__init__(limit, max_rate)
        self._limit = float(limit)
        self._is_shared, self._share_of_growth = processes > 1, 1.0 / processes
        self._jitter, self._on_change = jitter, on_change
        self._is_timed = False  # whether `admit` looks at more than the size
        self._is_settled = False
        self._aim = self._limit  # the size at which an open window stops growing
        self._size = 0.0
        self._resize(min(START / processes, self._aim))
        self._too_much, self._cut_at, self._cycle = self._limit, -inf, SHORTEST_CYCLE  # for LIMITED
        self._paced_at = -inf  # when the last request was due
        self._began_at = inf  # when sending began, or last began again
        self._revived_with = -SETTLED_AFTER  # `served` when something came through again
        self._noise = self._excess = 0.0
        # Since the last cut, and those that may be noise; `served` at the last failure.
        self._failures, self._excusable, self._failed_with = 0, 0, 0
        self._calm_until, self._failed_before = inf, 1.0
        self._rate_before = 0.0  # what came through, a second, before the last cut
        self._is_searching = True  # whether its size may be far above the limit
        self._cut_with = 0  # `served` at the last cut
        self._calm_size = self._limit  # the size before the failures in a row
        self._probes, self._is_probing, self._is_overload = 0, False, False
        self._dry_from = inf

    def size(self, now: float) -> float:
        """Return how many requests may be in flight. Below 1 it is one, with pauses."""
        if self.mode is not WindowMode.LIMITED:
            return self._size
        since = max(0.0, now - self._cut_at) / self._cycle
        size = self._too_much * (1 - (1 - CUT) * (1 - min(since, DOUBLE_FROM)) ** 3)
        if since > DOUBLE_FROM:
            size *= 2.0 ** min((since - DOUBLE_FROM) / DOUBLE_EVERY, 30)
        return min(size, self._limit)

    def admit(self, now: float) -> float:
        """Take a slot and return 0, or return how long to wait. See `Window.admit`."""
        if not self._is_timed:
            return Window.admit(self, now)  # super() takes twice as long, for every request
        if self.mode is WindowMode.DRY:
            wait = super().admit(now)
            if wait == 0.0:
                self._is_probing, self._opens_at = True, now + LAST_PROBE
            return wait
        self._resize(size := self.size(now))
        # Whole requests keep half of the distance; the last one, a part, keeps all of it.
        gap = min(self.round_trip / size, LAST_PROBE)
        earliest = self._paced_at + (gap / 2 if self.in_flight < int(size) else gap)
        if now < earliest and self.in_flight < self._bound:
            return max(earliest, self._opens_at) - now
        wait = super().admit(now)
        if wait == 0.0:
            self._paced_at = max(earliest, now - PACING_SLACK)
        return wait

    def _adapt(self, seconds: float, now: float) -> None:
        """Change the size after a success: an open window grows, a dry one revives."""
        if self._began_at == inf:
            self._began_at = now - seconds
        if self.mode is WindowMode.DRY:
            self._revive(now)
        elif self.mode is WindowMode.OPEN and self._size < self._aim:
            self._grow(self._share_of_growth, now)
        elif self.mode is WindowMode.OPEN or now >= self._calm_until:
            self._is_searching = False
            self._learn(now)
            self._is_settled = True

    def throttled(self, retry_after: float, now: float) -> None:
        """Count an answer that asks us to slow down.

        The cases, in the order of the code:
        - the gate was shut before, or nothing has come through since: it is only shut for longer
        - a long `Retry-After` shuts the gate
        - a short one, or none: a failure like any other
        """
        was_shut = now < self.gate
        super().throttled(retry_after, now)
        if was_shut or (now < self.gate and self.served == self._cut_with):
            self._cut_at = self._began_at = self._opens_at = self.gate
        elif retry_after >= GATE_FROM:
            size = self._calm_size if self.mode is WindowMode.DRY else self.size(now)
            self._resume(self.gate, size * self._share(min(now, self.dry_since), self.gate))
        else:
            self._fail(now, is_throttle=True)

    def failed(self, now: float) -> None:
        """Count an attempt without a usable answer; cut the window when there are too many."""
        super().failed(now)
        if now >= self.gate:
            self._fail(now, is_throttle=False)

    # -- what an answer changes

    def _fail(self, now: float, *, is_throttle: bool) -> None:
        """Count a failure.

        The cases, in the order of the code:
        - a probe failed: the next one comes later
        - nothing comes through any more
        - it may have been in flight at the last cut
        - there are too many failures: cut the window
        """
        if self.mode is WindowMode.DRY:
            if self._is_probing:  # if not, it was in flight before the window was dry
                self._is_probing = False
                self._probes += 1
                self._opens_at = now + self._until_probe()
            return
        size = self.size(now)
        if self._row == 1 and now > self._cut_at + CALM:
            self._calm_size = size
        if self.dry_since != inf:
            is_settled = self.served - self._revived_with >= SETTLED_AFTER
            self._probes, self._is_overload = 0, is_throttle or not is_settled
            self._opens_at = now + self._until_probe()
            # Time alone separates the probes, since a request in flight may hang for long.
            self._size, self._bound, self._is_probing = 1.0, int(self._limit), False
            self._change(WindowMode.DRY)
            self._dry_from = now
            return
        epoch = max(SHORTEST_EPOCH, EPOCH_ROUND_TRIPS * self.round_trip)
        if now >= self._cut_at + epoch and self._is_too_much(size, is_throttle=is_throttle):
            self._cut(size, now)

    def _is_too_much(self, size: float, *, is_throttle: bool) -> bool:
        """Count a failure, and return whether there are more than noise explains."""
        answers, self._failed_with = self.served - self._failed_with, self.served
        self._failures += 1
        self._excusable += not (is_throttle and self._is_shared)
        usual = answers * (1.5 * self._noise + TOLERATED)
        self._excess = max(0.0, self._excess - usual) + 1
        in_cycle = size * self._cycle_of(size) / max(1e-9, self.round_trip)
        limit = max(LEAST_EXCESS, TOLERATED * in_cycle)
        if self._is_searching:
            limit = min(limit, SEARCH_EXCESS)
        return self._excess >= limit + EXCESS_OF_NOISE * self._noise

    def _learn(self, now: float) -> bool:
        """Learn noise from the time since a cut; if the cut did not help, undo it and return True.

        The cut was below the limit, if there is one: so what stayed is noise.
        """
        answers = self._failures + self.served - self._cut_with
        failed = self._excusable / max(1, answers)
        if self._failed_before > MOST_NOISE:  # there was a limit; noise is no more than what stayed
            self._noise += min(0.0, failed - self._noise) * answers / (answers + LEARN)
            return False
        stayed = min(self._failed_before, failed)
        has_helped = stayed <= failed / 2 or failed > MOST_NOISE
        if has_helped:
            self._noise += (stayed - self._noise) * answers / (answers + LEARN)
        else:
            self._noise = max(self._noise, stayed)
            self._excess, self._cut_at, self._is_searching = 0.0, now - self._cycle, False
        self._failed_before = 1.0
        return not has_helped

    def _cut(self, size: float, now: float) -> None:
        """Send less, unless that did not help before.

        The cases, in the order of the code:
        - the size may be far above a limit, and was cut before: a limit would have let as much
          through as before the cut. Less came through, so the failures are noise
        - the window grew quickly: halve it
        - the last cut did not help: see `_learn`
        - cut it so that it is below the limit
        """
        served = self.served - self._cut_with
        failed = self._failures / (self._failures + served)
        noise = self._excusable / (self._failures + served)
        rate = served / max(1e-9, now - max(self._cut_at, self._began_at))
        if (
            self._is_searching
            and failed / 2 < noise <= MOST_NOISE
            and rate < KEPT * self._rate_before
        ):
            self._noise = max(self._noise, noise)
            self._open(size / DEEPEST_CUT, now)
        elif self._is_searching and self.mode is WindowMode.OPEN:
            self._limit_to(size * DEEPEST_CUT, now)
        elif not self._learn(now):
            self._limit_to(size * max(DEEPEST_CUT, CUT - failed), now)
            self._failed_before = noise
        self._rate_before = rate

    def _open(self, size: float, now: float) -> None:
        """Grow quickly from this size on."""
        self._excess, self._failures, self._excusable = 0.0, 0, 0
        self._cut_with = self._failed_with = self.served
        self._cut_at, self._aim = now, self._limit
        self._change(WindowMode.OPEN)
        self._resize(min(size, self._limit))

    def _until_probe(self) -> float:
        last = LAST_PROBE_OVERLOAD if self._is_overload else LAST_PROBE
        longest = min(last, FIRST_PROBE * 2.0 ** min(self._probes, 30))
        return longest * (0.5 + self._jitter() / 2)

    def _revive(self, now: float) -> None:
        """Grow again after a time in which nothing came through."""
        self._revived_with = self.served
        if self._is_overload:
            self._resume(now, self._calm_size * self._share(self._dry_from, now))
        else:  # the server was down, and may be as fast as before: grow quickly to a bit less
            self._opens_at = now
            self._size, self._aim, self._is_searching = 0.0, CUT * self._calm_size, True
            self._change(WindowMode.OPEN)
            self._grow(START * self._share_of_growth, now)

    def _share(self, shut: float, opens: float) -> float:
        """Return the share of the time in which the server let requests in, from 0.1 to 0.8.

        It let them in since `_began_at`, and none from `shut` to `opens`. With this share of the
        window, it would have let in the same requests over the whole time.
        """
        used = max(0.0, shut - self._began_at) / max(1e-9, opens - self._began_at)
        return min(CUT, max(LEAST_SHARE, used))

    def _grow(self, by: float, now: float) -> None:
        self._resize(min(self._size + by, self._aim))
        if self._size == self._aim < self._limit:
            self._limit_to(self._aim, now)

    def _resume(self, when: float, size: float) -> None:
        self._limit_to(size, when)
        self._began_at = self._opens_at = when
        self._calm_size = size

    def _limit_to(self, size: float, when: float) -> None:
        """Begin a cycle with this size."""
        smallest = self.round_trip / LAST_PROBE or SMALLEST
        self._too_much, self._cut_at = max(smallest, size / CUT), when
        self._cycle = SHORTEST_CYCLE
        if not self._is_searching:
            self._cycle = self._cycle_of(self._too_much)
        self._excess, self._failures, self._excusable = 0.0, 0, 0
        self._cut_with = self._failed_with = self.served
        self._calm_until, self._failed_before = when + CALM_PART * self._cycle, 1.0
        self._change(WindowMode.LIMITED)

    def _cycle_of(self, size: float) -> float:
        """Return the seconds of a cycle in which requests are sent with this size."""
        longest = LONGEST_SHARED_CYCLE if self._is_shared else LONGEST_CYCLE
        return min(longest, max(SHORTEST_CYCLE, CYCLE_REQUESTS * self.round_trip / size))

    def _resize(self, size: float) -> None:
        self._size, self._bound = size, ceil(size)

    def _change(self, mode: WindowMode) -> None:
        self._is_timed, self._is_settled = mode is not WindowMode.OPEN, False
        if mode is not self.mode:
            self.mode = mode
            self._on_change(mode)
