"""What is of the whole process: optimizations and affinity."""

import os
import threading
from typing import Any

import pytest

from e2sar_py import Affinity, E2SARErrorc, Optimizations

from .support import Pair

Code = Optimizations.Code
pytestmark = pytest.mark.usefixtures("selection")


def test_words_and_names() -> None:
    for code in Code.__members__.values():
        assert Optimizations.toWord(code) == 1 << int(code)
        assert Optimizations.toString(code) == code.name
        assert Optimizations.fromString(code.name) == code
    assert Optimizations.fromString("nonsense") == Code.unknown
    for wrong in ("sendmmsg", 1):
        with pytest.raises(TypeError):
            Optimizations.toWord(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Optimizations.fromString(Code.none)  # type: ignore[arg-type]
    for static in (Optimizations, Affinity):
        with pytest.raises(TypeError, match="No constructor defined"):
            static()


def test_what_is_available() -> None:
    assert Optimizations.availableAsStrings() == ["none", "sendmmsg"]
    assert Optimizations.availableAsWord() == 0b11


@pytest.mark.parametrize("asked", [["sendmmsg"], [Code.sendmmsg], ("none", "sendmmsg")])
def test_selection_accumulates(asked: Any) -> None:
    assert Optimizations.selectedAsList() == [Code.none]
    assert Optimizations.selectedAsWord() == 1
    assert Optimizations.isSelected(Code.none)
    assert Optimizations.select([]).value() == 0
    for _ in range(2):
        # None does not come back, even when asked twice.
        assert Optimizations.select(opt=asked).value() == 0
        assert Optimizations.selectedAsStrings() == ["sendmmsg"]
        assert Optimizations.selectedAsList() == [Code.sendmmsg]
        assert Optimizations.selectedAsWord() == 0b10
        assert Optimizations.isSelected(Code.sendmmsg)
        assert not Optimizations.isSelected(Code.none)


@pytest.mark.parametrize(
    "asked, code",
    [
        (["nonsense"], E2SARErrorc.NotFound),
        (["liburing_send"], E2SARErrorc.NotFound),
        ([Code.liburing_recv], E2SARErrorc.NotFound),
        (["sendmmsg", "liburing_send"], E2SARErrorc.LogicError),
        ([Code.liburing_recv, Code.sendmmsg], E2SARErrorc.LogicError),
    ],
)
def test_what_cannot_be_selected_leaves_nothing(asked: Any, code: E2SARErrorc) -> None:
    before = [] if len(asked) == 1 else ["sendmmsg"]
    assert Optimizations.select(before).has_value()
    assert Optimizations.select(asked).error().code == code
    assert Optimizations.selectedAsStrings() == ["none"]


def test_wrong_types_are_not_selected() -> None:
    for wrong in ("sendmmsg", Code.sendmmsg, [1]):
        with pytest.raises(TypeError):
            Optimizations.select(wrong)  # type: ignore[arg-type]


@pytest.mark.usefixtures("affinity")
def test_a_process_pinned_to_one_core_gets_its_events() -> None:
    core = min(os.sched_getaffinity(0))
    pair = Pair()
    resting = threading.Event()
    other = threading.Thread(target=resting.wait)
    other.start()
    assert Affinity.set_process([core]).value() == 0
    assert os.sched_getaffinity(0) == {core}
    assert other.native_id is not None
    assert os.sched_getaffinity(other.native_id) == {core}
    for number in range(100):
        assert pair.sender.sendEvent(b"event", 5).value() == 0
        assert pair.receive() == (5, b"event", number, 7)
    pair.stop()
    resting.set()
    other.join()


@pytest.mark.usefixtures("affinity")
def test_a_thread_is_pinned_alone() -> None:
    before = os.sched_getaffinity(0)
    core = min(before)

    def pin() -> None:
        assert Affinity.set_thread(core).value() == 0
        pinned.append(os.sched_getaffinity(0))

    pinned: list[set[int]] = []
    thread = threading.Thread(target=pin)
    thread.start()
    thread.join()
    assert pinned == [{core}]
    assert os.sched_getaffinity(0) == before


@pytest.mark.usefixtures("affinity")
def test_cores_are_excluded() -> None:
    allowed = os.sched_getaffinity(0)
    first = min(allowed)
    # Cores that the thread has not are not added.
    absent = max(allowed) + 1
    if len(allowed) > 1:
        assert Affinity.set_thread_xor([first, absent]).value() == 0
        assert os.sched_getaffinity(0) == allowed - {first}
    left = os.sched_getaffinity(0)
    assert Affinity.set_thread_xor(sorted(left)).error().code == E2SARErrorc.OutOfRange
    assert Affinity.set_thread_xor([absent]).value() == 0
    assert os.sched_getaffinity(0) == left


def test_cores_that_there_are_not() -> None:
    before = os.sched_getaffinity(0)
    for negative in (
        Affinity.set_process([0, -1]),
        Affinity.set_thread(-1),
        Affinity.set_thread_xor([-1]),
    ):
        assert negative.error().code == E2SARErrorc.OutOfRange
    for absent in (
        Affinity.set_process([]),
        Affinity.set_process([60_000]),
        Affinity.set_thread(2**31 - 1),
    ):
        assert absent.error().code == E2SARErrorc.SystemError
    for wrong in (0, "0", [0.0], [2**31]):
        with pytest.raises(TypeError):
            Affinity.set_process(wrong)  # type: ignore[arg-type]
    assert os.sched_getaffinity(0) == before


def test_memory() -> None:
    for absent in (-1, 1000):
        assert Affinity.set_numa_bind(absent).error().code == E2SARErrorc.ParameterError

    def bind() -> None:
        results.append(Affinity.set_numa_bind(0))

    results: list[Any] = []
    # A policy is a thread's: this one ends.
    thread = threading.Thread(target=bind)
    thread.start()
    thread.join()
    [bound] = results
    assert bound.has_value() or bound.error().code == E2SARErrorc.SystemError
