"""What can go wrong. Messages say what was asked, what was found, what to do.

Each class derives from the built-in exception that code which knows nothing
of xdpsar would expect.
"""

from enum import IntEnum
from typing import Any


class ErrorCode(IntEnum):
    """E2SAR's error codes, for programs that tell errors apart by number."""

    NO_ERROR = 0
    CAUGHT_EXCEPTION = 1
    PARSE_ERROR = 2
    PARAMETER_ERROR = 3
    PARAMETER_NOT_AVAILABLE = 4
    OUT_OF_RANGE = 5
    UNDEFINED = 6
    NOT_FOUND = 7
    RPC_ERROR = 8
    SOCKET_ERROR = 9
    MEMORY_ERROR = 10
    LOGIC_ERROR = 11
    SYSTEM_ERROR = 12
    DATA_ERROR = 13


class XdpsarError(Exception):
    """The base of all."""

    code: ErrorCode = ErrorCode.UNDEFINED

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class _Told(XdpsarError):
    """One whose message has three parts, and its kind a name."""

    def __init__(
        self,
        message: str,
        *,
        kind: str = "",
        code: ErrorCode | None = None,
        asked: str = "",
        found: str = "",
        remedy: str = "",
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = self.code if code is None else code
        self.asked = asked
        self.found = found
        self.remedy = remedy


class UsageError(_Told, ValueError):
    """A value that cannot be meant."""

    code = ErrorCode.PARAMETER_ERROR


class UriError(_Told, ValueError):
    """Not an EJFAT URI, or one that does not say what is needed.

    `kind` is "bad", "empty" or "missing". No text of it has a token.
    """

    code = ErrorCode.PARSE_ERROR


class HeaderError(_Told, ValueError):
    """Bytes that are no such header."""

    code = ErrorCode.DATA_ERROR


class NotFound(_Told, LookupError):
    """It is not there: a variable, a file, a host's name.

    `kind` is "not_set", "not_found" or "unresolved".
    """

    code = ErrorCode.NOT_FOUND


class SocketError(XdpsarError, OSError):
    """The system refused to send or receive. `errno` says how, if it did."""

    code = ErrorCode.SOCKET_ERROR

    def __init__(self, message: str, *, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno


class SetupError(SocketError):
    """It could not be set up, and nothing stays attached, bound or running.

    `kind` is one of "no_interface", "permission", "port_in_use",
    "hook_taken", "queue_taken", "no_neighbour", "mtu", "no_such_core",
    "unsupported", "memory", "system".
    """

    def __init__(
        self,
        message: str,
        *,
        errno: int | None = None,
        kind: str = "system",
        asked: str = "",
        found: str = "",
        remedy: str = "",
    ) -> None:
        super().__init__(message, errno=errno)
        self.kind = kind
        self.asked = asked
        self.found = found
        self.remedy = remedy


class NotPermitted(SetupError, PermissionError):
    """A capability is missing."""

    code = ErrorCode.SYSTEM_ERROR


class RpcError(_Told, ConnectionError):
    """A load balancer's control plane refused, could not be reached, or
    answered nonsense. `found` has its words, without tokens."""

    code = ErrorCode.RPC_ERROR

    def __init__(self, message: str, *, rpc_code: str | None = None, **told: Any) -> None:
        super().__init__(message, **told)
        self.rpc_code = rpc_code
        """gRPC's name of it: "PERMISSION_DENIED". None: the answer was
        nonsense."""


class RpcDenied(RpcError, PermissionError):
    """The token was refused. Of one that was good before, this says that its
    reservation or session is gone."""


class EventTooLong(XdpsarError, ValueError):
    """Longer than the 4294967295 bytes that the wire format has room for."""

    code = ErrorCode.OUT_OF_RANGE


class XdpsarTimeout(XdpsarError, TimeoutError):
    """It did not happen in time."""

    code = ErrorCode.UNDEFINED


class RpcTimeout(RpcError, XdpsarTimeout):
    """The control plane did not answer in time."""

    code = ErrorCode.RPC_ERROR


class Closed(XdpsarError, RuntimeError):
    """It was closed or stopped."""

    code = ErrorCode.LOGIC_ERROR


class Cancelled(XdpsarError, RuntimeError):
    """The event was cancelled before it was sent."""

    code = ErrorCode.LOGIC_ERROR


class Forked(XdpsarError, RuntimeError):
    """Its threads are those of the parent process."""

    code = ErrorCode.LOGIC_ERROR


class QueueFull(XdpsarError, BlockingIOError):
    """The queue has no room; later it may."""

    code = ErrorCode.MEMORY_ERROR


class BufferTooSmall(XdpsarError, BufferError):
    """The event has `required` bytes, and the buffer fewer."""

    code = ErrorCode.MEMORY_ERROR

    def __init__(self, message: str, *, required: int = 0) -> None:
        super().__init__(message)
        self.required = required


class InternalError(XdpsarError, RuntimeError):
    """A defect of ours; please report it."""

    code = ErrorCode.CAUGHT_EXCEPTION
