"""On which cores and which memory things happen."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from collections.abc import Iterable, Sequence

from ._convert import cores as as_cores
from ._convert import i32
from ._enum import E2SARErrorc
from ._errors import E2SARException, NotConstructible, refuse
from ._results import DONE, E2SARResultInt

_HIGHEST_CORE = 1 << 16
"""No kernel has as many: what is above is not even asked."""

# include/uapi/linux/mempolicy.h, arch/*/include: Linux 2.6.7 on.
_MPOL_BIND = 2
_SET_MEMPOLICY = {"x86_64": 238, "aarch64": 237, "riscv64": 237, "ppc64le": 261, "s390x": 270}


class Affinity(NotConstructible):
    """On which cores and which memory things happen."""

    __slots__ = ()

    @staticmethod
    def set_process(cores: Sequence[int]) -> E2SARResultInt:
        """The process may run on these cores: this thread, those that it
        starts, and all that have had the same cores as it. Threads that were
        pinned elsewhere stay there."""
        return _done(lambda: _set_process(as_cores(cores)))

    @staticmethod
    def set_thread(core: int) -> E2SARResultInt:
        """This thread runs on this core."""
        return _done(lambda: _set_affinity(0, [i32(core)]))

    @staticmethod
    def set_thread_xor(cores: Sequence[int]) -> E2SARResultInt:
        """This thread runs on none of these cores."""
        return _done(lambda: _exclude(as_cores(cores)))

    @staticmethod
    def set_numa_bind(node: int) -> E2SARResultInt:
        """This thread takes memory from this NUMA node only."""
        return _done(lambda: _set_numa_bind(i32(node)))


def _done(act: object) -> E2SARResultInt:
    assert callable(act)
    try:
        act()
    except E2SARException as error:
        return E2SARResultInt._caught(error)
    return DONE


def _checked(cores: Iterable[int]) -> set[int]:
    wanted = set(cores)
    if negative := sorted(core for core in wanted if core < 0):
        refuse(E2SARErrorc.OutOfRange, f"Core {negative[0]} is negative: cores count from 0")
    return wanted


def _set_affinity(thread: int, cores: Iterable[int]) -> None:
    wanted = _checked(cores)
    try:
        if wanted and max(wanted) >= _HIGHEST_CORE:
            raise OSError(f"there is no core {max(wanted)}")
        os.sched_setaffinity(thread, wanted)
    except OSError as error:
        refuse(
            E2SARErrorc.SystemError,
            f"Unable to set the affinity to {sorted(wanted)}: {error}; this thread may run on "
            f"{sorted(os.sched_getaffinity(0))}",
        )


def _set_process(cores: list[int]) -> None:
    before = os.sched_getaffinity(0)
    _set_affinity(0, cores)
    for name in os.listdir("/proc/self/task"):
        # Others end while one looks at them.
        with contextlib.suppress(ProcessLookupError):
            if os.sched_getaffinity(int(name)) == before:
                os.sched_setaffinity(int(name), cores)


def _exclude(cores: list[int]) -> None:
    allowed = os.sched_getaffinity(0)
    left = allowed - _checked(cores)
    if not left:
        refuse(
            E2SARErrorc.OutOfRange,
            f"Without {sorted(set(cores))} no core is left of {sorted(allowed)}",
        )
    _set_affinity(0, left)


def _nodes() -> set[int]:
    """NUMA nodes that are there: written as in "0-1,4"."""
    try:
        with open("/sys/devices/system/node/online", encoding="ascii") as file:
            written = file.read().strip()
    except OSError:
        return {0}
    nodes: set[int] = set()
    for part in written.split(","):
        first, _, last = part.partition("-")
        nodes.update(range(int(first), int(last or first) + 1))
    return nodes


def _set_numa_bind(node: int) -> None:
    nodes = _nodes()
    if node not in nodes:
        refuse(
            E2SARErrorc.ParameterError,
            f"There is no NUMA node {node}: this machine has {sorted(nodes)}",
        )
    reason = _set_mempolicy(node)
    # Containers often forbid the call; on one node it would change nothing.
    if reason and nodes != {node}:
        refuse(E2SARErrorc.SystemError, f"Unable to bind memory to NUMA node {node}: {reason}")


def _set_mempolicy(node: int) -> str:
    """Why it failed, if it did."""
    number = _SET_MEMPOLICY.get(platform.machine())
    if number is None:
        return f"not known how on {platform.machine()}"
    bits = ctypes.sizeof(ctypes.c_ulong) * 8
    mask = (ctypes.c_ulong * (node // bits + 1))()
    mask[node // bits] = 1 << (node % bits)
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    # The kernel takes one bit less than it is told.
    size = ctypes.c_ulong(len(mask) * bits + 1)
    if syscall(ctypes.c_long(number), ctypes.c_int(_MPOL_BIND), mask, size) == 0:
        return ""
    return os.strerror(ctypes.get_errno())
