"""`python -m xdpsar recv`: a host for a function of somebody's."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import xdpsar

from .conftest import PATIENCE

MODULE = '''
import hashlib

def write(event):
    with open("digests", "a") as file:
        print(event.event_number, hashlib.sha256(event).hexdigest(), file=file)

def picky(event):
    if event.event_number == 3:
        raise RuntimeError("not this one")

class Deeper:
    @staticmethod
    def write(event):
        write(event)

not_callable = 7
'''


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MODULE)
    return tmp_path


@contextmanager
def host(place: Path, port: int, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """One that receives."""
    command = ["-m", "xdpsar", "recv", "--listen", "127.0.0.1", "--port", str(port), "--json"]
    with subprocess.Popen(
        [sys.executable, *command, *arguments],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr
            ready = process.stderr.readline()
            assert ready.startswith("xdpsar: receiving"), ready + process.stderr.read()
            yield process
        finally:
            process.kill()


def summary(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, _ = process.communicate(timeout=PATIENCE)
    told: dict[str, Any] = json.loads(out)
    return told


@pytest.mark.parametrize("handler", ["mine:write", "mine:Deeper.write"])
def test_each_event_goes_to_the_function(place: Path, port: int, handler: str) -> None:
    with host(place, port, "--handler", handler, "--events", "20", "--workers", "2") as process:
        with xdpsar.Segmenter(f"127.0.0.1:{port}") as sender:
            for number in range(20):
                sender.send(bytes([number]) * 100)
        told = summary(process)
        assert process.returncode == 0
    assert (told["handled"], told["failed"], told["bytes"]) == (20, 0, 2000)
    assert told["clean"] and told["events_lost"] == 0
    lines = (place / "digests").read_text().splitlines()
    assert sorted(int(line.split()[0]) for line in lines) == list(range(20))


def test_what_it_raises_is_told_and_counted(place: Path, port: int) -> None:
    with host(place, port, "--handler", "mine:picky", "--events", "5") as process:
        with xdpsar.Segmenter(f"127.0.0.1:{port}") as sender:
            for _ in range(5):
                sender.send(b"event")
        out, error = process.communicate(timeout=PATIENCE)
    told = json.loads(out)
    assert (told["handled"], told["failed"], process.returncode) == (5, 1, 1)
    assert "not this one" in error


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, None])
def test_an_orderly_end(place: Path, port: int, how: signal.Signals | None) -> None:
    arguments = [] if how else ["--duration", "0.2"]
    with host(place, port, "--handler", "mine:write", *arguments) as process:
        if how:
            process.send_signal(how)
        told = summary(process)
        assert (told["handled"], told["clean"], process.returncode) == (0, True, 0)


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        ("mine", "module:function"),
        ("mine:nothing", "has no nothing"),
        ("mine:not_callable", "no function"),
        ("no_such_module:f", "no_such_module"),
    ],
)
def test_handlers_that_are_none(place: Path, handler: str, says: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "xdpsar", "recv", "--handler", handler],
        cwd=place, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 1 and says in done.stderr and "Traceback" not in done.stderr
