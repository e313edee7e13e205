"""Arguments: what pybind11 accepts, and TypeError for the rest."""

from __future__ import annotations

import copy
import ctypes
import operator
import re
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def truth(given: object) -> bool:
    """Whether it is true, as Python has it; None is not."""
    return bool(given)


def _integer(kind: str, low: int, high: int) -> Callable[[object], int]:
    def convert(given: object) -> int:
        if type(given) is int and low <= given <= high:
            return given
        try:
            number = operator.index(given)  # type: ignore[arg-type]
        except TypeError:
            raise TypeError(f"{given!r} is not an integer; {kind} is needed") from None
        if not low <= number <= high:
            raise TypeError(f"{number} is no {kind}: that goes from {low} to {high}")
        return number

    return convert


u8 = _integer("u8", 0, 2**8 - 1)
u16 = _integer("u16", 0, 2**16 - 1)
u32 = _integer("u32", 0, 2**32 - 1)
u64 = _integer("u64", 0, 2**64 - 1)
i32 = _integer("i32", -(2**31), 2**31 - 1)
i64 = _integer("i64", -(2**63), 2**63 - 1)


def f64(given: object) -> float:
    """A number, not a text."""
    if not hasattr(type(given), "__float__") and not hasattr(type(given), "__index__"):
        raise TypeError(f"{given!r} is not a number")
    return float(given)  # type: ignore[arg-type]


def f32(given: object) -> float:
    """A number, as precise as 32 bits are."""
    return ctypes.c_float(f64(given)).value


def text(given: object) -> str:
    """A str."""
    return str(instance_of(str, given))


def instance_of(kind: type[T], given: object) -> T:
    """One of that class: nothing else is converted to it."""
    if not isinstance(given, kind):
        raise TypeError(f"{given!r} is not of the class {kind.__qualname__}")
    return given


def copy_of(kind: type[T]) -> Callable[[object], T]:
    """Copies of what is of that class."""
    return lambda given: copy.copy(instance_of(kind, given))


def is_sequence(given: object) -> bool:
    """Whether it is a list of something: a text is not."""
    if isinstance(given, (str, bytes, bytearray, dict)):
        return False
    return hasattr(type(given), "__getitem__") and hasattr(type(given), "__len__")


def list_of(convert: Callable[[object], T]) -> Callable[[object], list[T]]:
    """Sequences of what `convert` takes."""

    def whole(given: object) -> list[T]:
        if not is_sequence(given):
            raise TypeError(f"{given!r} is not a list")
        return [convert(item) for item in given]  # type: ignore[attr-defined]

    return whole


cores = list_of(i32)
texts = list_of(text)


class Kind(NamedTuple, Generic[T]):
    """A type of attributes: how it is set, and read from an INI file."""

    convert: Callable[[object], T]
    parse: Callable[[str], T]


def _parse_integer(written: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", written):
        raise ValueError(f"{written!r} is no integer")
    return int(written)


def _parse_number(written: str) -> float:
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", written):
        raise ValueError(f"{written!r} is no number")
    return f32(float(written))


BOOL = Kind(truth, {"0": False, "1": True, "false": False, "true": True}.__getitem__)
U8 = Kind(u8, lambda written: u8(_parse_integer(written)))
U16 = Kind(u16, lambda written: u16(_parse_integer(written)))
U32 = Kind(u32, lambda written: u32(_parse_integer(written)))
SIZE = Kind(u64, lambda written: u64(_parse_integer(written)))
I32 = Kind(i32, lambda written: i32(_parse_integer(written)))
F32 = Kind(f32, _parse_number)
