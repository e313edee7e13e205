"""Events without a byte: nothing is sent of them, but their callbacks are called."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from xdpsar import _native


class EmptyEvents:
    """Calls from threads of their own, as callers may hold what is needed."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []

    def add(self, told: Callable[[Any], object] | None) -> None:
        """One that was queued."""
        if told is None:
            return
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=_call, args=(told,), name="xdpsar-empty", daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self) -> None:
        """Waits until all were called, but for the one that asks."""
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()


def _call(told: Callable[[Any], object]) -> None:
    try:
        told(None)
    except BaseException as error:
        _native._unraisable(error, told)
