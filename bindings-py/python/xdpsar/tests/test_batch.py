"""Many events at once, in columns."""

import pytest

import xdpsar

from .conftest import PATIENCE, Pair, eventually


@pytest.fixture
def batch(pair: Pair) -> xdpsar.EventBatch:
    """Ten events."""
    for number in range(10):
        pair.sender.send(bytes(number * 1000), event_number=1 << 40 | number, data_id=number)
    eventually(lambda: pair.receiver.stats.queued == 10)
    return pair.receiver.recv_batch(timeout=PATIENCE)


def test_columns(batch: xdpsar.EventBatch) -> None:
    assert len(batch) == 10 and "10 events" in repr(batch)
    assert batch.event_number.tolist() == [1 << 40 | number for number in range(10)]
    assert list(batch.data_id) == list(range(10))
    assert batch.nbytes.tolist() == [number * 1000 for number in range(10)]
    assert batch.fragments.tolist() == [event.fragments for event in batch]
    assert batch.tick.tolist() == [event.tick for event in batch]
    assert batch.recv_time_ns.tolist() == [event.recv_time_ns for event in batch]
    columns = (batch.event_number, batch.data_id, batch.nbytes, batch.fragments, batch.tick)
    assert [(column.format, column.itemsize) for column in columns] == [
        ("Q", 8),
        ("H", 2),
        ("Q", 8),
        ("I", 4),
        ("Q", 8),
    ]
    assert all(column.readonly and column.c_contiguous for column in columns)


def test_numpy_views_columns_without_a_copy(batch: xdpsar.EventBatch) -> None:
    np = pytest.importorskip("numpy")
    columns = batch.to_dict()
    assert list(columns) == [
        "event_number",
        "data_id",
        "nbytes",
        "fragments",
        "tick",
        "recv_time_ns",
    ]
    assert [str(column.dtype) for column in columns.values()] == [
        "uint64",
        "uint16",
        "uint64",
        "uint32",
        "uint64",
        "uint64",
    ]
    for name, column in columns.items():
        assert np.shares_memory(column, np.asarray(getattr(batch, name)))
        assert not column.flags.writeable and column.flags.aligned
    del batch
    assert columns["nbytes"].sum() == 45_000, "the memory stays"


def test_a_sequence(batch: xdpsar.EventBatch) -> None:
    assert batch[3] is batch[3] and batch[-1] is batch[9]
    assert [event.data_id for event in batch] == list(range(10))
    assert [event.data_id for event in batch[8:1:-3]] == [8, 5, 2]
    assert batch[20:] == [] and batch[3] in batch
    assert bytes(batch[2]) == bytes(2000)
    for index in (10, -11, 1 << 40):
        with pytest.raises(IndexError, match="none such"):
            batch[index]
    with pytest.raises(TypeError):
        batch["first"]  # type: ignore[call-overload]
    event = batch[5]
    del batch
    assert event.nbytes == 5000


def test_no_events(pair: Pair) -> None:
    batch = pair.receiver.recv_batch(5, timeout=0.01)
    assert len(batch) == 0 and list(batch) == [] and batch.nbytes.tolist() == []
    with pytest.raises(ValueError, match="recv_batch of 1 to 0"):
        pair.receiver.recv_batch(0)
    pair.receiver.stop()
    with pytest.raises(xdpsar.Closed):
        pair.receiver.recv_batch()


def test_no_more_than_that(pair: Pair) -> None:
    pair.sender.send_many([b""] * 7)
    eventually(lambda: pair.receiver.stats.queued == 7)
    assert [len(pair.receiver.recv_batch(4, PATIENCE)) for _ in range(2)] == [4, 3]
