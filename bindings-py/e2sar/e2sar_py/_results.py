"""Results: a value, or what went wrong."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from ._errors import E2SARErrorInfo, E2SARException, NotConstructible, code_of

if TYPE_CHECKING:
    from ._address import IPAddress
    from ._enum import E2SARErrorc
    from ._lb_data import SslCredentialsOptions, TimeseriesResult, TokenDetails
    from ._reassembler_flags import ReassemblerFlags
    from ._segmenter_flags import SegmenterFlags
    from ._uri import EjfatURI

T = TypeVar("T")


class Result(NotConstructible, Generic[T]):
    """The base of all results."""

    __slots__ = ("_error", "_value")
    _value: T
    _error: E2SARErrorInfo | None

    @classmethod
    def _ok(cls, value: T) -> Self:
        result = cls._bare()
        result._value, result._error = value, None
        return result

    @classmethod
    def _failed(cls, code: E2SARErrorc, message: str) -> Self:
        result = cls._bare()
        result._error = E2SARErrorInfo._of(code, message)
        return result

    @classmethod
    def _caught(cls, error: BaseException, doing: str = "") -> Self:
        return cls._failed(code_of(error), f"{doing}{error}")

    def has_error(self) -> bool:
        """Whether there is an error."""
        return self._error is not None

    def has_value(self) -> bool:
        """Whether there is a value."""
        return self._error is None

    def value(self) -> T:
        """A copy of the value: to change it does not change the result."""
        if self._error is not None:
            raise E2SARException(self._error.message, self._error.code)
        return copy.copy(self._value)

    def error(self) -> E2SARErrorInfo:
        """What went wrong."""
        if self._error is None:
            raise RuntimeError("No error present in ")
        return self._error

    def __repr__(self) -> str:
        inside = self._error if self._error is not None else repr(self._value)
        return f"<{type(self).__name__}: {inside}>"


class E2SARResultInt(Result[int]):
    """0 if it was done."""

    __slots__ = ()


DONE = E2SARResultInt._ok(0)
"""What was done was done."""


class E2SARResultString(Result[str]):
    """A token."""

    __slots__ = ()


class E2SARResultUInt32(Result[int]):
    """A load balancer's number."""

    __slots__ = ()


class E2SARResultEjfatURI(Result["EjfatURI"]):
    """A URI."""

    __slots__ = ()


class E2SARResultSslCredentialsOptions(Result["SslCredentialsOptions"]):
    """What TLS is done with."""

    __slots__ = ()


class E2SARResultPairIP(Result[tuple["IPAddress", int]]):
    """Address and port."""

    __slots__ = ()


class E2SARResultPairString(Result[tuple[str, int]]):
    """Host name and port."""

    __slots__ = ()


class E2SARResultListOfFDPairs(Result[list[tuple[int, int]]]):
    """Ports, and how many fragments came in through each."""

    __slots__ = ()


class E2SARResultPairUInt64(Result[tuple[int, int]]):
    """Two numbers."""

    __slots__ = ()


class E2SARResultReassemblerFlags(Result["ReassemblerFlags"]):
    """Flags."""

    __slots__ = ()


class E2SARResultSegmenterFlags(Result["SegmenterFlags"]):
    """Flags."""

    __slots__ = ()


class E2SARResultTokenDetails(Result["TokenDetails"]):
    """A token's permissions."""

    __slots__ = ()


class E2SARResultListOfTokenDetails(Result[list["TokenDetails"]]):
    """Tokens and their permissions."""

    __slots__ = ()


class E2SARResultTimeseriesResult(Result["TimeseriesResult"]):
    """Time series."""

    __slots__ = ()
