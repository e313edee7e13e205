"""`run`, `start` and `Dispatcher`: threads, exceptions, calls, the end."""

import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

import xdpsar

from .conftest import PATIENCE, Pair, eventually
from .test_process import succeeds


class Feeding:
    """A thread that sends events, so that none can be lost: no more than 32 on
    their way."""

    def __init__(self, pair: Pair, count: int) -> None:
        self.room = threading.Semaphore(32)
        self.thread = threading.Thread(target=self._send, args=(pair.sender, count))
        self.thread.start()

    def _send(self, sender: xdpsar.Segmenter, count: int) -> None:
        for number in range(count):
            assert self.room.acquire(timeout=PATIENCE)
            sender.send(b"x" * (number % 100), data_id=number % 4)

    def took(self, events: int = 1) -> None:
        self.room.release(events)


def test_run_calls_in_this_thread(pair: Pair) -> None:
    feeding = Feeding(pair, 500)
    seen: list[tuple[int, int]] = []

    def on_event(event: xdpsar.Event) -> None:
        seen.append((event.event_number, threading.get_ident()))
        feeding.took()

    assert pair.receiver.run(on_event, max_events=500) == 500
    assert sorted(number for number, _ in seen) == list(range(500))
    assert {thread for _, thread in seen} == {threading.get_ident()}
    assert pair.receiver.run(on_event, max_events=0) == 0


def test_run_ends_with_the_events(pair: Pair) -> None:
    for _ in range(3):
        pair.sender.send(b"")

    def on_event(event: xdpsar.Event) -> None:
        if event.event_number == 2:
            pair.receiver.stop()

    assert pair.receiver.run(on_event) == 3
    assert pair.receiver.run(on_event, workers=2) == 0
    pair.receiver.close()
    with pytest.raises(xdpsar.Closed):
        pair.receiver.run(on_event)
    with pytest.raises(xdpsar.Closed):
        pair.receiver.start(on_event)


def test_workers_are_several_threads(pair: Pair) -> None:
    feeding = Feeding(pair, 300)
    met = threading.Barrier(3)
    threads: set[int] = set()
    numbers: list[int] = []

    def on_event(event: xdpsar.Event) -> None:
        if threading.get_ident() not in threads:
            threads.add(threading.get_ident())
            met.wait(PATIENCE)  # all three are at an event at the same time
        numbers.append(event.event_number)
        feeding.took()

    assert pair.receiver.run(on_event, workers=3, max_events=300) == 300
    assert len(threads) == 3 and threading.get_ident() not in threads
    assert sorted(numbers) == list(range(300))


def test_lists(pair: Pair) -> None:
    feeding = Feeding(pair, 400)
    sizes: list[int] = []

    def on_events(events: list[xdpsar.Event]) -> None:
        sizes.append(len(events))
        feeding.took(len(events))

    assert pair.receiver.run(on_events, batch=7, max_events=400) == 400
    assert sum(sizes) == 400 and max(sizes) <= 7


@pytest.mark.parametrize("workers", [0, 2])
def test_an_exception_comes_out(pair: Pair, workers: int) -> None:
    error = KeyError("deliberate")

    def raises_this() -> None:
        raise error

    for _ in range(20):
        pair.sender.send(b"")
    eventually(lambda: pair.receiver.stats.queued == 20)
    calls: list[int] = []

    def on_event(event: xdpsar.Event) -> None:
        calls.append(event.event_number)
        raises_this()

    with pytest.raises(KeyError) as caught:
        pair.receiver.run(on_event, workers=workers)
    assert caught.value is error
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[-2:] == ["on_event", "raises_this"]
    assert 1 <= len(calls) <= max(workers, 1)
    rest = pair.receiver.recv_many(20, PATIENCE, min_events=20 - len(calls))
    numbers = calls + [event.event_number for event in rest]
    assert sorted(numbers) == list(range(20)), "what nobody has come to is still there"
    del caught, error


@pytest.mark.parametrize("policy", ["log", "stop"])
def test_exceptions_are_told_to_the_hook(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, policy: Any
) -> None:
    reports: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: reports.append(report.exc_value))
    for _ in range(5):
        pair.sender.send(b"")
    eventually(lambda: pair.receiver.stats.queued == 5)

    def on_event(event: xdpsar.Event) -> None:
        raise LookupError(event.event_number)

    count = pair.receiver.run(on_event, on_error=policy, max_events=5)
    assert count == (5 if policy == "log" else 1)
    assert [type(report) for report in reports] == [LookupError] * count
    rest = pair.receiver.recv_many(5, 0 if policy == "log" else PATIENCE, min_events=5 - count or 1)
    assert len(rest) == 5 - count


