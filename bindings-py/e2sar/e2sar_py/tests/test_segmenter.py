"""The sender."""

import array
import ctypes
import gc
import os
import socket
import struct
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from e2sar_py import E2SARErrorc, E2SARException, EjfatURI, _segmenter
from e2sar_py._route import Route
from e2sar_py.DataPlane import Segmenter

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

np = pytest.importorskip("numpy")


@pytest.fixture
def sink() -> Iterator[socket.socket]:
    """Receives datagrams as they are."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(PATIENCE_MS / 1000)
        yield bound


def port_of(bound: socket.socket) -> int:
    port: int = bound.getsockname()[1]
    return port


def test_both_forms_with_keywords() -> None:
    uri, flags = uri_to(19522), sender_flags()
    cores = sorted(os.sched_getaffinity(0))
    for made in (
        Segmenter(uri, 1, 2, flags),
        Segmenter(uri, 1, 2, sflags=flags),
        Segmenter(uri, data_id=1, eventSrc_id=2, sflags=flags),
        Segmenter(uri, 1, 2, cores, flags),
        Segmenter(uri=uri, data_id=1, eventSrc_id=2, cpu_core_list=cores, sflags=flags),
    ):
        assert made.getMTU() == 1500
    # Not without a sync address, as the control plane is on by default.
    with pytest.raises(E2SARException, match="Sync address"):
        Segmenter(uri, 1, 2)
    assert Segmenter(uri_to(19522, sync=19010), 1, 2).getMTU() == 1500


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (1, 2),
        ("ejfat://token@127.0.0.1:18020/lb/1?data=127.0.0.1", 1, 2),
        (uri_to(19522), 2**16, 2),
        (uri_to(19522), 1, 2**32),
        (uri_to(19522), 1.0, 2),
        (uri_to(19522), 1, 2, 3),
        (uri_to(19522), 1, 2, ["0"]),
        (uri_to(19522), 1, 2, sender_flags(), sender_flags()),
        (uri_to(19522), 1, 2, [0], sender_flags(), 6),
    ],
)
def test_arguments_that_fit_no_form(arguments: Any) -> None:
    with pytest.raises(TypeError) as raised:
        Segmenter(*arguments)
    assert "1. Segmenter(" in str(raised.value) and "2. Segmenter(" in str(raised.value)


@pytest.mark.parametrize(
    "uri, changes",
    [
        (EjfatURI("ejfat://token@127.0.0.1:18020/lb/1"), {}),
        (uri_to(19522), {"dpV6": True}),
        (uri_to(19522), {"useCP": True}),
        (uri_to(19522), {"mtu": 9001}),
        (uri_to(19522), {"mtu": 64}),
        (uri_to(19522), {"numSendSockets": 129}),
        (uri_to(19522), {"numSendSockets": 0}),
        (uri_to(19522), {"syncPeriodMs": 10_001}),
        (uri_to(19522), {"lbHdrVersion": 1}),
        (uri_to(19522), {"lbHdrVersion": 4}),
    ],
)
def test_what_is_refused_at_once(uri: EjfatURI, changes: dict[str, Any]) -> None:
    with pytest.raises(E2SARException):
        Segmenter(uri, 1, 2, sender_flags(**changes))


@pytest.mark.parametrize("mtu", [65, 1500, 9000])
def test_sizes(mtu: int) -> None:
    made = Segmenter(uri_to(19522), 1, 2, sender_flags(mtu=mtu))
    assert (made.getMTU(), made.getMaxPldLen()) == (mtu, mtu - 64)
    assert not made.isUsingIPv6()
    assert made.getIntf() == "lo"


def test_the_interface_s_mtu() -> None:
    made = Segmenter(uri_to(19522), 1, 2, sender_flags(mtu=0))
    assert (made.getMTU(), made.getMaxPldLen()) == (9000, 8936)


def test_an_mtu_above_the_interface_s(monkeypatch: pytest.MonkeyPatch) -> None:
    # Loopback has more than any segmenter takes.
    monkeypatch.setattr(_segmenter, "route", lambda ip: Route("eth7", 1400))
    made = Segmenter(uri_to(19522), 1, 2, sender_flags(mtu=0))
    assert (made.getMTU(), made.getIntf()) == (1400, "eth7")
    with pytest.raises(E2SARException, match="1400"):
        Segmenter(uri_to(19522), 1, 2, sender_flags(mtu=1500))


def test_ipv6_sizes() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError as error:
            pytest.skip(f"no IPv6 here: {error}")
    made = Segmenter(uri_to(19522, ip="[::1]"), 1, 2, sender_flags(dpV6=True))
    assert (made.getMTU(), made.getMaxPldLen()) == (1500, 1416)
    assert made.isUsingIPv6()
    assert made.getIntf() == "lo"


def test_numbers_count_on_from_those_that_are_named(pair: Pair) -> None:
    stats = pair.sender.getSendStats()
    assert (stats.msgCnt, stats.errCnt, stats.lastErrno) == (0, 0, 0)
    assert stats.lastE2SARError == E2SARErrorc.NoError
    asked = [0, 0, 100, 0, 0, 5, 0, 2**64 - 1, 0, 0]
    told = [0, 1, 100, 101, 102, 5, 6, 2**64 - 1, 0, 1]
    for sent, (ask, tell) in enumerate(zip(asked, told, strict=True), 1):
        # Of a data id each: an event that came again at once would be a copy.
        assert pair.sender.sendEvent(b"event", 5, ask, sent).value() == 0
        assert pair.receive() == (5, b"event", tell, sent)
        # Small events are one datagram each.
        assert pair.sender.getSendStats().msgCnt == sent


def test_arguments_by_name(pair: Pair) -> None:
    data = np.arange(4, dtype="u1")
    sender = pair.sender
    assert (
        sender.sendEvent(send_buf=b"ab", buf_len=2, _eventNum=1, _dataId=2, entropy=3).value() == 0
    )
    assert pair.receive() == (2, b"ab", 1, 2)
    assert sender.sendNumpyArray(data, 4, event_num=2, data_id=3, entropy=4).value() == 0
    assert pair.receive() == (4, bytes(data), 2, 3)
    assert sender.addToSendQueue(b"cd", 2, _eventNum=3, _dataId=4, entropy=5).value() == 0
    assert pair.receive() == (2, b"cd", 3, 4)
    queued = sender.addNumpyArrayToSendQueue(
        numpy_array=data, nbytes=4, _eventNum=4, _dataId=5, entropy=6, callback=None, cbArg=None
    )
    assert queued.value() == 0
    assert pair.receive() == (4, bytes(data), 4, 5)


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]


BUFFERS: list[Any] = [
    b"some bytes", bytearray(b"some bytes"), memoryview(b"some bytes"), array.array("f", [1, 2]),
    Point(2, 3.5), (ctypes.c_int * 3)(1, 2, 3), np.arange(12.0).reshape(3, 4),
    np.zeros(3, dtype=[("a", "u2"), ("b", "f8")]), np.array(["2026-01-01"], dtype="M8[s]"),
    np.array(7, dtype="u4"),
]  # fmt: skip


@pytest.mark.parametrize("data", BUFFERS, ids=lambda data: type(data).__name__)
def test_whatever_exports_a_buffer(pair: Pair, data: Any) -> None:
    whole = data.tobytes() if hasattr(data, "tobytes") else bytes(data)
    assert pair.sender.sendEvent(data, len(whole)).value() == 0
    assert pair.receive()[:2] == (len(whole), whole)
    # The beginning of it.
    assert pair.sender.addToSendQueue(data, 3).value() == 0
    assert pair.receive()[:2] == (3, whole[:3])
    for send in (pair.sender.sendEvent, pair.sender.addToSendQueue):
        too_long = send(data, len(whole) + 1)
        assert too_long.error().code == E2SARErrorc.ParameterError
    # Those of queued events are counted a moment later.
    eventually(lambda: pair.sender.getSendStats().msgCnt == 2)


NO_BUFFERS: list[Any] = [
    7, "text", [1, 2, 3], np.arange(12)[::2], np.asfortranarray(np.ones((3, 4))),
    np.array([None, 1]), memoryview(b"0123456789")[::2],
]  # fmt: skip


@pytest.mark.parametrize("data", NO_BUFFERS, ids=lambda data: type(data).__name__)
@pytest.mark.parametrize("length", ["whole", "part"])
def test_what_cannot_be_sent(pair: Pair, data: Any, length: str) -> None:
    count = getattr(data, "nbytes", 8) if length == "whole" else 2
    for send in (pair.sender.sendEvent, pair.sender.addToSendQueue):
        with pytest.raises((TypeError, ValueError, BufferError)):
            send(data, count)
    assert pair.sender.getSendStats().msgCnt == 0


def test_arrays_are_arrays(pair: Pair) -> None:
    for send in (pair.sender.sendNumpyArray, pair.sender.addNumpyArrayToSendQueue):
        for wrong in (b"bytes", [1, 2], memoryview(b"bytes")):
            with pytest.raises(TypeError, match="ndarray"):
                send(wrong, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "more", [(-1,), (2**32,), ("5",), (5.0,), (5, -1), (5, 2**64), (5, 0, 2**16), (5, 0, 0, 2**16)]
)
def test_integers_out_of_range(pair: Pair, more: Any) -> None:
    for send in (pair.sender.sendEvent, pair.sender.addToSendQueue):
        with pytest.raises(TypeError):
            send(b"event", *more)


def test_callbacks_come_from_another_thread(pair: Pair) -> None:
    threads: list[int] = []
    arguments: list[object] = []

    def done(argument: object) -> None:
        threads.append(threading.get_ident())
        arguments.append(argument)

    given = object()
    for more in ((done, given), (done,), (done, None)):
        assert pair.sender.addToSendQueue(b"event", 5, 0, 0, 0, *more).value() == 0
        assert pair.receive()[0] == 5
    eventually(lambda: len(arguments) == 3)
    assert arguments == [given, None, None]
    assert threading.get_ident() not in threads
    with pytest.raises(TypeError, match="callback"):
        pair.sender.addToSendQueue(b"event", 5, callback=7)  # type: ignore[arg-type]


def test_what_is_queued_is_kept_until_it_is_sent(pair: Pair) -> None:
    class Argument:
        pass

    argument = Argument()
    gone = weakref.ref(argument)
    called = threading.Event()

    def done(argument: object) -> None:
        assert isinstance(argument, Argument)
        called.set()

    data = bytearray(b"event")
    assert pair.sender.addToSendQueue(data, 5, callback=done, cbArg=argument).value() == 0
    del argument
    assert called.wait(PATIENCE_MS / 1000)
    assert pair.receive()[1] == b"event"
    eventually(lambda: gc.collect() >= 0 and gone() is None)
    eventually(lambda: _resized(data))


def _resized(data: bytearray) -> bool:
    try:
        data.append(0)
    except BufferError:
        return False
    return True


def test_what_callbacks_raise_is_reported(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda info: raised.append(info.exc_value))

    def fail(_argument: object) -> None:
        raise KeyError("mine")

    for data in (b"event", b""):
        assert pair.sender.addToSendQueue(data, len(data), callback=fail).value() == 0
    eventually(lambda: len(raised) == 2)
    assert all(isinstance(error, KeyError) for error in raised)


def test_events_without_a_byte(pair: Pair) -> None:
    called = threading.Event()
    assert pair.sender.sendEvent(b"", 0).value() == 0
    assert pair.sender.sendEvent(b"abc", 0).value() == 0
    assert pair.sender.addToSendQueue(b"", 0, callback=lambda _: called.set()).value() == 0
    assert called.wait(PATIENCE_MS / 1000)
    # They count, and nothing is sent of them.
    assert pair.sender.sendEvent(b"event", 5).value() == 0
    assert pair.receive() == (5, b"event", 3, 7)
    assert pair.sender.getSendStats().msgCnt == 1


def test_stopping_sends_what_is_queued() -> None:
    pair = Pair()
    called: list[int] = []
    for number in range(200):
        queued = pair.sender.addToSendQueue(b"event", 5, callback=called.append, cbArg=number)
        assert queued.value() == 0
    pair.sender.stopThreads()
    assert called == list(range(200))
    assert sorted(pair.receive()[2] for _ in range(200)) == list(range(200))
    pair.sender.stopThreads()
    for send in (pair.sender.sendEvent, pair.sender.addToSendQueue):
        assert send(b"event", 5).error().code == E2SARErrorc.LogicError
    assert pair.sender.getSendStats().msgCnt == 200
    pair.stop()


def test_several_threads_send_at_once(pair: Pair) -> None:
    def send() -> None:
        for _ in range(50):
            assert pair.sender.sendEvent(b"event", 5).value() == 0
            assert pair.sender.addToSendQueue(b"event", 5).value() == 0

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    numbers = [pair.receive()[2] for _ in range(200)]
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(200))


def test_before_it_is_open() -> None:
    made = Segmenter(uri_to(19522), 1, 2, sender_flags())
    assert made.sendEvent(b"event", 5).error().code == E2SARErrorc.LogicError
    assert made.addToSendQueue(b"event", 5).error().code == E2SARErrorc.LogicError
    assert made.getSendStats().msgCnt == made.getSyncStats().msgCnt == 0
    made.stopThreads()


def test_it_opens_once() -> None:
    made = sender(free_ports())
    assert made.OpenAndStart().error().code == E2SARErrorc.LogicError
    made.stopThreads()


def test_the_flags_are_a_copy(sink: socket.socket) -> None:
    flags = sender_flags(lbHdrVersion=3)
    made = Segmenter(uri_to(port_of(sink)), 0x1234, 2, flags)
    flags.lbHdrVersion = 2
    assert made.OpenAndStart().has_value()
    assert made.sendEvent(b"event", 5, 9, 0, 0x4321).has_value()
    datagram = sink.recv(2048)
    assert datagram[:4] == b"LB\x03\x01"
    assert struct.unpack(">H", datagram[6:8]) == (0x4321,)
    # Version and reserved bits, data id, offset, length, number.
    assert struct.unpack(">HHIIQ", datagram[16:36]) == (0x1000, 0x1234, 0, 5, 9)
    made.stopThreads()


def test_ticks_as_event_numbers(sink: socket.socket) -> None:
    made = sender(port_of(sink), ticksAsREEventNum=True)
    before = time.time_ns() // 1000
    ticks: list[int] = []
    for send in (made.sendEvent, made.addToSendQueue):
        assert send(b"event", 5, 7).has_value()
        datagram = sink.recv(2048)
        assert datagram[8:16] == datagram[28:36]
        ticks += struct.unpack(">Q", datagram[8:16])
    assert before <= ticks[0] < ticks[1]
    made.stopThreads()


@pytest.mark.parametrize("sockets", [3, 4])
def test_several_ports(sockets: int) -> None:
    together = receiver(ports=4)
    made = sender(together.get_recvPorts()[0], multiPort=True, numSendSockets=sockets)
    for _ in range(64):
        assert made.sendEvent(b"event", 5).has_value()
        assert together.recvEventBytes(PATIENCE_MS)[0] == 5
    made.stopThreads()
    together.stopThreads()
    counts = dict(together.get_FDStats().value())
    assert sum(counts.values()) == 64
    # Each is left out with a probability of 10⁻⁸.
    assert all(counts.values())


def test_unconnected_sockets_at_a_rate(sink: socket.socket) -> None:
    made = sender(port_of(sink), connectedSocket=False, rateGbps=0.1, smooth=True)
    assert made.sendEvent(b"event", 5).has_value()
    assert sink.recv(2048)[36:] == b"event"
    made.stopThreads()


def test_sync_messages(sink: socket.socket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sync:
        sync.bind(("127.0.0.1", 0))
        sync.settimeout(PATIENCE_MS / 1000)
        flags = sender_flags(useCP=True, warmUpMs=200, syncPeriodMs=50)
        uri = uri_to(port_of(sink), sync=port_of(sync))
        made = Segmenter(uri, 1, 0xABCD, flags)
        assert made.getSyncStats().msgCnt == 0
        begun = time.monotonic()
        assert made.OpenAndStart().value() == 0
        assert time.monotonic() - begun >= 0.2
        for _ in range(3):
            message = sync.recv(2048)
            magic, version, _reserved, source, number, rate, nanoseconds = struct.unpack(
                ">2sBBIQIQ", message
            )
            assert (magic, version, source, rate) == (b"LC", 2, 0xABCD, 1_000_000)
            # Both are the clock's, at a moment.
            assert abs(number * 1000 - nanoseconds) < 10**9
        assert made.getSyncStats().msgCnt >= 3
        assert made.getSyncStats().lastE2SARError == E2SARErrorc.NoError
        assert made.sendEvent(b"event", 5).value() == 0
        assert sink.recv(2048)[36:] == b"event"
        made.stopThreads()
