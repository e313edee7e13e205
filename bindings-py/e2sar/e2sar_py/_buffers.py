"""What can be sent: any buffer, or the beginning of one."""

from __future__ import annotations

import pickle
import sys
from typing import TYPE_CHECKING, Any

from ._enum import E2SARErrorc
from ._errors import refuse

if TYPE_CHECKING:
    from typing_extensions import Buffer


def array(given: object) -> Any:
    """A NumPy array, and nothing else. It cannot be one if nobody has
    imported NumPy."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(given, numpy.ndarray):
        raise TypeError(f"{type(given).__name__} is not a numpy.ndarray")
    return given


def _length(data: Buffer) -> int:
    # Not of a memoryview in any case: NumPy's dates and times have none.
    told = getattr(data, "nbytes", None)
    return told if isinstance(told, int) else memoryview(data).nbytes


def beginning(data: Buffer, length: int) -> Buffer:
    """Its first bytes, not copied.

    Raises E2SARException if it has fewer, and what its exporter raises, or
    TypeError, if it is no such buffer.
    """
    found = len(data) if type(data) is bytes else _length(data)
    if length == found:
        # Whether it is contiguous, the sender looks itself.
        return data
    if length > found:
        refuse(
            E2SARErrorc.ParameterError,
            f"{length} bytes are to be sent of a buffer that has {found}",
        )
    if getattr(getattr(data, "dtype", None), "kind", "") in ("m", "M"):
        data = data.view("i8")  # type: ignore[attr-defined]
    view = memoryview(data)
    if "O" in view.format or not view.c_contiguous:
        raise TypeError(
            f"{type(data).__name__}: a contiguous buffer is needed, and not of Python objects"
        )
    return pickle.PickleBuffer(view).raw()[:length]
