"""What the reference gets wrong (B1 to B12), and this must not."""

import gc
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from e2sar_py import (
    E2SARErrorc,
    E2SARException,
    E2SARResultListOfTokenDetails,
    E2SARResultTimeseriesResult,
    E2SARResultTokenDetails,
    EjfatURI,
    IPAddress,
    Optimizations,
)
from e2sar_py._numbers import Numbers
from e2sar_py.ControlPlane import LBManager, OverviewEntry, OverviewReply, Timestamp
from e2sar_py.DataPlane import Reassembler, Segmenter

from .support import (
    PATIENCE_MS,
    Pair,
    eventually,
    free_ports,
    receiver,
    sender,
    sender_flags,
    uri_to,
)
from .test_reassembler import fragment


@pytest.mark.usefixtures("selection")
def test_b1_more_fragments_than_one_call_takes() -> None:
    assert Optimizations.select(["sendmmsg"]).value() == 0
    pair = Pair(mtu=264)
    # 200 bytes in each.
    data = bytes(range(250)) * 1200
    fragments = len(data) // 200
    assert fragments > 1024
    for attempt in range(1, 100):
        assert pair.sender.sendEvent(data, len(data)).value() == 0
        stats = pair.sender.getSendStats()
        assert (stats.msgCnt, stats.errCnt) == (attempt * fragments, 0)
        # The system may drop datagrams that come faster than they are taken.
        length, got, _number, _data_id = pair.receiver.recvEventBytes(1000)
        if length >= 0:
            assert got == data
            break
    else:
        pytest.fail("not one whole event of 99")
    pair.stop()


def test_b2_results_of_all_types() -> None:
    manager = LBManager(EjfatURI("ejfat://token@127.0.0.1:18020/lb/1"))
    expected: list[tuple[object, type]] = [
        (manager.list_token_permissions_by_id(1), E2SARResultTokenDetails),
        (manager.list_token_permissions_by_string("token"), E2SARResultTokenDetails),
        (manager.list_child_tokens_by_id(1), E2SARResultListOfTokenDetails),
        (manager.list_child_tokens_by_string("token"), E2SARResultListOfTokenDetails),
        (manager.timeseries("/lb/1/*", Timestamp()), E2SARResultTimeseriesResult),
    ]
    for result, kind in expected:
        assert type(result) is kind


def test_b3_others_run_while_one_waits(pair: Pair) -> None:
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.append(pair.receiver.recvEventBytes(0)))
    waiting.start()
    # Would never come to this with the interpreter's lock held there.
    assert pair.sender.sendEvent(b"event", 5).value() == 0
    waiting.join(PATIENCE_MS / 1000)
    assert got == [(5, b"event", 0, 7)]


def test_b3_the_end_with_callbacks_under_way() -> None:
    pair = Pair()
    called: list[int] = []
    for number in range(500):
        pair.sender.addToSendQueue(b"event", 5, 0, 0, 0, called.append, number)
    # By reference counting alone, in the thread that holds that lock.
    pair.sender = sender(free_ports())
    gc.collect()
    eventually(lambda: called == list(range(500)))
    pair.stop()


WAITS = """
import e2sar_py, signal, sys
from e2sar_py.tests.support import receiver
# Whoever runs the tests in the background may have it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
waiting = receiver()
print("waiting", flush=True)
try:
    waiting.recvEventBytes(0)
except KeyboardInterrupt:
    sys.exit(7)
"""


