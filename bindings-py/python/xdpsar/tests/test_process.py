"""Signals, forks, threads, exits and panics: mostly in processes of their own."""

import subprocess
import sys
import textwrap
import threading

import pytest

import xdpsar

from .conftest import PATIENCE, Pair


def python(program: str, *args: object) -> subprocess.CompletedProcess[str]:
    """Runs it in a new interpreter, in safe distance from pytest."""
    return subprocess.run(
        [sys.executable, "-X", "dev", "-c", textwrap.dedent(program), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def succeeds(program: str, *args: object) -> str:
    done = python(program, *args)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "wait",
    [
        "receiver.recv()",
        "receiver.recv(1e9)",
        "receiver.recv_many()",
        "next(iter(receiver))",
        "receiver.recv_into(bytearray(9))",
        "sender.send(bytes(1 << 20))",
        "sender.submit(bytes(1 << 20)).result()",
        "[sender.submit(bytes(1 << 20)) for _ in range(9)]",
        "(sender.submit(bytes(1 << 20)), sender.flush())",
        "(sender.submit(bytes(1 << 20)), sender.close())",
        "(threading.Thread(target=hopeless, daemon=True).start(), time.sleep(0.2), sender.stats)",
    ],
)
def test_a_signal_ends_every_wait(port: int, wait: str) -> None:
    """Its handler raises, and that comes out of the call."""
    program = """
        import signal, sys, threading, time, xdpsar

        class Interrupted(Exception):
            pass

        def handle(number, frame):
            raise Interrupted

        port = int(sys.argv[1])
        receiver = xdpsar.Reassembler(data_ip="127.0.0.1", port=port)
        # Elsewhere: at this rate each event takes hours.
        sender = xdpsar.Segmenter("127.0.0.1:9", rate_gbps=1e-6, mtu=1500, queue=2)

        def hopeless():
            try:
                sender.send(bytes(1 << 20))
            except xdpsar.Closed:
                pass

        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        try:
            WAIT
        except Interrupted:
            print("interrupted")
        receiver.close()
        sender.close(drain=False)
    """
    assert succeeds(program.replace("WAIT", wait), port) == "interrupted\n"


def test_other_threads_run_meanwhile(pair: Pair) -> None:
    """A call that held the GIL while it waits would never end here."""
    threading.Timer(0.1, lambda: pair.sender.send(b"from another thread")).start()
    assert bytes(pair.receiver.recv(PATIENCE)) == b"from another thread"
    threading.Timer(0.1, lambda: pair.sender.send(b"again")).start()
    assert len(pair.receiver.recv_many(1, PATIENCE)) == 1


def test_a_fork(port: int) -> None:
    """What has threads says so in the child; what has none goes on."""
    program = """
        import os, sys, warnings, xdpsar
        warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads
        port = int(sys.argv[1])
        receiver = xdpsar.Reassembler(data_ip="127.0.0.1", port=port)
        sender = xdpsar.Segmenter(f"127.0.0.1:{port}")
        ticket = sender.submit(b"before")
        ticket.result()
        event = receiver.recv(60)
        child = os.fork()
        if child == 0:
            uses = [receiver.recv, receiver.try_recv, receiver.close, receiver.stop,
                    receiver.lost, lambda: receiver.stats, lambda: list(receiver),
                    lambda: sender.send(b""), lambda: sender.submit(b""), sender.close,
                    sender.flush, lambda: sender.stats, ticket.result]
            for use in uses:
                try:
                    use()
                except xdpsar.Forked as error:
                    assert isinstance(error, RuntimeError) and "fork" in str(error)
                else:
                    raise AssertionError(use)
            assert bytes(event) == b"before"
            event.release()
            # New ones work here.
            with xdpsar.Segmenter("127.0.0.1:9") as own:
                own.submit(bytearray(9)).result()
            sys.exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        sender.send(b"after")
        assert bytes(receiver.recv(60)) == b"after"
        receiver.close()
    """
    succeeds(program, port)


@pytest.mark.parametrize(
    "leave",
    [
        "pass",
        "sys.exit(0)",
        "threading.Thread(target=receiver.recv, daemon=True).start()",
        "[sender.submit(bytearray(1000)) for _ in range(500)]",
        "sys.modules[__name__].cycle = [receiver, sender, event]; sys.modules[__name__].cycle.append(sys)",
    ],
)
def test_an_exit_with_everything_open(port: int, leave: str) -> None:
    program = """
        import sys, threading, xdpsar
        port = int(sys.argv[1])
        receiver = xdpsar.Reassembler(data_ip="127.0.0.1", port=port)
        sender = xdpsar.Segmenter(f"127.0.0.1:{port}")
        sender.send(b"event")
        event = receiver.recv(60)
        view = memoryview(event)
        LEAVE
    """
    succeeds(program.replace("LEAVE", leave), port)


def test_a_panic_is_an_exception() -> None:
    """And not the end of the process."""
    program = """
        import xdpsar
        try:
            xdpsar._native._panic()
        except BaseException as panic:
            assert not isinstance(panic, Exception), "nobody shall catch it by accident"
            assert type(panic).__name__ == "PanicException"
            print(panic)
        with xdpsar.Segmenter("127.0.0.1:9") as sender:
            sender.send(b"all goes on")
    """
    assert "deliberate" in succeeds(program)


def test_numpy_is_not_needed(port: int) -> None:
    program = """
        import sys
        sys.modules["numpy"] = None  # as if it were not installed
        import xdpsar
        with (xdpsar.Reassembler(data_ip="127.0.0.1", port=int(sys.argv[1])) as receiver,
              xdpsar.Segmenter(f"127.0.0.1:{sys.argv[1]}") as sender):
            sender.send(b"plain")
            event = receiver.recv(60)
            assert bytes(event) == b"plain" and event.view("B", [5]).tolist()[0] == 112
            try:
                event.numpy()
            except ImportError:
                print("missed only where it is asked for")
    """
    assert "missed" in succeeds(program, port)


def test_no_module_is_imported_needlessly() -> None:
    heavy = "{'numpy', 'asyncio', 'multiprocessing', 'ctypes', 'typing_extensions'}"
    assert succeeds(f"import sys, xdpsar; print({heavy} & sys.modules.keys())") == "set()\n"


def test_pickled_events_between_processes(pair: Pair) -> None:
    import pickle

    event = pair.carry(b"there and back" * 1000)
    program = """
        import hashlib, pickle, sys
        event = pickle.load(sys.stdin.buffer)
        print(event.event_number, hashlib.sha256(event).hexdigest())
    """
    import hashlib

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        input=pickle.dumps(event),
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout.split() == [b"0", hashlib.sha256(event).hexdigest().encode()]


def test_close_at_exit_is_close(port: int) -> None:
    program = """
        import sys, xdpsar
        port = int(sys.argv[1])
        receiver = xdpsar.Reassembler(data_ip="127.0.0.1", port=port)
        sender = xdpsar.Segmenter(f"127.0.0.1:{port}")
        sender.submit(b"queued")
        xdpsar._native._at_exit()
        assert receiver.closed and sender.closed
        assert sender.stats.events_sent == 1, "after it was sent"
    """
    succeeds(program, port)
