"""Points in time, as the control plane has them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Self

from ._convert import i32, i64


_BEGIN = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Timestamp:
    """Seconds and nanoseconds since 1970, UTC."""

    __slots__ = ("_nanos", "_seconds")
    _seconds: int
    _nanos: int

    def __init__(self) -> None:
        self._seconds = self._nanos = 0

    @classmethod
    def _at(cls, time: datetime | None) -> Self:
        made = cls()
        if time is not None:
            since = time - _BEGIN
            made._seconds = since // timedelta(seconds=1)
            made._nanos = since % timedelta(seconds=1) // timedelta(microseconds=1) * 1000
        return made

    def _time(self) -> datetime:
        """The same for Python; what is before 1970, or beyond, is its end."""
        try:
            since = timedelta(seconds=self._seconds, microseconds=self._nanos // 1000)
            return max(_BEGIN, _BEGIN + since)
        except OverflowError:
            return _BEGIN if self._seconds < 0 else datetime.max.replace(tzinfo=timezone.utc)

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