def test_what_is_refused_at_once(pair: Pair) -> None:
    calls: list[Callable[..., object]] = [pair.receiver.run, pair.receiver.start]
    for call in calls:
        for bad in (5, None, "on_event"):
            with pytest.raises(TypeError, match="cannot be called"):
                call(bad)
        with pytest.raises(ValueError, match="no such choice"):
            call(print, on_error="ignore")
        with pytest.raises(ValueError, match="or more"):
            call(print, workers=-1)
        with pytest.raises(ValueError, match="batch=0"):
            call(print, batch=0)
        with pytest.raises(ValueError, match="every=0"):
            call(print, every=0)
    with pytest.raises(ValueError, match="or more"):
        pair.receiver.start(print, workers=0)


def test_python_goes_on_meanwhile(pair: Pair) -> None:
    feeding = Feeding(pair, 200)
    seen: list[int] = []
    counted = threading.Event()

    def on_event(event: xdpsar.Event) -> None:
        seen.append(event.event_number)
        # However slow the main thread is, it counts before the last event.
        assert len(seen) < 100 or counted.wait(PATIENCE)
        feeding.took()

    counter = 0
    with pair.receiver.start(on_event) as dispatcher:
        assert dispatcher.running and "running" in repr(dispatcher)
        deadline = time.monotonic() + PATIENCE
        while len(seen) < 200:
            counter += 1
            counted.set()
            assert time.monotonic() < deadline
            time.sleep(0)
    assert counter > 0 and sorted(seen) == list(range(200))
    assert not dispatcher.running and "ended" in repr(dispatcher)


def test_a_stop_loses_nothing(pair: Pair) -> None:
    numbers: list[int] = []
    begun = threading.Event()
    go_on = threading.Event()

    def on_event(event: xdpsar.Event) -> None:
        numbers.append(event.event_number)
        begun.set()
        assert go_on.wait(PATIENCE)

    for _ in range(30):
        pair.sender.send(b"")
    dispatcher = pair.receiver.start(on_event)
    assert begun.wait(PATIENCE)
    assert dispatcher.join(0.01) is False
    with pytest.raises(xdpsar.XdpsarTimeout, match="has not returned"):
        dispatcher.stop(0.01)
    go_on.set()
    dispatcher.stop()
    dispatcher.stop()
    rest = pair.receiver.recv_many(30, PATIENCE, min_events=30 - len(numbers))
    numbers += [event.event_number for event in rest]
    assert sorted(numbers) == list(range(30))


def test_a_dispatcher_raises_when_it_is_joined(pair: Pair) -> None:
    error = ValueError("deliberate")

    def on_event(_: xdpsar.Event) -> None:
        raise error

    pair.sender.send(b"")
    dispatcher = pair.receiver.start(on_event, workers=2, on_error="raise")
    with pytest.raises(ValueError) as caught:
        dispatcher.join(PATIENCE)
    assert caught.value is error and dispatcher.join(PATIENCE)
    with pytest.raises(xdpsar.Closed):
        dispatcher.call(print)
    del caught, error


def test_calls(pair: Pair) -> None:
    with pair.receiver.start(lambda event: None) as dispatcher:
        here = threading.get_ident()
        there = dispatcher.call(threading.get_ident)
        assert there != here
        assert dispatcher.call(lambda *args, **more: (args, more), 1, two=2) == ((1,), {"two": 2})
        assert dispatcher.call(dispatcher.call, threading.get_ident) == there, "nested"
        error = KeyError("deliberate")

        def raises() -> None:
            raise error

        with pytest.raises(KeyError) as caught:
            dispatcher.call(raises)
        assert caught.value is error
        future = dispatcher.call_soon(sum, [1, 2, 3])
        assert future.result(PATIENCE) == 6
        with pytest.raises(TimeoutError):
            dispatcher.call(time.sleep, 0.3, timeout=0.01)
        assert dispatcher.call(int, "7") == 7
        del caught, error, future
    with pytest.raises(xdpsar.Closed, match="has ended"):
        dispatcher.call(print)
    with pytest.raises(xdpsar.Closed):
        dispatcher.call_soon(print)


def test_a_call_from_a_callback(pair: Pair) -> None:
    """On the dispatcher's own thread: it would wait for itself."""
    results: list[int] = []
    dispatchers: list[xdpsar.Dispatcher] = []

    def on_event(event: xdpsar.Event) -> None:
        results.append(dispatchers[0].call(len, event))

    dispatchers.append(pair.receiver.start(on_event))
    pair.sender.send(b"four")
    eventually(lambda: results == [4])
    dispatchers.pop().stop()