def test_b3_interrupts_are_heeded(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", WAITS], stdout=subprocess.PIPE, cwd=tmp_path, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "waiting\n"
        # One before it waits is heeded as well.
        child.send_signal(signal.SIGINT)
        try:
            child.wait(PATIENCE_MS / 1000)
        finally:
            child.kill()
    assert child.returncode in (7, -signal.SIGINT, 130)


def test_b4_queued_buffers_are_held_and_measured(pair: Pair) -> None:
    queued = pair.sender.addToSendQueue(bytearray(b"event"), 5)
    gc.collect()
    assert queued.value() == 0 and pair.receive()[1] == b"event"
    assert pair.sender.addToSendQueue(b"event", 6).error().code == E2SARErrorc.ParameterError
    with pytest.raises((TypeError, ValueError, BufferError)):
        pair.sender.addToSendQueue(memoryview(b"0123456789")[::2], 5)


def test_b5_a_full_queue_keeps_nothing() -> None:
    class Callback:
        def __call__(self, _argument: object) -> None: ...

    slow = sender(free_ports(), rateGbps=0.0001)
    data = bytes(1400)
    while (result := slow.addToSendQueue(data, len(data), 1)).has_value():
        pass
    assert result.error().code == E2SARErrorc.MemoryError
    assert result.error().message == "Send queue is temporarily full, try again later"
    callback = Callback()
    gone = weakref.ref(callback)
    for _ in range(100):
        assert slow.addToSendQueue(data, len(data), 1, 0, 0, callback).has_error()
    del callback
    assert gone() is None
    # Not at that rate.
    assert slow._native is not None
    slow._native.close(drain=False)


def test_b5_a_number_that_was_not_used_is_the_next() -> None:
    numbers = Numbers()
    assert [numbers.take(0), numbers.take(7)] == [0, 7]
    numbers.give_back(numbers.take(0))
    assert numbers.take(0) == 8
    numbers.give_back(7)
    assert numbers.take(0) == 9


def test_b6_views_and_messages() -> None:
    view = LBManager(EjfatURI("ejfat://token@127.0.0.1:18020/lb/1")).get_uri()
    gc.collect()
    assert view.lb_id == "1"
    [entry] = LBManager.as_overview_message(OverviewReply((OverviewEntry("mine"),)))
    assert entry.data_ip_v6 == IPAddress()
    with pytest.raises(E2SARException, match="MTU of 50"):
        Segmenter(uri_to(19522), 1, 2, sender_flags(mtu=50))


def test_b7_one_thread_receives_from_several() -> None:
    for _ in range(3):
        pair = Pair()
        assert pair.receiver.recvEventBytes(1) == (-1, b"", 0, 0)
        assert pair.sender.sendEvent(b"event", 5).value() == 0
        assert pair.receive()[1] == b"event"
        pair.stop()
        del pair
        gc.collect()


def test_b8_what_stands_in_files_and_uris(tmp_path: Path) -> None:
    file = tmp_path / "flags.ini"
    file.write_text(
        "[control-plane]\nwarmUpMS = 250\n[pid]\nweight = 3\nmin_factor = 4\nmax_factor = 5\n"
    )
    assert Segmenter.SegmenterFlags.getFromINI(str(file)).value().warmUpMs == 250
    flags = Reassembler.ReassemblerFlags.getFromINI(str(file)).value()
    assert (flags.weight, flags.min_factor, flags.max_factor, flags.Kd) == (3, 4, 5, 0)
    text = "ejfat://token@127.0.0.1:18020/lb/1?data=127.0.0.1:10000"
    assert str(EjfatURI(text)) == text
    error = LBManager(EjfatURI(text)).reserve_lb_in_seconds("mine", 0, [], ip_family=3).error()
    assert error.code == E2SARErrorc.ParameterError


def test_b9_segmenters_are_made_at_once() -> None:
    begun = time.monotonic()
    for _ in range(60):
        Segmenter(uri_to(19522), 1, 2, sender_flags())
    # The reference takes more than a second for each.
    assert time.monotonic() - begun < 60


def test_b10_rates_hold_within_an_event() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        made = sender(sink.getsockname()[1], rateGbps=0.01)
        begun = time.monotonic()
        # 80 ms at that rate, its headers aside.
        assert made.sendEvent(bytes(100_000), 100_000).value() == 0
        assert time.monotonic() - begun > 0.06
        made.stopThreads()


def test_b11_an_event_that_makes_progress_is_not_lost() -> None:
    timeout, pause = 1.0, 0.6
    for _ in range(20):
        slow = receiver(eventTimeout_ms=int(timeout * 1000))
        to = ("127.0.0.1", slow.get_recvPorts()[0])
        sent: list[float] = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as by_hand:
            for offset in (0, 2, 4):
                time.sleep(pause if offset else 0)
                by_hand.sendto(fragment(3, offset, 6, b"ab"), to)
                sent.append(time.monotonic())
        got = slow.recvEventBytes(1000)
        slow.stopThreads()
        # Unless this machine has paused.
        if max(b - a for a, b in pairwise(sent)) < timeout * 0.8:
            assert sent[-1] - sent[0] > timeout
            assert got == (6, b"ababab", 3, 7)
            return
    pytest.fail("this machine pauses all the time")


def test_b12_nothing_is_sent_before_it_is_open() -> None:
    made = Segmenter(uri_to(19522), 1, 2, sender_flags())
    for send in (made.sendEvent, made.addToSendQueue):
        assert send(b"event", 5).error().code == E2SARErrorc.LogicError
