"""Ways of sending that can be asked for."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import ClassVar

from ._convert import instance_of, is_sequence, text
from ._enum import E2SARErrorc, ScopedEnum, define
from ._errors import NotConstructible
from ._results import DONE, E2SARResultInt


class Optimizations(NotConstructible):
    """What is asked for, in the whole process.

    Segmenters always hand over many datagrams per system call, by `sendmmsg`
    or by what is faster here, so `sendmmsg` is always available, and not
    asking for it costs nothing. There is no io_uring.
    """

    __slots__ = ()

    class Code(ScopedEnum):
        """One of them."""

        none: ClassVar[Optimizations.Code]
        sendmmsg: ClassVar[Optimizations.Code]
        liburing_send: ClassVar[Optimizations.Code]
        liburing_recv: ClassVar[Optimizations.Code]
        unknown: ClassVar[Optimizations.Code]

    define(Code, none=0, sendmmsg=1, liburing_send=2, liburing_recv=3, unknown=15)
    none: ClassVar[Code] = Code.none
    sendmmsg: ClassVar[Code] = Code.sendmmsg
    liburing_send: ClassVar[Code] = Code.liburing_send
    liburing_recv: ClassVar[Code] = Code.liburing_recv
    unknown: ClassVar[Code] = Code.unknown

    @staticmethod
    def toWord(opt: Code) -> int:
        """Its bit in a word."""
        return 1 << int(_code(opt))

    @staticmethod
    def toString(opt: Code) -> str:
        """Its name."""
        return _code(opt).name

    @staticmethod
    def fromString(opt: str) -> Code:
        """The one of that name, or `unknown`."""
        return _BY_NAME.get(text(opt), Optimizations.Code.unknown)

    @staticmethod
    def availableAsStrings() -> list[str]:
        """Names of those that there are."""
        return [code.name for code in _AVAILABLE]

    @staticmethod
    def availableAsWord() -> int:
        """Bits of those that there are."""
        return _word(_AVAILABLE)

    @staticmethod
    def select(opt: Sequence[str] | Sequence[Code]) -> E2SARResultInt:
        """Asks for these as well; after an error for none at all."""
        if not is_sequence(opt):
            raise TypeError(f"{opt!r} is not a list of Optimizations.Code or of their names")
        codes = [
            Optimizations.fromString(one) if isinstance(one, str) else _code(one) for one in opt
        ]
        return _select(codes, [str(one) for one in opt])

    @staticmethod
    def selectedAsStrings() -> list[str]:
        """Names of what is asked for."""
        return [code.name for code in _selected]

    @staticmethod
    def selectedAsWord() -> int:
        """Bits of what is asked for."""
        return _word(_selected)

    @staticmethod
    def selectedAsList() -> list[Code]:
        """What is asked for."""
        return list(_selected)

    @staticmethod
    def isSelected(opt: Code) -> bool:
        """Whether it is asked for."""
        return _code(opt) in _selected


_Code = Optimizations.Code
_BY_NAME: dict[str, _Code] = {name: code for name, code in _Code.__members__.items()}
_AVAILABLE = (_Code.none, _Code.sendmmsg)
_lock = threading.RLock()
_selected: tuple[_Code, ...] = (_Code.none,)


def _code(given: object) -> _Code:
    return instance_of(_Code, given)


def _word(codes: Sequence[_Code]) -> int:
    return sum(1 << int(code) for code in codes)


def _select(codes: list[_Code], names: list[str]) -> E2SARResultInt:
    global _selected
    with _lock:
        wanted = {*_selected, *codes} - {_Code.none}
        uring = wanted & {_Code.liburing_send, _Code.liburing_recv}
        if uring and _Code.sendmmsg in wanted:
            _selected = (_Code.none,)
            return E2SARResultInt._failed(
                E2SARErrorc.LogicError,
                "Requested optimizations are incompatible: sendmmsg and liburing_* exclude "
                "each other; select one of them",
            )
        for code, name in zip(codes, names, strict=True):
            if code not in _AVAILABLE:
                _selected = (_Code.none,)
                return E2SARResultInt._failed(
                    E2SARErrorc.NotFound,
                    f"Requested optimization {name} is not available; available: "
                    + ", ".join(Optimizations.availableAsStrings()),
                )
        # In the order of their numbers.
        _selected = tuple(sorted(wanted, key=int)) or (_Code.none,)
    return DONE