def test_a_stop_from_a_callback(pair: Pair) -> None:
    dispatchers: list[xdpsar.Dispatcher] = []
    ready = threading.Event()

    def on_event(event: xdpsar.Event) -> None:
        assert ready.wait(PATIENCE)
        dispatchers[0].stop()

    dispatchers.append(pair.receiver.start(on_event))
    ready.set()
    pair.sender.send(b"")
    assert dispatchers[0].join(PATIENCE) and not dispatchers[0].running


def test_many_calls_of_many_threads(pair: Pair) -> None:
    feeding = Feeding(pair, 2000)
    sums = [0] * 8
    with pair.receiver.start(lambda event: feeding.took(), workers=2) as dispatcher:

        def work(index: int) -> None:
            for number in range(1000):
                sums[index] += dispatcher.call(lambda: number + index)

        threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        feeding.thread.join(PATIENCE)
    assert sums == [499_500 + 1000 * index for index in range(8)]


def test_closing_ends_a_dispatcher(pair: Pair) -> None:
    dispatcher = pair.receiver.start(lambda event: None, workers=2)
    assert dispatcher.call(int) == 0
    pair.receiver.close()
    assert dispatcher.join(PATIENCE) and not dispatcher.running


@pytest.mark.parametrize("how", ["events", "run", "start"])
def test_filters(pair: Pair, how: str) -> None:
    receiver, sender = pair
    for number in range(40):
        sender.send(b"", data_id=number % 4)
    eventually(lambda: receiver.stats.queued == 40)
    wanted: dict[str, Any] = {"data_id": [1, 3], "every": 5}
    seen: list[int] = []
    add: Callable[[xdpsar.Event], None] = lambda event: seen.append(event.event_number)
    if how == "events":
        for event in receiver.events(max_events=4, **wanted):
            add(event)
        receiver.stop()
    elif how == "run":
        receiver.run(add, max_events=4, **wanted)
    else:
        with receiver.start(add, **wanted):
            eventually(lambda: len(seen) == 4)
    assert seen == [1, 11, 21, 31]
    if how == "start":
        eventually(lambda: receiver.stats.events_filtered == 36)
    else:
        assert receiver.stats.events_filtered == 31 - 3
    assert [event.data_id for event in receiver.events(timeout=0, data_id=2)] == (
        [] if how == "start" else [2, 2]
    )


def test_a_signal_ends_run(port: int) -> None:
    program = """
        import signal, sys, xdpsar

        def alarm(*_):
            raise KeyboardInterrupt

        signal.signal(signal.SIGALRM, alarm)
        for workers in (0, 2):
            with xdpsar.Reassembler(data_ip="127.0.0.1", port=int(sys.argv[1])) as receiver:
                signal.setitimer(signal.ITIMER_REAL, 0.3)
                try:
                    receiver.run(print, workers=workers)
                except KeyboardInterrupt:
                    print("interrupted", workers)
    """
    assert succeeds(program, port) == "interrupted 0\ninterrupted 2\n"


@pytest.mark.parametrize("busy", [False, True])
def test_an_exit_with_a_live_dispatcher(port: int, busy: bool) -> None:
    program = """
        import sys, threading, time, xdpsar
        begun = threading.Event()
        def on_event(event):
            begun.set()
            while BUSY:
                pass
        receiver = xdpsar.Reassembler(data_ip="127.0.0.1", port=int(sys.argv[1]))
        dispatcher = receiver.start(on_event, workers=2)
        with xdpsar.Segmenter(f"127.0.0.1:{sys.argv[1]}") as sender:
            sender.send(b"")
        begun.wait()
        print(dispatcher.call(int) if not BUSY else 0)
    """
    assert succeeds(program.replace("BUSY", str(busy)), port) == "0\n"


def test_a_dispatcher_does_not_come_along_through_fork(port: int) -> None:
    program = """
        import os, sys, warnings, xdpsar
        warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads
        receiver = xdpsar.Reassembler(data_ip="127.0.0.1", port=int(sys.argv[1]))
        dispatcher = receiver.start(print)
        receiver.fileno()
        assert dispatcher.call(int) == 0
        child = os.fork()
        if child == 0:
            assert not dispatcher.running
            for use in (lambda: dispatcher.call(int), dispatcher.stop, receiver.fileno,
                        lambda: receiver.run(print), lambda: receiver.start(print)):
                try:
                    use()
                except xdpsar.Forked:
                    continue
                raise AssertionError(use)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert dispatcher.call(int) == 0
        dispatcher.stop()
    """
    succeeds(program, port)
