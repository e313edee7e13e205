"""Event numbers, where events do not name them."""

from __future__ import annotations

import threading
import time

_U64 = 2**64 - 1


class Numbers:
    """They count from 0, or on from the last number that was named."""

    def __init__(self) -> None:
        # Signal handlers may send as well, in the midst of this.
        self._lock = threading.RLock()
        self._next = 0
        self._last_tick = 0

    def take(self, asked: int) -> int:
        """The number of an event that asks for this one; 0: for the next."""
        with self._lock:
            number = asked or self._next
            self._next = (number + 1) & _U64
            return number

    def give_back(self, number: int) -> None:
        """It was not used, and is the next again, unless others were taken."""
        with self._lock:
            if self._next == (number + 1) & _U64:
                self._next = number

    def tick(self) -> int:
        """Microseconds since 1970, none of them twice."""
        with self._lock:
            self._last_tick = max(self._last_tick + 1, time.time_ns() // 1000)
            return self._last_tick
