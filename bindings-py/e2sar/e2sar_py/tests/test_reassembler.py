"""The receiver."""

import array
import gc
import os
import socket
import struct
import threading
import time
from typing import Any

import pytest

from e2sar_py import E2SARErrorc, E2SARException, EjfatURI, IPAddress
from e2sar_py.DataPlane import Reassembler

from .support import (
    LOOPBACK,
    PATIENCE_MS,
    Pair,
    eventually,
    free_ports,
    receiver,
    receiver_flags,
    sender,
    uri_to,
)

np = pytest.importorskip("numpy")

CORES = sorted(os.sched_getaffinity(0))


def test_all_forms_with_keywords() -> None:
    uri, flags = uri_to(19522), receiver_flags()
    made = [
        Reassembler(uri, LOOPBACK, 10000, 1, flags),
        Reassembler(uri, data_ip=LOOPBACK, starting_port=10000, rflags=flags),
        Reassembler(uri, 10000, 1, flags),
        Reassembler(uri, 10000, rflags=flags, v6=False),
        Reassembler(uri, LOOPBACK, 10000, CORES[:1], flags),
        Reassembler(
            rflags=flags, cpu_core_list=CORES[:1], starting_port=10000, data_ip="127.0.0.1", uri=uri
        ),
        Reassembler(uri, 10000, CORES[:1], flags, False),
        Reassembler(uri, 10000, cpu_core_list=CORES[:1]),
        Reassembler(uri, 10000),
    ]
    for one in made:
        assert one.get_dataIP() == "127.0.0.1"
        assert one.get_numRecvThreads() == 1
        assert one.get_recvPorts() == (10000, 10000)
    four = Reassembler(uri, LOOPBACK, 10000, num_recv_threads=4, rflags=flags)
    assert four.get_numRecvThreads() == 4


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (uri_to(19522),),
        (uri_to(19522), LOOPBACK),
        (uri_to(19522), LOOPBACK, 70000),
        (uri_to(19522), LOOPBACK, 10000.0),
        (uri_to(19522), 10000, "1"),
        (uri_to(19522), 10000, 1, receiver_flags(), False, 7),
        ("ejfat://token@127.0.0.1:18020/lb/1?data=127.0.0.1", 10000),
    ],
)
def test_arguments_that_fit_no_form(arguments: Any) -> None:
    with pytest.raises(TypeError) as raised:
        Reassembler(*arguments)
    assert all(f"{form}. Reassembler(" in str(raised.value) for form in (1, 2, 3, 4))
    with pytest.raises(TypeError, match="there is no threads"):
        Reassembler(uri_to(19522), LOOPBACK, 10000, threads=1)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "port, threads, changes",
    [
        (1023, 1, {}),
        (10000, 0, {}),
        (10000, 129, {}),
        (65535, 2, {}),
        (10000, 1, {"portRange": 15}),
        (10000, 1, {"portRange": -2}),
        (10000, 1, {"eventTimeout_ms": 10_001}),
        (10000, 1, {"eventTimeout_ms": 0}),
        (10000, 1, {"period_ms": 0}),
        (10000, 1, {"period_ms": 2000}),
    ],
)
def test_what_is_refused_at_once(port: int, threads: int, changes: dict[str, Any]) -> None:
    flags = Reassembler.ReassemblerFlags()
    for name, value in changes.items():
        setattr(flags, name, value)
    with pytest.raises(E2SARException):
        Reassembler(uri_to(19522), LOOPBACK, port, threads, flags)


def test_the_uri_needs_a_data_address() -> None:
    bare = EjfatURI("ejfat://token@127.0.0.1:18020/lb/1")
    for arguments in ((bare, LOOPBACK, 10000), (bare, 10000)):
        with pytest.raises(E2SARException, match="[Dd]ata plane address"):
            Reassembler(*arguments)
    # None of that family.
    with pytest.raises(E2SARException):
        Reassembler(uri_to(19522), 10000, v6=True)


@pytest.mark.parametrize(
    "threads, asked, ports, exponent",
    [(1, -1, 1, 0), (4, -1, 4, 2), (7, -1, 8, 3), (4, 10, 1024, 10), (4, 1, 2, 1), (1, 0, 1, 0)],
)
def test_ports(threads: int, asked: int, ports: int, exponent: int) -> None:
    flags = receiver_flags(portRange=asked)
    made = Reassembler(uri_to(19522), LOOPBACK, 19522, threads, flags)
    assert made.get_portRange() == exponent
    assert made.get_recvPorts() == (19522, 19522 + ports - 1)
    assert made.get_numRecvThreads() == threads


