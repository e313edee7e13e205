"""Descriptors and event loops."""

import asyncio
import select
import threading

import pytest

import xdpsar

from .conftest import PATIENCE, Pair, eventually


def is_readable(receiver: xdpsar.Reassembler, timeout: float = 0) -> bool:
    return bool(select.select([receiver], [], [], timeout)[0])


def test_a_descriptor_shows_what_is_there(pair: Pair) -> None:
    receiver, sender = pair
    assert receiver.fileno() == receiver.fileno() > 2
    assert receiver.try_recv() is None
    assert not is_readable(receiver)
    sender.send(b"first")
    assert is_readable(receiver, PATIENCE)
    assert receiver.try_recv() is not None
    assert receiver.try_recv() is None and not is_readable(receiver)
    sender.send(b"kept: longer than the buffer")
    assert is_readable(receiver, PATIENCE)
    with pytest.raises(xdpsar.BufferTooSmall):
        receiver.recv_into(bytearray(1))
    assert is_readable(receiver), "also for what was given back"
    assert len(receiver.recv_many(2, 0)) == 1
    assert receiver.try_recv() is None and not is_readable(receiver)
    receiver.stop()
    assert is_readable(receiver, PATIENCE), "for the end"
    receiver.close()
    assert is_readable(receiver)


def test_a_descriptor_in_poll_and_epoll(pair: Pair) -> None:
    poll, epoll = select.poll(), select.epoll()
    for one in (poll, epoll):
        one.register(pair.receiver, select.POLLIN)
    for number in range(200):
        pair.sender.send(b"")
        assert (epoll if number % 2 else poll).poll(PATIENCE * (1 if number % 2 else 1000))
        event = pair.receiver.try_recv()
        while event is None:  # readable a moment before
            event = pair.receiver.try_recv()
        assert event.event_number == number
    epoll.close()


def test_no_descriptor_of_a_closed_one(pair: Pair) -> None:
    pair.receiver.close()
    with pytest.raises(xdpsar.Closed):
        pair.receiver.fileno()


def test_receiving(pair: Pair) -> None:
    async def main() -> None:
        receiver, sender = pair
        sender.send(b"there already")
        assert bytes(await receiver.arecv(PATIENCE)) == b"there already"
        task = asyncio.create_task(receiver.arecv())
        await asyncio.sleep(0.01)
        sender.send(b"then")
        assert bytes(await task) == b"then"
        for number in range(5):
            sender.send(bytes([number]))
        events: list[xdpsar.Event] = []
        while len(events) < 5:
            events += await receiver.arecv_many(3, PATIENCE)
        assert [bytes(event)[0] for event in events] == [0, 1, 2, 3, 4]
        assert await receiver.arecv_many(5, 0.01) == []
        for timeout in (0, 0.01):
            with pytest.raises(TimeoutError, match="no event within"):
                await receiver.arecv(timeout)
        with pytest.raises(ValueError, match="none such"):
            await receiver.arecv_many(0)

    asyncio.run(main())


def test_several_tasks_share_what_comes(pair: Pair) -> None:
    receiver, sender = pair

    async def main() -> None:
        room = asyncio.Semaphore(16)
        seen: list[list[int]] = [[], [], []]

        async def take(into: list[int]) -> None:
            async for event in receiver:
                into.append(event.event_number)
                room.release()

        tasks = [asyncio.create_task(take(into)) for into in seen]
        for _ in range(500):
            await room.acquire()
            assert await sender.asend(b"x") >= 0
        for _ in range(16):
            await room.acquire()
        receiver.stop()
        await asyncio.gather(*tasks)
        assert sorted(sum(seen, [])) == list(range(500)) and all(seen)

    asyncio.run(main())
    assert not receiver._readers, "no loop is kept"


def test_several_loops_at_once(pair: Pair) -> None:
    receiver, sender = pair
    numbers: list[int] = []
    room = threading.Semaphore(16)

    async def take() -> None:
        async for event in receiver:
            numbers.append(event.event_number)
            room.release()

    threads = [threading.Thread(target=asyncio.run, args=(take(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(500):
        assert room.acquire(timeout=PATIENCE)
        sender.send(b"")
    eventually(lambda: len(numbers) == 500)
    receiver.close()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert sorted(numbers) == list(range(500))


def test_cancelling_loses_no_event(pair: Pair) -> None:
    receiver, sender = pair

    async def main() -> None:
        numbers: list[int] = []
        for number in range(200):
            task = asyncio.create_task(receiver.arecv())
            await asyncio.sleep(0)
            if number % 3 == 0:
                task.cancel()
            sender.send(b"")
            for _ in range(number % 4):
                await asyncio.sleep(0)
            task.cancel()
            try:
                numbers.append((await task).event_number)
            except asyncio.CancelledError:
                pass
        while len(numbers) < 200:
            numbers += [event.event_number for event in await receiver.arecv_many(64, PATIENCE)]
        assert sorted(numbers) == list(range(200))

    asyncio.run(main())


@pytest.mark.parametrize("end", ["stop", "close"])
def test_the_end_wakes_tasks(pair: Pair, end: str) -> None:
    async def main() -> None:
        receiver = pair.receiver
        waiting = [asyncio.create_task(receiver.arecv()) for _ in range(3)]
        iterating = asyncio.create_task(anext(aiter(receiver), None))
        many = asyncio.create_task(receiver.arecv_many())
        await asyncio.sleep(0.01)
        getattr(receiver, end)()
        for task in (*waiting, many):
            with pytest.raises(xdpsar.Closed):
                await task
        assert await iterating is None
        assert [event async for event in receiver] == []

    asyncio.run(main())


def test_with_blocks(port: int) -> None:
    async def main() -> None:
        async with (
            xdpsar.Reassembler(data_ip="127.0.0.1", port=port) as receiver,
            xdpsar.Segmenter(f"127.0.0.1:{port}") as sender,
        ):
            tickets = [sender.submit(b"x") for _ in range(10)]
            assert await sender.asend(b"y", event_number=100, data_id=3) == 100
            assert (await receiver.arecv(PATIENCE)).nbytes == 1
        assert receiver.closed and sender.closed
        assert all(ticket.done() for ticket in tickets)
        async with receiver, sender:
            pass  # once more is once too often, and harmless

    asyncio.run(main())


def test_a_full_queue_makes_a_task_wait(port: int) -> None:
    async def main() -> None:
        sender = xdpsar.Segmenter(f"127.0.0.1:{port}", rate_gbps=1e-6, queue=1, mtu=1500)
        tasks = [asyncio.create_task(sender.asend(bytes(100_000))) for _ in range(4)]
        done, _ = await asyncio.wait(tasks, timeout=0.05)
        assert not done
        sender.close(drain=False)
        assert [type(error) for error in await asyncio.gather(*tasks, return_exceptions=True)] == [
            xdpsar.Closed
        ] * 4

    asyncio.run(main())


def test_sending_many(pair: Pair) -> None:
    assert pair.sender.send_many((bytes([number]) for number in range(9)), event_number=50) == 9
    events = pair.receiver.recv_many(9, PATIENCE, min_events=9)
    assert [event.event_number for event in events] == list(range(50, 59))
    assert pair.sender.send_many([]) == 0
