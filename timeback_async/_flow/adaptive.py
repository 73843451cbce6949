"""Find how many requests at once the server takes, and send no more.

TimeBack publishes no limits. So the window grows while all is well, shrinks when the server asks
to slow down, and sends one probe at a time while nothing comes through. A call that waits
meanwhile uses up no attempt. No I/O and no clock, like every window.

Source: RFC 9438 (CUBIC), with requests instead of bytes, and with memory of a few seconds only.
"""

import random
from collections import deque
from collections.abc import Callable
from math import inf

from .._statistics import WindowMode
from .window import GATE_FROM, Window

__all__ = ["AdaptiveWindow"]

START = 4.0
SMALLEST = 0.02
# A cut is to 0.8 of the size that was too much. The window is back at that size after 5 s, then
# grows slowly; from 7.5 s on it doubles every 2.5 s, since the limit has moved by then.
CUT, BACK_AFTER, DOUBLE_FROM, DOUBLE_EVERY = 0.8, 5.0, 7.5, 2.5
# Requests that were in flight at a cut may still be throttled: that is no reason for another cut.
EPOCH_ROUND_TRIPS, SHORTEST_EPOCH = 2.0, 0.1
# A wake-up that is late by up to this many seconds does not reduce the rate.
PACING_SLACK = 0.005
# Other failures are a sign of overload only if they are more than half of the last 20 answers.
RECENT = 20
# Nothing comes through after this many failures in a row, or after a whole window of them.
DRY_FROM = 6
FIRST_PROBE, LAST_PROBE, LAST_PROBE_OVERLOAD = 0.25, 4.0, 1.0
# A failure after a second without failures begins a new series of failures.
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

        a  a throttled answer, or a failure when more than half of the last 20 answers were failures
        b  a long Retry-After
        c  after e: grown to 0.8 of the size before the failures
        d  6 failures in a row, or a whole window of them
        e  a probe succeeds, and the failures were not throttled
        f  a probe succeeds, and the failures were throttled

    Args:
        limit: The most requests in flight at once.
        max_rate: The most requests a second; None for no limit.
        jitter: Returns a random number from 0 to 1, so that clients do not probe in step.
        on_change: Called with the new mode at every change.
    """

    def __init__(
        self,
        limit: int,
        max_rate: float | None = None,
        *,
        jitter: Callable[[], float] = random.random,
        on_change: Callable[[WindowMode], None] = lambda mode: None,
    ) -> None:
        super().__init__(limit, max_rate)
        self._limit = float(limit)
        self._jitter, self._on_change = jitter, on_change
        self._is_timed = False  # whether `admit` looks at more than the size
        self._aim = self._limit  # the size at which an open window stops growing
        self._size = 0.0
        self._resize(min(START, self._aim))
        self._too_much, self._cut_at = self._limit, -inf  # for LIMITED
        self._is_far_off = False  # whether the last cut was to a half
        self._began_at = inf  # when sending began, or last began again
        self._is_calm = False  # whether there are recent answers, and none is a failure
        self._recent: deque[bool] = deque(maxlen=RECENT)  # whether each answer was a failure
        self._row = 0  # failures in a row
        self._failed_at, self._calm_size = -inf, self._limit  # the size before the failures
        self._probes, self._is_probing, self._is_overload = 0, False, False

    def size(self, now: float) -> float:
        """Return how many requests may be in flight. Below 1 it is one, with pauses."""
        if self.mode is not WindowMode.LIMITED:
            return self._size
        since = max(0.0, now - self._cut_at)
        size = self._too_much * (1 - (1 - CUT) * (1 - min(since, DOUBLE_FROM) / BACK_AFTER) ** 3)
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
        self._resize(self.size(now))
        paced_from = max(self._opens_at, now - PACING_SLACK)
        wait = super().admit(now)
        if wait == 0.0:
            gap = self.round_trip / (2 * self._size if self._size >= 1 else self._size)
            self._opens_at = paced_from + min(gap, LAST_PROBE)
        return wait

    def succeeded(self, seconds: float, now: float) -> None:
        """Count an answer that shows no overload: an open window grows, a dry one revives."""
        Window.succeeded(self, seconds, now)
        if self._is_calm and self._size == self._limit:
            return  # the usual case, so it costs next to nothing
        if self._began_at == inf:
            self._began_at = now - seconds
        self._row = 0
        self._recent.append(False)
        self._is_calm = not any(self._recent)
        if self.mode is WindowMode.DRY:
            self._revive(now)
        elif self.mode is WindowMode.OPEN and self._size < self._aim:
            self._grow(1.0, now)

    def throttled(self, retry_after: float, now: float) -> None:
        """Count an answer that asks us to slow down.

        The cases, in the order of the code:
        - the gate was shut before: it only stays shut for longer
        - a long `Retry-After` shuts the gate
        - a short one, or none: a failure, and the window is cut
        """
        was_shut = now < self.gate
        super().throttled(retry_after, now)
        if was_shut:  # it was in flight before, so only the gate matters
            self._cut_at = self._began_at = self._opens_at = self.gate
            return
        if retry_after >= GATE_FROM:
            size = self._calm_size if self.mode is WindowMode.DRY else self.size(now)
            self._resume(self.gate, size * self._share(min(now, self.dry_since), self.gate))
        else:
            self._fail(now, is_throttle=True)
            self._cut(now)

    def failed(self, now: float) -> None:
        """Count an attempt without a usable answer; cut the window when most attempts fail."""
        if now < self.gate:
            return
        self._fail(now, is_throttle=False)
        if sum(self._recent) > RECENT // 2:
            self._cut(now)

    # -- what an answer changes

    def _fail(self, now: float, *, is_throttle: bool) -> None:
        if self.mode is WindowMode.DRY:
            if self._is_probing:  # if not, it was in flight before the window was dry
                self._is_probing = False
                self._probes += 1
                self._opens_at = now + self._until_probe()
            return
        size = self.size(now)
        if now - self._failed_at > CALM:
            self._calm_size = size
        self._failed_at = now
        self._row += 1
        self._recent.append(True)
        self._is_calm = False
        if self._row >= max(DRY_FROM, size):
            self._probes, self._is_overload = 0, is_throttle
            self._opens_at = now + self._until_probe()
            # Time alone separates the probes, since a request in flight may hang for long.
            self._size, self._bound, self._is_probing = 1.0, int(self._limit), False
            self._change(WindowMode.DRY)
            self.dry_since = now

    def _until_probe(self) -> float:
        last = LAST_PROBE_OVERLOAD if self._is_overload else LAST_PROBE
        longest = min(last, FIRST_PROBE * 2.0 ** min(self._probes, 30))
        return longest * (0.5 + self._jitter() / 2)

    def _revive(self, now: float) -> None:
        """Grow again after a time in which nothing came through."""
        if self._is_overload:
            self._resume(now, self._calm_size * self._share(self.dry_since, now))
        else:  # the server was down, and may be as fast as before: grow quickly to a bit less
            self._opens_at = now
            self._size, self._aim = 0.0, CUT * self._calm_size
            self._change(WindowMode.OPEN)
            self._grow(START, now)

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
            self._limit_to(self._aim / CUT, now)

    def _cut(self, now: float) -> None:
        epoch = max(SHORTEST_EPOCH, EPOCH_ROUND_TRIPS * self.round_trip)
        if self.mode is WindowMode.DRY or now < self._cut_at + epoch:
            return
        # An open window may have grown far above the limit: halve it until it is below.
        is_still = self._is_far_off and now < self._cut_at + 2 * epoch
        self._is_far_off = is_still or self.mode is WindowMode.OPEN
        size = self.size(now)
        self._limit_to(size / 2 / CUT if self._is_far_off else size, now)

    def _resume(self, when: float, size: float) -> None:
        self._limit_to(size / CUT, when)
        self._began_at = self._opens_at = when
        self._row, self._calm_size = 0, size

    def _limit_to(self, too_much: float, when: float) -> None:
        self._too_much, self._cut_at = max(SMALLEST, too_much), when
        self._recent.clear()
        self._change(WindowMode.LIMITED)

    def _resize(self, size: float) -> None:
        self._size, self._bound = size, max(1, int(size))

    def _change(self, mode: WindowMode) -> None:
        self._is_timed, self.dry_since = mode is not WindowMode.OPEN, inf
        if mode is not self.mode:
            self.mode = mode
            self._on_change(mode)