def test_before_it_is_open() -> None:
    made = Reassembler(uri_to(19522), LOOPBACK, 19522, 1, receiver_flags())
    assert made.getEventBytes() == made.recvEventBytes(1) == (-1, b"", 0, 0)
    assert made.get_LostEvent() == ()
    assert made.get_FDStats().error().code == E2SARErrorc.LogicError
    stats = made.getStats()
    names = (
        "enqueueLoss", "reassemblyLoss", "eventSuccess", "lastErrno", "grpcErrCnt", "dataErrCnt",
        "totalPackets", "totalBytes", "badHeaderDiscards",
    )  # fmt: skip
    assert {getattr(stats, name) for name in names} == {0}
    assert stats.lastE2SARError == E2SARErrorc.NoError
    assert isinstance(stats, Reassembler.ReportedStats)
    made.stopThreads()


def test_nothing_is_bound_before_it_is_open() -> None:
    first = free_ports()
    made = Reassembler(uri_to(first), LOOPBACK, first, 1, receiver_flags())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", first))
        error = made.OpenAndStart().error()
        assert error.code == E2SARErrorc.SocketError
        assert error.message.startswith("Unable to open receive sockets: ")
    # And then it can be.
    assert made.OpenAndStart().value() == 0
    assert made.OpenAndStart().error().code == E2SARErrorc.LogicError


