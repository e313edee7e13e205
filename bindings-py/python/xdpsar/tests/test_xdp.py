"""AF_XDP on a veth pair, each end in a network namespace of its own."""

import hashlib
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from .conftest import PATIENCE

SIZES = [0, 1, 1000, 1400, 9000, 100_000]

RECEIVE = """
    import hashlib, json, sys, xdpsar
    config = xdpsar.ReassemblerConfig(data_ip="10.77.0.2", backend="xdp", interface="vb")
    with xdpsar.Reassembler(config=config, **json.loads(sys.argv[2])) as receiver:
        print(receiver.backend.kind, receiver.backend.detail, flush=True)
        for event in receiver.events(max_events=int(sys.argv[1])):
            digest = hashlib.sha256(event).hexdigest()
            print(event.event_number, len(event), digest, event.readonly, flush=True)
            if not event.readonly and event:
                event.view()[:] = bytes(len(event))
                assert not any(event.view())
    assert receiver.stats.is_clean, receiver.stats
    assert receiver.port_stats == {19522: receiver.stats.datagrams}, receiver.port_stats
    print(receiver.stats.program["redirected"], flush=True)
"""

SEND = """
    import sys, xdpsar
    with xdpsar.Segmenter("10.77.0.2", data_id=3) as sender:
        for size in sys.stdin:
            print(sender.send(bytes(i % 251 for i in range(int(size)))), flush=True)
"""


class Lab(NamedTuple):
    """The names of two namespaces with a cable between them."""

    sender: str
    receiver: str

    def python(self, host: str, program: str, *args: object) -> "subprocess.Popen[str]":
        """A new interpreter on that host."""
        return subprocess.Popen(
            ["ip", "netns", "exec", host, sys.executable, "-c", textwrap.dedent(program)]
            + [str(arg) for arg in args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


def run(command: str) -> None:
    subprocess.run(command.split(), check=True, timeout=PATIENCE)


@pytest.fixture
def lab() -> Iterator[Lab]:
    if os.geteuid() != 0:
        reason = "needs root: it makes network namespaces and attaches an XDP program"
        if os.environ.get("XDPSAR_REQUIRE_PRIVILEGED") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    name = f"xdpsar-py-{os.getpid()}"
    hosts = Lab(f"{name}-s", f"{name}-r")
    try:
        for host in hosts:
            run(f"ip netns add {host}")
        run(f"ip -n {hosts.sender} link add va type veth peer name vb netns {hosts.receiver}")
        for host, interface, last in ((hosts.sender, "va", 1), (hosts.receiver, "vb", 2)):
            run(f"ip -n {host} addr add 10.77.0.{last}/24 dev {interface}")
            run(f"ip -n {host} link set lo up")
            run(f"ip -n {host} link set {interface} up")
        # Neighbours are known then, and the first datagram is not lost.
        run(f"ip netns exec {hosts.sender} ping -q -c 1 -W 20 10.77.0.2")
        yield hosts
    finally:
        for host in hosts:
            subprocess.run(["ip", "netns", "del", host], timeout=PATIENCE, check=False)


def is_readonly(size: int, options: dict[str, object]) -> bool:
    """Whole in one packet, and lent: or nobody may write to any."""
    return "readonly_events" in options or "lend" in options and 0 <= size <= 1436


@pytest.mark.parametrize("options", [{}, {"lend": "on"}, {"readonly_events": True}])
def test_events_through_af_xdp(lab: Lab, options: dict[str, object]) -> None:
    with (
        lab.python(lab.receiver, RECEIVE, len(SIZES), json.dumps(options)) as receiver,
        lab.python(lab.sender, SEND) as sender,
    ):
        assert receiver.stdout and sender.stdout and sender.stdin
        try:
            ready = receiver.stdout.readline()
            assert ready.startswith("xdp ") and "vb" in ready, ready
            for number, size in enumerate(SIZES):
                # The next only when this one is there: nothing can overflow.
                print(size, file=sender.stdin, flush=True)
                assert sender.stdout.readline() == f"{number}\n"
                digest = hashlib.sha256(bytes(i % 251 for i in range(size))).hexdigest()
                expected = f"{number} {size} {digest} {is_readonly(size, options)}\n"
                assert receiver.stdout.readline() == expected
            sender.stdin.close()
            assert int(receiver.stdout.readline()) >= sum(-(-size // 1436) for size in SIZES)
            assert receiver.wait(PATIENCE) == 0 and sender.wait(PATIENCE) == 0
        finally:
            receiver.kill()
            sender.kill()
