"""Enumerations with the semantics of pybind11's scoped ones.

Not `enum.Enum`: it refuses names such as `_reserve_`, calls two names of one
value one member, and its integer kinds compare equal to integers.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

if TYPE_CHECKING:
    from collections.abc import Callable


class _Members(type):
    """Iterates over an enumeration; its attributes are fixed once it is made."""

    __members__: dict[str, Any]

    def __iter__(cls) -> Iterator[Any]:
        return iter(dict.fromkeys(cls.__members__.values()))

    def __len__(cls) -> int:
        return len(dict.fromkeys(cls.__members__.values()))


class ScopedEnum(metaclass=_Members):
    """The base: subclasses name their members by `define`."""

    __slots__ = ("_name", "_value")
    __members__: ClassVar[dict[str, Any]] = {}

    _name: str
    _value: int

    def __new__(cls, value: int) -> Self:
        try:
            number = operator.index(value)
        except TypeError:
            raise TypeError(
                f"{cls.__qualname__}({value!r}): members are constructed from integers"
            ) from None
        for member in cls.__members__.values():
            if member._value == number:
                found: Self = member
                return found
        known = ", ".join(f"{name}={int(member)}" for name, member in cls.__members__.items())
        raise ValueError(f"{cls.__qualname__}({number}): there is no such member; known: {known}")

    @property
    def name(self) -> str:
        """The first name of its value."""
        return self._name

    @property
    def value(self) -> int:
        """Its number."""
        return self._value

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{self}.{name}: members cannot be changed")

    def __int__(self) -> int:
        return self._value

    def __index__(self) -> int:
        return self._value

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self is other

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}.{self._name}: {self._value}>"

    def __str__(self) -> str:
        return f"{type(self).__name__}.{self._name}"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Callable[[int], Self], tuple[int]]:
        return type(self), (self._value,)


def define(enumeration: type[ScopedEnum], **members: int) -> None:
    """Gives an enumeration its members. A value's later names are aliases."""
    named: dict[str, ScopedEnum] = {}
    by_value: dict[int, ScopedEnum] = {}
    for name, value in members.items():
        member = by_value.get(value)
        if member is None:
            member = by_value[value] = object.__new__(enumeration)
            object.__setattr__(member, "_name", name)
            object.__setattr__(member, "_value", value)
        named[name] = member
        setattr(enumeration, name, member)
    enumeration.__members__ = named


class E2SARErrorc(ScopedEnum):
    """What kind of error it is."""

    NoError: ClassVar[E2SARErrorc]
    CaughtException: ClassVar[E2SARErrorc]
    ParseError: ClassVar[E2SARErrorc]
    ParameterError: ClassVar[E2SARErrorc]
    ParameterNotAvailable: ClassVar[E2SARErrorc]
    OutOfRange: ClassVar[E2SARErrorc]
    Undefined: ClassVar[E2SARErrorc]
    NotFound: ClassVar[E2SARErrorc]
    RPCError: ClassVar[E2SARErrorc]
    SocketError: ClassVar[E2SARErrorc]
    MemoryError: ClassVar[E2SARErrorc]
    LogicError: ClassVar[E2SARErrorc]
    SystemError: ClassVar[E2SARErrorc]
    DataError: ClassVar[E2SARErrorc]


define(
    E2SARErrorc,
    NoError=0,
    CaughtException=1,
    ParseError=2,
    ParameterError=3,
    ParameterNotAvailable=4,
    OutOfRange=5,
    Undefined=6,
    NotFound=7,
    RPCError=8,
    SocketError=9,
    MemoryError=10,
    LogicError=11,
    SystemError=12,
    DataError=13,
)
