"""Points in time, as the control plane has them."""

from __future__ import annotations

from datetime import datetime, timedelta

from ._convert import i32, i64


class Timestamp:
    """Seconds and nanoseconds since 1970, UTC."""

    __slots__ = ("_nanos", "_seconds")
    _seconds: int
    _nanos: int

    def __init__(self) -> None:
        self._seconds = self._nanos = 0

    def get_seconds(self) -> int:
        """Whole seconds."""
        return self._seconds

    def get_nanos(self) -> int:
        """And nanoseconds more."""
        return self._nanos

    def set_seconds(self, seconds: int) -> None:
        """Whole seconds."""
        self._seconds = i64(seconds)

    def set_nanos(self, nanos: int) -> None:
        """And nanoseconds more, below 1 000 000 000."""
        self._nanos = i32(nanos)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timestamp) and (self._seconds, self._nanos) == (
            other._seconds,
            other._nanos,
        )

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        if not 0 <= self._nanos < 10**9:
            raise ValueError(f"{self._nanos} nanoseconds are no fraction of a second")
        try:
            day = datetime(1970, 1, 1) + timedelta(seconds=self._seconds)
        except OverflowError:
            raise ValueError(f"second {self._seconds} is not in the years 1 to 9999") from None
        fraction = f".{self._nanos:09}" if self._nanos else ""
        while fraction.endswith("000"):
            fraction = fraction[:-3]
        return f"{day.isoformat()}{fraction}Z"

    def __repr__(self) -> str:
        return f"<Timestamp: {self._seconds}.{self._nanos:09} s>"
