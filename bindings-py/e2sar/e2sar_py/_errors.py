"""Errors: as a value in a result, and as an exception."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Self

import xdpsar

from ._enum import E2SARErrorc

if TYPE_CHECKING:
    from collections.abc import Callable


class Message(str):
    """A text. Old scripts call it, as if it were a method that returns it."""

    __slots__ = ()

    def __call__(self) -> Self:
        return self


class NotConstructible:
    """The base of what only this package makes."""

    __slots__ = ()

    def __new__(cls, *_args: object, **_keywords: object) -> Self:
        raise TypeError(f"{cls.__module__}.{cls.__qualname__}: No constructor defined!")

    @classmethod
    def _bare(cls) -> Self:
        return object.__new__(cls)


class E2SARErrorInfo(NotConstructible):
    """What went wrong: `code` and `message`."""

    __slots__ = ("_code", "_message")
    _code: E2SARErrorc
    _message: Message

    @classmethod
    def _of(cls, code: E2SARErrorc, message: str) -> Self:
        info = cls._bare()
        info._code, info._message = code, Message(message)
        return info

    @property
    def code(self) -> E2SARErrorc:
        """What kind of error."""
        return self._code

    @property
    def message(self) -> Message:
        """What happened."""
        return self._message

    def __repr__(self) -> str:
        return f"<E2SARErrorInfo(code={int(self._code)}, message='{self._message}')>"


class E2SARException(RuntimeError):
    """What constructors raise, and `value()` of a result without one."""

    def __init__(self, message: str = "", code: E2SARErrorc = E2SARErrorc.CaughtException) -> None:
        super().__init__(message)
        self.message = Message(message)
        self.code = code

    def __reduce__(self) -> tuple[Callable[..., E2SARException], tuple[str, E2SARErrorc]]:
        return type(self), (str(self.message), self.code)


def code_of(error: BaseException) -> E2SARErrorc:
    """The code for an exception of ours, of the library below, or of Python."""
    if isinstance(error, E2SARException):
        return error.code
    if isinstance(error, xdpsar.XdpsarError):
        return E2SARErrorc(error.code)
    return E2SARErrorc.SystemError if isinstance(error, OSError) else E2SARErrorc.CaughtException


def refuse_parameter(message: str) -> NoReturn:
    """Raises it of a parameter."""
    refuse(E2SARErrorc.ParameterError, message)


def refuse(code: E2SARErrorc, message: str) -> NoReturn:
    """Raises it."""
    raise E2SARException(message, code)
