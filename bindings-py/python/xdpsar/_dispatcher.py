"""Threads that call something with each event: `run`, `start`, `Dispatcher`.

The loops are Python's, over native iterators: a call from there costs less
than one from native code, and a daemon thread that the interpreter ends has no
native frames.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from . import _native
from ._errors import Closed, UsageError, XdpsarTimeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Future
    from types import TracebackType
    from typing import Literal

    _ErrorPolicy = Literal["raise", "log", "stop"]

P = ParamSpec("P")
T = TypeVar("T")


def check(on_event: Callable[[Any], object], workers: int, least: int, on_error: str) -> None:
    """Refuses what cannot work, before any event is taken."""
    if not callable(on_event):
        raise TypeError(
            f"on_event of type {type(on_event).__name__}: that cannot be called; give a "
            "function, or an object with __call__"
        )
    if workers < least:
        raise UsageError(
            f"workers={workers}: there must be {least} or more",
            asked=f"workers={workers}",
            found="too few",
            remedy=f"give {least} or more",
        )
    if on_error not in ("raise", "log", "stop"):
        raise UsageError(
            f'on_error={on_error!r}: there is no such choice; choose from "raise", "log", "stop"',
            asked=f"on_error={on_error!r}",
            found="there is no such choice",
            remedy='choose from "raise", "log", "stop"',
        )


class Loop:
    """Calls `on_event`, in however many threads, until the end."""

    def __init__(
        self, feed: _native.Feed, on_event: Callable[[Any], object], on_error: _ErrorPolicy
    ) -> None:
        self.feed = feed
        self.on_event = on_event
        self.on_error = on_error
        self.error: BaseException | None = None
        self.calls: deque[Callable[[], None]] = deque()

    def run(self, heeds_signals: bool) -> None:
        """In this thread. Keeps what is to be raised."""
        worker = self.feed.worker(heeds_signals)
        try:
            while not worker.is_over:
                self._call_with_each(worker)
                self.feed.called()
                self.make_calls()
        except BaseException as error:
            # Of several threads, the first.
            self.error = self.error or error
            self.feed.stop()
        finally:
            worker.close()

    def _call_with_each(self, worker: _native.Worker) -> None:
        on_event = self.on_event
        for event in worker:
            try:
                on_event(event)
            except Exception as error:
                if self.on_error == "raise":
                    raise
                _native._unraisable(error, on_event)
                if self.on_error == "stop":
                    self.feed.stop()
            # Not kept while waiting for the next.
            del event

    def raise_error(self) -> None:
        """Once: what ended it."""
        error, self.error = self.error, None
        if error is None:
            return
        try:
            raise error
        finally:
            del error  # which holds this frame

    def make_calls(self) -> None:
        """Those that wait."""
        while self.calls:
            try:
                call = self.calls.popleft()
            except IndexError:  # another thread was faster
                return
            call()


class Dispatcher:
    """Threads that call a function with each event: made by `Reassembler.start`.

    They are daemons: they do not keep the interpreter alive. Leaving a `with`
    block stops them.
    """

    def __init__(
        self,
        feed: _native.Feed,
        on_event: Callable[[Any], object],
        workers: int,
        on_error: _ErrorPolicy,
    ) -> None:
        self._loop = Loop(feed, on_event, on_error)
        self._lock = threading.Lock()
        self._at_work = workers
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"xdpsar-events-{index}", daemon=True)
            for index in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        self._loop.run(heeds_signals=False)
        with self._lock:
            self._at_work -= 1
            if self._at_work:
                return
            # No call is taken in from here on.
            self._ended.set()
        # What was taken in before is made.
        self._loop.make_calls()

    @property
    def running(self) -> bool:
        """Whether a thread of it is at work, or may still be."""
        return any(thread.is_alive() for thread in self._threads)

    def call(
        self,
        fn: Callable[..., T],
        /,
        *args: Any,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> T:
        """Calls `fn` on a dispatcher thread, between two events; returns what it
        returns, and raises what it raises. On such a thread already, it is
        called there and then. XdpsarTimeout after `timeout` seconds: then it is
        not called any more, unless that has begun. Closed, if the dispatcher
        has ended."""
        if threading.current_thread() in self._threads:
            return fn(*args, **kwargs)
        future = self.call_soon(fn, *args, **kwargs)
        try:
            return future.result(timeout)
        except TimeoutError:
            if future.done() and not future.cancelled():
                return future.result()  # its own
            future.cancel()
            raise XdpsarTimeout(
                f"call of {fn!r}: it has not returned within {timeout} s; wait longer, or see "
                "what the dispatcher's threads do"
            ) from None
        except BaseException:
            future.cancel()
            raise

    def call_soon(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Has `fn` called on a dispatcher thread, between two events."""
        from concurrent.futures import Future

        self._loop.feed.check()
        future: Future[T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._lock:
            if self._ended.is_set():
                raise Closed(f"call of {fn!r} on a dispatcher that has ended: start a new one")
            self._loop.calls.append(call)
        self._loop.feed.call()
        return future

    def call_async(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Awaitable[T]:
        """`call`, to be awaited."""
        from asyncio import wrap_future

        return wrap_future(self.call_soon(fn, *args, **kwargs))

    def stop(self, timeout: float | None = None) -> None:
        """Ends its threads, each after the event that it is at. Events that
        no thread has come to stay receivable. Raises what ended them, as `join`
        does; XdpsarTimeout if they have not after `timeout` seconds."""
        self._loop.feed.stop()
        if not self.join(timeout):
            raise XdpsarTimeout(
                f"stop of a dispatcher: on_event has not returned within {timeout} s; wait "
                "longer: its threads end when it does"
            )

    def join(self, timeout: float | None = None) -> bool:
        """Waits for its end: of the events, or by `stop`, or by an exception,
        which is raised here if the policy is "raise". False when the time is
        over. On a thread of its own it does not wait for that."""
        from time import monotonic

        deadline = None if timeout is None else monotonic() + timeout
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(None if deadline is None else max(0.0, deadline - monotonic()))
                if thread.is_alive():
                    return False
        self._loop.raise_error()
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        except BaseException:
            if error is None:
                raise

    def __repr__(self) -> str:
        count = len(self._threads)
        state = "running" if self.running else "ended"
        return f"<xdpsar.Dispatcher, {count} threads, {state}>"


def run(
    feed: _native.Feed, on_event: Callable[[Any], object], workers: int, on_error: _ErrorPolicy
) -> int:
    """`Reassembler.run`."""
    if workers:
        dispatcher = Dispatcher(feed, on_event, workers, on_error)
        try:
            dispatcher.join()
        except BaseException:
            # A signal's handler has raised it, or a thread, which have ended
            # then: nothing is called once this has returned.
            dispatcher.stop()
            raise
    else:
        loop = Loop(feed, on_event, on_error)
        loop.run(heeds_signals=True)
        loop.raise_error()
    return feed.handed_out
