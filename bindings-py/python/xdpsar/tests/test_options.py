"""Bad options: the exception named, saying what was asked, found, and to do."""

from typing import Any

import pytest

import xdpsar


def refused(error: type[Exception], make: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(error) as caught:
        make(*args, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"data_ip": "localhost"},
        {"data_ip": ""},
        {"port": 0},
        {"ports": 3},
        {"port": 65535, "ports": 2},
        {"threads": 0},
        {"threads": 2, "cores": [0]},
        {"event_timeout": -1.0},
        {"event_timeout": float("nan")},
        {"event_timeout": 0.0},
        {"event_lifetime": -0.5},
        {"memory": 5},
        {"queue": 0},
        {"lanes": 4},
        {"lane": "entropy", "lb_header": "none"},
        {"backend": "dpdk"},
        {"overflow": ""},
        {"on_budget": "x"},
        {"wait": "a while"},
        {"consumer_wait": "x"},
        {"lane": "x"},
        {"lb_header": "x"},
        {"attach": "x"},
        {"copy": "x"},
        {"layout": "x"},
        {"lend": "x"},
        {"checksum": "x"},
    ],
)
def test_values_that_cannot_be_meant(options: dict[str, Any]) -> None:
    with pytest.raises(xdpsar.UsageError) as caught:
        xdpsar.Reassembler(**{"data_ip": "127.0.0.1", **options})
    error = caught.value
    assert isinstance(error, ValueError) and error.code == xdpsar.ErrorCode.PARAMETER_ERROR
    assert error.asked and error.found and error.remedy
    assert str(error) == error.message == f"{error.asked}: {error.found}; {error.remedy}"


def test_words_are_listed() -> None:
    message = refused(xdpsar.UsageError, xdpsar.Reassembler, data_ip="127.0.0.1", backend="dpdk")
    assert message == (
        'backend="dpdk": there is no such choice; choose from "auto", "xdp", "socket"'
    )


@pytest.mark.parametrize(
    "options",
    [
        {"data_id": 1 << 16},
        {"ports": -1},
        {"queue": -1},
        {"dscp": 256},
        {"first_event": 1 << 64},
    ],
)
def test_integers_out_of_range(options: dict[str, Any]) -> None:
    ((name, value),) = options.items()
    with pytest.raises(OverflowError, match=f"^{name}={value}: .*; give 0 to [0-9]+$"):
        xdpsar.Segmenter("127.0.0.1", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"ports": 3},
        {"sockets": 0},
        {"threads": 0},
        {"rate_gbps": 0.0},
        {"rate_gbps": -1.0},
        {"lb_version": 1},
        {"backend": "raw"},
        {"copy": "x"},
        {"ticks": "x"},
        {"patience": -1.0},
        {"dscp": 64},
        {"mtu": 30},
        {"source": "here"},
        {"queue": 0},
    ],
)
def test_senders_that_cannot_be_meant(options: dict[str, Any]) -> None:
    message = refused((xdpsar.UsageError, xdpsar.SetupError), xdpsar.Segmenter, "127.0.0.1", **options)  # type: ignore[arg-type]
    assert "; " in message


def test_types() -> None:
    refused(TypeError, xdpsar.Segmenter)
    for make in (xdpsar.Reassembler, xdpsar.Segmenter):
        refused(TypeError, make, 5)
    refused(TypeError, xdpsar.Reassembler, data_ip=5)
    refused(TypeError, xdpsar.Reassembler, data_ip="127.0.0.1", port="19522")
    refused(TypeError, xdpsar.Reassembler, data_ip="127.0.0.1", gro=1)
    refused(TypeError, xdpsar.Reassembler, data_ip="127.0.0.1", colour="blue")
    refused(TypeError, xdpsar.Reassembler, data_ip="127.0.0.1", cores=5)
    for final in (xdpsar.Event, xdpsar.SendTicket, xdpsar.EventIterator):
        refused(TypeError, final)
        refused(TypeError, type, "Derived", (final,), {})


@pytest.mark.parametrize("to", ["", "localhost", "10.0.0.1:", "10.0.0.1:70000", "::1:x", "[::1"])
def test_addresses(to: str) -> None:
    assert "that is no address" in refused(xdpsar.UsageError, xdpsar.Segmenter, to)


def test_the_default_port() -> None:
    with xdpsar.Segmenter("127.0.0.1") as sender:
        assert sender.to == "127.0.0.1:19522"


def test_an_address_of_nobody_here() -> None:
    with pytest.raises(xdpsar.SetupError) as caught:
        xdpsar.Reassembler(data_ip="192.0.2.1", backend="socket")
    assert isinstance(caught.value, OSError) and caught.value.errno
    message = refused(
        xdpsar.SetupError, xdpsar.Reassembler, data_ip="127.0.0.1", backend="xdp", interface="none9"
    )
    assert "none9" in message or "cap" in message.lower()
