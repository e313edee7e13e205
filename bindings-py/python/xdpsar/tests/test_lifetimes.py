"""Who keeps what, in every order of letting go; and that nothing grows."""

import gc
import hashlib
import itertools
import multiprocessing
import os
import resource
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import pytest

import xdpsar
from xdpsar import _native

from .conftest import PATIENCE, Pair

DATA = bytes(range(256)) * 10

EVENTS = int(os.environ.get("XDPSAR_SOAK_EVENTS", 20_000))
"""How many the soak test lets through; more take longer."""


def live_objects() -> dict[str, int]:
    gc.collect()
    return {kind: count for kind, count in _native._live_objects().items() if count}


def is_whole(held: object) -> bool:
    match held:
        case xdpsar.Event() | memoryview():
            return bytes(held) == DATA
        case xdpsar.SendTicket():
            return held.result(0) == 0
    return "closed" not in repr(held)


def test_all_orders_of_letting_go(port: int) -> None:
    """Receiver, iterator, sender, ticket, event and view: what is
    still there stays whole, and at the end nothing is left."""
    kinds = ("receiver", "iterator", "sender", "ticket", "event", "view")
    orders = list(itertools.permutations(kinds))
    # Each kind is the first, and the last, in some of these.
    for order in orders[::59]:
        receiver = xdpsar.Reassembler(data_ip="127.0.0.1", port=port)
        sender = xdpsar.Segmenter(f"127.0.0.1:{port}")
        ticket = sender.submit(bytearray(DATA))
        assert ticket.result(PATIENCE) == 0
        iterator = receiver.events(timeout=PATIENCE)
        event = next(iterator)
        held = {
            "receiver": receiver,
            "iterator": iterator,
            "sender": sender,
            "ticket": ticket,
            "event": event,
            "view": memoryview(event),
        }
        del receiver, iterator, sender, ticket, event
        for kind in order:
            del held[kind]
            assert all(map(is_whole, held.values())), order
        assert not live_objects(), order


def resident() -> int:
    """Bytes of this process in memory."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def test_memory_does_not_grow(pair: Pair) -> None:
    """However many events go through, by all ways of receiving."""
    receiver, sender = pair
    room = bytearray(len(DATA))
    at_once = 40

    def let_through(events: int) -> None:
        for _ in range(events // at_once):
            for _ in range(at_once):
                sender.send(DATA)
            for _ in range(at_once // 4):
                assert len(receiver.recv(PATIENCE)) == len(DATA)
                assert receiver.recv_into(room, PATIENCE).nbytes == len(DATA)
            for event in receiver.events(max_events=at_once // 4, timeout=PATIENCE):
                assert memoryview(event)[-1] == DATA[-1]
            rest = at_once // 4
            assert len(receiver.recv_many(rest, PATIENCE, min_events=rest)) == rest

    # Pools, allocators and free lists have what they need then.
    let_through(EVENTS // 4)
    gc.collect()
    before = resident()
    let_through(EVENTS)
    gc.collect()
    assert resident() - before < 8 << 20
    receiver.close()
    assert receiver.stats.events_ok == EVENTS + EVENTS // 4 and receiver.stats.is_clean


def send_what_comes(pipe: Connection, uri: xdpsar.EjfatUri) -> None:
    """A process of its own: it knows the URI alone."""
    with xdpsar.Segmenter(uri, data_id=4) as sender:
        while (data := pipe.recv_bytes()) != b"end":
            sender.send(data)


def digest(name: str, length: int, pipe: Connection) -> None:
    """Another one, which reads an event where this one has written it."""
    shared = SharedMemory(name)
    assert shared.buf
    try:
        pipe.send(hashlib.sha256(shared.buf[:length]).hexdigest())
    finally:
        shared.close()


def test_between_processes(port: int) -> None:
    """A sender that knows the URI alone; a consumer with shared memory."""
    context = multiprocessing.get_context("spawn")
    uri = xdpsar.EjfatUri(f"ejfat://token@127.0.0.1:18347/lb/1?data=127.0.0.1:{port}")
    with xdpsar.Reassembler(data_ip="127.0.0.1", port=port) as receiver:
        ours, theirs = context.Pipe()
        process = context.Process(target=send_what_comes, args=(theirs, uri), daemon=True)
        process.start()
        shared = SharedMemory(create=True, size=len(DATA))
        assert shared.buf
        try:
            ours.send_bytes(DATA)
            info = receiver.recv_into(shared.buf, PATIENCE)
            assert (info.nbytes, info.data_id) == (len(DATA), 4)
            ours.send_bytes(DATA[::-1])
            with receiver.recv(PATIENCE) as event:
                # Whatever a pipe takes: to itself, and back.
                ours.send_bytes(event)
            with receiver.recv(PATIENCE) as event:
                assert bytes(event) == DATA[::-1]
                # Reversed once more, where the other process reads it.
                assert event.copy_into(shared.buf) == len(DATA)
            ours.send_bytes(b"end")
            process.join(PATIENCE)
            assert process.exitcode == 0
            reader = context.Process(
                target=digest, args=(shared.name, len(DATA), theirs), daemon=True
            )
            reader.start()
            assert ours.poll(PATIENCE)
            assert ours.recv() == hashlib.sha256(DATA[::-1]).hexdigest()
            reader.join(PATIENCE)
        finally:
            shared.close()
            shared.unlink()


@pytest.mark.parametrize("use", ["multiprocessing.Array", "shared_memory"])
def test_shared_memory_is_a_source(pair: Pair, use: str) -> None:
    if use == "shared_memory":
        shared = SharedMemory(create=True, size=64)
        assert shared.buf
        try:
            shared.buf[:5] = b"words"
            with shared.buf[:5] as part:
                pair.sender.send(part)
            assert bytes(pair.receiver.recv(PATIENCE)) == b"words"
        finally:
            shared.close()
            shared.unlink()
    else:
        array = multiprocessing.Array("H", [1, 2, 3], lock=False)
        pair.sender.send(array)
        assert pair.receiver.recv(PATIENCE).view("H").tolist() == [1, 2, 3]