def test_events_of_many_fragments(pair: Pair) -> None:
    data = os.urandom(100_000)
    assert pair.sender.sendEvent(data, len(data), 42, 9).value() == 0
    assert pair.receive() == (len(data), data, 42, 9)
    stats = pair.receiver.getStats()
    fragments = -(-len(data) // 1436)
    eventually(lambda: pair.receiver.getStats().eventSuccess == 1)
    eventually(lambda: pair.receiver.getStats().totalPackets == fragments)
    stats = pair.receiver.getStats()
    assert stats.totalBytes == len(data) + 36 * fragments
    assert (stats.reassemblyLoss, stats.enqueueLoss, stats.badHeaderDiscards) == (0, 0, 0)
    assert pair.receiver.getEventBytes() == (-1, b"", 0, 0)


DTYPES: list[Any] = [
    np.dtype("u1"), np.dtype("f4"), np.float32, "<u2", int, [("a", "u2"), ("b", "f8")],
]  # fmt: skip


@pytest.mark.parametrize("given", DTYPES, ids=str)
@pytest.mark.parametrize("wait", [True, False])
def test_arrays(pair: Pair, given: Any, wait: bool) -> None:
    data = bytes(range(101))
    assert pair.sender.sendEvent(data, len(data), 42, 9).value() == 0
    if wait:
        got = pair.receiver.recv1DNumpyArray(data_type=given, wait_ms=PATIENCE_MS)
    else:
        eventually(lambda: pair.receiver.getStats().eventSuccess == 1)
        got = pair.receiver.get1DNumpyArray(given)
    length, items, number, data_id = got
    dtype = np.dtype(given)
    assert (length, number, data_id) == (101, 42, 9)
    assert items.dtype == dtype and items.shape == (101 // dtype.itemsize,)
    assert items.tobytes() == data[: items.nbytes]
    assert items.flags.writeable and items.flags.c_contiguous
    assert not items.flags.owndata and items.base is not None
    items[:] = np.zeros(1, dtype)
    assert not any(items.tobytes())
    pair.stop()
    del pair, got
    gc.collect()
    assert not any(items.tobytes())


def test_no_event_for_an_array(pair: Pair) -> None:
    for got in (
        pair.receiver.get1DNumpyArray(np.dtype("u1")),
        pair.receiver.recv1DNumpyArray(np.dtype("u1"), 1),
    ):
        assert (got[0], got[2], got[3]) == (-1, 0, 0)
        assert got[1].shape == (0,) and got[1].dtype == np.float64
    assert pair.sender.sendEvent(b"event", 5).has_value()
    for wrong in (np.dtype("O"), "V0", "nonsense"):
        with pytest.raises(TypeError):
            pair.receiver.recv1DNumpyArray(wrong, PATIENCE_MS)
    # It has not been lost.
    assert pair.receive()[1] == b"event"


def test_waiting(pair: Pair) -> None:
    begun = time.monotonic()
    assert pair.receiver.recvEventBytes(wait_ms=50) == (-1, b"", 0, 0)
    assert time.monotonic() - begun >= 0.05
    for wrong in (-1, 1.5, "1", None):
        with pytest.raises(TypeError):
            pair.receiver.recvEventBytes(wrong)  # type: ignore[arg-type]


def test_stopping_unblocks_who_waits() -> None:
    waiting = receiver()
    got: list[Any] = []
    threads = [
        threading.Thread(target=lambda: got.append(waiting.recvEventBytes())) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    assert not got
    waiting.stopThreads()
    for thread in threads:
        thread.join(PATIENCE_MS / 1000)
    assert got == [(-1, b"", 0, 0)] * 3
    waiting.stopThreads()
    assert waiting.recvEventBytes() == (-1, b"", 0, 0)


def test_stopping_drops_what_is_queued(pair: Pair) -> None:
    assert pair.sender.sendEvent(b"event", 5).has_value()
    eventually(lambda: pair.receiver.getStats().eventSuccess == 1)
    pair.receiver.stopThreads()
    assert pair.receiver.getEventBytes() == (-1, b"", 0, 0)
    assert pair.receiver.getStats().eventSuccess == 1


def test_ports_are_free_when_it_is_gone() -> None:
    first = free_ports()
    for _ in range(20):
        made = Reassembler(uri_to(first), LOOPBACK, first, 1, receiver_flags())
        assert made.OpenAndStart().value() == 0
        # By reference counting alone.
        del made
    stopped = Reassembler(uri_to(first), LOOPBACK, first, 1, receiver_flags())
    assert stopped.OpenAndStart().value() == 0
    stopped.stopThreads()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", first))


def test_fragments_by_port() -> None:
    made = receiver(ports=2, threads=2)
    first, last = made.get_recvPorts()
    assert made.get_FDStats().error().code == E2SARErrorc.LogicError
    for port, events in ((first, 3), (last, 5)):
        one = sender(port)
        for _ in range(events):
            assert one.sendEvent(bytes(2000), 2000).has_value()
            assert made.recvEventBytes(PATIENCE_MS)[0] == 2000
        one.stopThreads()
    made.stopThreads()
    assert made.get_FDStats().value() == [(first, 6), (last, 10)]


def fragment(
    number: int, offset: int, length: int, data: bytes, lb: bool = True, version: int = 0x10
) -> bytes:
    header = struct.pack(">2sBBHHQ", b"LB", 2, 1, 0, 0, 1) if lb else b""
    return header + struct.pack(">BBHIIQ", version, 0, 7, offset, length, number) + data


def test_lost_events() -> None:
    made = receiver(eventTimeout_ms=20)
    to = ("127.0.0.1", made.get_recvPorts()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as by_hand:
        by_hand.sendto(fragment(9, 0, 3000, bytes(1000)), to)
        by_hand.sendto(fragment(9, 1000, 3000, bytes(1000)), to)
        eventually(lambda: made.getStats().reassemblyLoss == 1)
        assert made.get_LostEvent() == (9, 7, 2)
        assert made.get_LostEvent() == ()
    made.stopThreads()


def test_headers_that_are_none() -> None:
    made = receiver()
    to = ("127.0.0.1", made.get_recvPorts()[0])
    bad = [fragment(1, 0, 4, b"data", version=0x20), fragment(1, 0, 4, b"data", lb=False), b"short"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as by_hand:
        for datagram in bad:
            by_hand.sendto(datagram, to)
        by_hand.sendto(fragment(1, 0, 4, b"data"), to)
    assert made.recvEventBytes(PATIENCE_MS) == (4, b"data", 1, 7)
    eventually(lambda: made.getStats().badHeaderDiscards == 3)
    made.stopThreads()


def test_without_lb_headers() -> None:
    made = receiver(withLBHeader=False)
    to = ("127.0.0.1", made.get_recvPorts()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as by_hand:
        # In any order, and twice.
        for offset in (2, 0, 0):
            by_hand.sendto(fragment(3, offset, 4, b"ab", lb=False), to)
    assert made.recvEventBytes(PATIENCE_MS) == (4, b"abab", 3, 7)
    made.stopThreads()


def test_an_event_without_a_byte() -> None:
    made = receiver()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as by_hand:
        by_hand.sendto(fragment(3, 0, 0, b""), ("127.0.0.1", made.get_recvPorts()[0]))
    assert made.recvEventBytes(PATIENCE_MS) == (0, b"", 3, 7)
    made.stopThreads()


def test_registering_without_a_control_plane() -> None:
    made = receiver()
    assert made.registerWorker("node").value() == 0
    assert made.registerWorker(node_name="node").value() == 0
    assert made.deregisterWorker().value() == 0
    with pytest.raises(TypeError):
        made.registerWorker(7)  # type: ignore[arg-type]
    made.stopThreads()


def test_registering_with_a_control_plane() -> None:
    uri = EjfatURI(str(uri_to(19522)), EjfatURI.TokenType.instance)
    made = Reassembler(uri, LOOPBACK, 10000)
    assert made.registerWorker("node").error().code == E2SARErrorc.RPCError
    assert made.registerWorker("").error().code == E2SARErrorc.ParameterError
    assert made.deregisterWorker().error().code == E2SARErrorc.LogicError
    no_token = Reassembler(uri_to(19522), LOOPBACK, 10000)
    assert no_token.registerWorker("node").error().code == E2SARErrorc.ParameterNotAvailable


def test_unconnected_addresses() -> None:
    nowhere = Reassembler(
        uri_to(19522), IPAddress.from_string("192.0.2.77"), 10000, 1, receiver_flags()
    )
    assert nowhere.OpenAndStart().error().code == E2SARErrorc.SocketError
    assert array.array("B", nowhere.getEventBytes()[1]) == array.array("B")
