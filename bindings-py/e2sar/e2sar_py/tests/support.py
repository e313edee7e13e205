"""What the tests share: URIs, free ports, a pair on loopback."""

import random
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from e2sar_py import EjfatURI, IPAddress
from e2sar_py.DataPlane import Reassembler, Segmenter

PATIENCE_MS = 60_000
"""For what must happen, on the slowest machine."""

LOOPBACK = IPAddress.from_string("127.0.0.1")


def eventually(condition: Callable[[], object]) -> None:
    """Waits until it holds."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.001)


def uri_to(port: int, sync: int = 0, ip: str = "127.0.0.1") -> EjfatURI:
    """A URI whose data, and sync messages, go to loopback."""
    to_sync = f"sync=127.0.0.1:{sync}&" if sync else ""
    return EjfatURI(f"ejfat://token@127.0.0.1:18020/lb/1?{to_sync}data={ip}:{port}")


def free_ports(count: int = 1) -> int:
    """The first of so many UDP ports of 127.0.0.1 that are free."""
    while True:
        first = random.randrange(20_000, 60_000)
        with ExitStack() as bound:
            try:
                for port in range(first, first + count):
                    one = bound.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return first


def sender_flags(**changes: Any) -> Segmenter.SegmenterFlags:
    """Without a control plane."""
    flags = Segmenter.SegmenterFlags()
    flags.useCP = False
    for name, value in changes.items():
        setattr(flags, name, value)
    return flags


def receiver_flags(**changes: Any) -> Reassembler.ReassemblerFlags:
    """Without a control plane, and so with LB headers."""
    flags = Reassembler.ReassemblerFlags()
    flags.useCP = False
    flags.withLBHeader = True
    # No event is lost because a machine is slow.
    flags.eventTimeout_ms = 10_000
    for name, value in changes.items():
        setattr(flags, name, value)
    return flags


def receiver(ports: int = 1, threads: int = 1, **changes: Any) -> Reassembler:
    """One that receives. Another process may be faster at a free port."""
    while True:
        first = free_ports(ports)
        flags = receiver_flags(portRange=(ports - 1).bit_length(), **changes)
        made = Reassembler(uri_to(first), LOOPBACK, first, threads, flags)
        if made.OpenAndStart().has_value():
            return made


def sender(port: int, data_id: int = 7, **changes: Any) -> Segmenter:
    """One that sends there."""
    made = Segmenter(uri_to(port), data_id, 1, sender_flags(**changes))
    assert made.OpenAndStart().value() == 0
    return made


class Pair:
    """Receiver and sender, on loopback."""

    def __init__(self, **changes: Any) -> None:
        self.receiver = receiver()
        self.sender = sender(self.receiver.get_recvPorts()[0], **changes)

    def receive(self) -> tuple[int, bytes, int, int]:
        """The next event."""
        return self.receiver.recvEventBytes(PATIENCE_MS)

    def stop(self) -> None:
        """The end of both."""
        self.sender.stopThreads()
        self.receiver.stopThreads()
