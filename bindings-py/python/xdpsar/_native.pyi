from datetime import datetime
from ctypes import Array, Structure, Union
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from os import PathLike
from types import TracebackType
from typing import Any, Final, Generic, Literal, Self, TypeAlias, TypeVar, Unpack, final, overload

from typing_extensions import Buffer, CapsuleType, disjoint_base

from ._config import ReassemblerOptions, SegmenterOptions
from ._lb_types import (
    AnyIp,
    ChainGraph,
    Ip,
    Overview,
    ReachOptions,
    Reserved,
    Reset,
    Series,
    Session,
    Status,
    TokenDetails,
    Version,
)
from ._registration import Registration, RegistrationStatus
from ._stats import BackendInfo, EventInfo, LostEvent, ReassemblerStats, SegmenterStats
from ._uri import TokenKind

__version__: Final[str]

_Ip: TypeAlias = str | IPv4Address | IPv6Address
_Address: TypeAlias = tuple[str, int]
_T = TypeVar("_T")
_Slots: TypeAlias = list[tuple[int | None, int]]
_CT = TypeVar("_CT", bound=Structure | Union | Array[Any])

@final
class Event:
    """A whole event. It owns its memory, and is a buffer of bytes, to be written
    to unless it is `readonly`: nobody else has them."""

    @property
    def event_number(self) -> int: ...
    @property
    def data_id(self) -> int: ...
    @property
    def lane(self) -> int: ...
    @property
    def worker(self) -> int: ...
    @property
    def fragments(self) -> int: ...
    @property
    def tick(self) -> int | None: ...
    @property
    def entropy(self) -> int | None: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def recv_time_ns(self) -> int:
        """When its last fragment was taken in, on the clock of `time.time_ns()`.
        Fragments that came in together have one time, that at which the batch
        before was done; a change of the clock shows within 10 ms."""
    @property
    def readonly(self) -> bool: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def __bytes__(self) -> bytes: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def view(self, format: str = "B", shape: Sequence[int] | None = None) -> memoryview[Any]:
        """A view of its bytes, as items of a `struct` format and in a shape."""
    def numpy(
        self,
        dtype: Any = None,
        shape: Sequence[int] | int | None = None,
        *,
        offset: int = 0,
        strict: bool = True,
    ) -> Any:
        """Its bytes as a NumPy array of `dtype` (default: unsigned bytes), from
        `offset` on, without a copy, writeable unless the event is `readonly`.
        Bytes left over are a ValueError, unless not `strict`."""
    def cast(self, ctype: type[_CT], offset: int = 0) -> _CT:
        """A `ctypes` structure or array of its bytes; of a copy of them if the
        event is `readonly`."""
    def copy_into(self, dst: Buffer, offset: int = 0) -> int:
        """Copies its bytes to `dst` from `offset` on; returns how many."""
    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> CapsuleType: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
    def release(self) -> None:
        """Gives its memory back now; BufferError while views of it live."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        *_exception: type[BaseException] | BaseException | TracebackType | None,
    ) -> None: ...
    def __reduce_ex__(self, protocol: Any, /) -> tuple[Any, ...]: ...

@disjoint_base
class Reassembler:

    def __new__(
        cls, uri: EjfatUri | str | None = None, **options: Unpack[ReassemblerOptions]
    ) -> Self: ...
    def recv(self, timeout: float | None = None) -> Event:
        """Waits for the next event. XdpsarTimeout; Closed at the end."""
    def try_recv(self) -> Event | None:
        """The next event if one is there."""
    def recv_many(
        self, max_events: int = 64, timeout: float | None = None, *, min_events: int = 1
    ) -> list[Event]:
        """Waits for `min_events`, and takes up to `max_events` that are there;
        fewer, or none, when the time is over."""
    def recv_batch(self, max_events: int = 1024, timeout: float | None = None) -> EventBatch:
        """Waits for an event, and takes up to `max_events` that are there, with
        what is known of them in columns; none when the time is over."""
    def recv_into(self, buffer: Buffer, timeout: float | None = None) -> EventInfo:
        """Copies the next event into a writable buffer. BufferTooSmall says
        how long it must be; the event stays the next one."""
    def register(
        self, register: str | Registration, uri: EjfatUri | str | None = None
    ) -> None:
        """Registers it with the load balancer of its URI, or of another one, as
        the option `register` does at the start, and returns once that is done.
        UsageError: it is registered, or was stopped. RpcError: refused, or
        nobody answers; it goes on receiving."""
    def deregister(self) -> None:
        """Deregisters it, if it is registered, and returns once that is done;
        it goes on receiving, also what the load balancer still has for it."""
    @property
    def registration(self) -> RegistrationStatus | None:
        """How it stands with its load balancer; also after the end."""
    def __iter__(self) -> EventIterator: ...
    def events(
        self,
        *,
        max_events: int | None = None,
        timeout: float | None = None,
        data_id: int | Sequence[int] | None = None,
        every: int = 1,
    ) -> EventIterator:
        """Events, until there were so many, or none has come for so long.

        data_id, every: other events are dropped, and counted in
        `stats.events_filtered`: all but those with such a data id, and of these
        all but every so many-th, beginning with the first."""
    def _feed(
        self,
        *,
        batch: int,
        max_events: int | None,
        data_id: int | Sequence[int] | None,
        every: int,
    ) -> Feed: ...
    def fileno(self) -> int:
        """A descriptor for `select`, `poll`, or an event loop's `add_reader`:
        readable while an event can be had, and at the end. When it is, call
        `try_recv` until there is none. It is not to be read from or closed, and
        valid for as long as this object lives."""
    def lost(self, max_items: int = 0) -> list[LostEvent]:
        """Reports of lost events, each once; all that there are if 0."""
    @property
    def stats(self) -> ReassemblerStats: ...
    @property
    def port_stats(self) -> dict[int, int]:
        """Datagrams so far, by the port that they came to; of lanes by entropy,
        by the port that a load balancer would send them to."""
    @property
    def backend(self) -> BackendInfo: ...
    @property
    def data_ip(self) -> str: ...
    @property
    def ports(self) -> range: ...
    @property
    def closed(self) -> bool: ...
    def stop(self) -> None:
        """Receives no more; what is queued can still be had, then comes the end."""
    def close(self) -> None:
        """Receives no more, drops what is queued, frees interface and ports."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        *_exception: type[BaseException] | BaseException | TracebackType | None,
    ) -> None: ...

@final
class EventBatch:
    """Events, and a column of each fact: a read-only buffer that NumPy views
    without a copy. Events become Python objects when they are asked for."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Event]: ...
    @overload
    def __getitem__(self, index: int, /) -> Event: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[Event]: ...
    @property
    def event_number(self) -> memoryview[int]:
        """8 bytes each."""
    @property
    def data_id(self) -> memoryview[int]:
        """2 bytes each."""
    @property
    def nbytes(self) -> memoryview[int]:
        """8 bytes each."""
    @property
    def fragments(self) -> memoryview[int]:
        """4 bytes each."""
    @property
    def tick(self) -> memoryview[int]:
        """8 bytes each; 0 without an LB header."""
    @property
    def recv_time_ns(self) -> memoryview[int]:
        """8 bytes each: see `Event.recv_time_ns`."""
    def to_dict(self) -> dict[str, Any]:
        """The columns by their names, as NumPy arrays: what a data frame is
        made of."""

@final
class Feed:
    def worker(self, heeds_signals: bool) -> Worker: ...
    def stop(self) -> None: ...
    def call(self) -> None: ...
    def called(self) -> None: ...
    def check(self) -> None: ...
    @property
    def handed_out(self) -> int: ...

@final
class Worker(Iterator[Any]):
    def __iter__(self) -> Self: ...
    def __next__(self) -> Any: ...
    def close(self) -> None: ...
    @property
    def is_over(self) -> bool: ...

@final
class EventIterator(Iterator[Event]):
    """Events, until the reassembler is stopped or closed, or a limit is reached."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> Event: ...

@disjoint_base
class Segmenter:

    def __new__(
        cls, to: EjfatUri | str, /, **options: Unpack[SegmenterOptions]
    ) -> Self: ...
    def send(
        self,
        data: Buffer,
        /,
        *,
        event_number: int | None = None,
        data_id: int | None = None,
        entropy: int | None = None,
        tick: int | None = None,
    ) -> int:
        """Sends an event in this thread; returns its number when the kernel
        has taken all of it."""
    def send_vectored(
        self,
        parts: Iterable[Buffer],
        /,
        *,
        event_number: int | None = None,
        data_id: int | None = None,
        entropy: int | None = None,
        tick: int | None = None,
    ) -> int:
        """Sends one event that is gathered from several buffers, without a copy."""
    def submit(
        self,
        data: Buffer,
        /,
        *,
        event_number: int | None = None,
        data_id: int | None = None,
        entropy: int | None = None,
        tick: int | None = None,
        timeout: float | None = None,
        callback: Callable[[SendTicket], object] | None = None,
    ) -> SendTicket:
        """Queues an event for the sender threads, and waits while the queue is
        full. The buffer is not copied, and stays exported until it is sent.

        `callback` is called with the ticket, once, after the kernel has taken
        all of the event, or it failed: see `SendTicket.add_done_callback`."""
    def try_submit(
        self,
        data: Buffer,
        /,
        *,
        event_number: int | None = None,
        data_id: int | None = None,
        entropy: int | None = None,
        tick: int | None = None,
        callback: Callable[[SendTicket], object] | None = None,
    ) -> SendTicket | None:
        """The same; None if the queue is full."""
    def flush(self, timeout: float | None = None) -> bool:
        """Waits until all that was queued before was sent or has failed; False
        when the time is over."""
    def close(self, *, drain: bool = True, timeout: float | None = None) -> None:
        """Takes no more, sends what is queued if it is to `drain`, cuts off the
        rest, and ends all threads."""
    @property
    def stats(self) -> SegmenterStats: ...
    @property
    def to(self) -> str: ...
    @property
    def mtu(self) -> int: ...
    @property
    def max_payload(self) -> int: ...
    @property
    def backend(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def closed(self) -> bool: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        *_exception: type[BaseException] | BaseException | TracebackType | None,
    ) -> None: ...

@final
class SendTicket:
    """A queued event's receipt. Dropping it changes nothing for the event."""

    @property
    def event_number(self) -> int: ...
    def done(self) -> bool:
        """Whether it is known what became of the event."""
    def result(self, timeout: float | None = None) -> int:
        """Waits until the kernel has taken all of it; returns its number."""
    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Waits likewise; returns what `result` would raise."""
    def add_done_callback(self, callback: Callable[[SendTicket], object]) -> None:
        """Has `callback` called with this ticket, once, when it is known what
        became of the event: soon, if that is so already. The calls come from
        one thread of the segmenter's, in the order in which events are told;
        what they raise goes to `sys.unraisablehook`. The buffer is given back
        before."""
    def cancel(self) -> bool:
        """Has the event not sent, if no sender thread has begun with it; else
        False. It keeps its number, and its place in the queue; when its turn
        comes, the buffer is given back, and `result` raises Cancelled."""
    def __await__(self) -> Generator[Any, None, int]:
        """`result`, without blocking the event loop. Cancelling the task that
        awaits it does not cancel the event."""

@final
class Callbacks:
    def take(self) -> list[tuple[Callable[[SendTicket], object], SendTicket]] | None: ...
    def called(self) -> None: ...

@final
class EjfatUri:
    """Where a load balancer's control plane is, where its data plane is, and
    with which tokens it may be asked for what. Immutable, and hashable.

        ejfat[s]://[token@]host:port[/lb/id][?sync=ip:port&data=ip[:port]&sessionid=text]

    Its text, and so `str()` and what is pickled, has a token; `repr()` has
    none. token: the kind of the text's. prefer_v6: which family counts where
    there are both. Names are looked up by `resolve` alone. Ports below 1024
    are accepted. A data address may have a range of ports: `data_ports`.
    """

    def __new__(
        cls, uri: str, *, token: TokenKind | int = ..., prefer_v6: bool = False
    ) -> Self:
        """UriError: it is none."""
    @staticmethod
    def from_env(
        name: str = "EJFAT_URI", *, token: TokenKind | int = ..., prefer_v6: bool = False
    ) -> EjfatUri:
        """That of an environment variable. NotFound; UriError."""
    @staticmethod
    def from_file(
        path: str | PathLike[str], *, token: TokenKind | int = ..., prefer_v6: bool = False
    ) -> EjfatUri:
        """That of a file: of its first line that is neither blank nor a comment
        (`#`), which may be one for a shell (`export EJFAT_URI='…'`).
        NotFound; UriError."""
    @property
    def tls(self) -> bool: ...
    @property
    def host(self) -> str: ...
    @property
    def has_host_name(self) -> bool: ...
    @property
    def port(self) -> int: ...
    @property
    def lb_id(self) -> str: ...
    @property
    def lb_name(self) -> str: ...
    @property
    def session_id(self) -> str: ...
    @property
    def data(self) -> _Address | None: ...
    @property
    def data_v4(self) -> _Address | None: ...
    @property
    def data_v6(self) -> _Address | None: ...
    @property
    def data_ports(self) -> range | None: ...
    @property
    def sync(self) -> _Address | None: ...
    @property
    def sync_v4(self) -> _Address | None: ...
    @property
    def sync_v6(self) -> _Address | None: ...
    @property
    def prefer_v6(self) -> bool: ...
    def token(self, kind: TokenKind | int) -> str | None:
        """The token of exactly this kind."""
    def token_for(self, kind: TokenKind | int) -> str | None:
        """The token of this kind, or the next broader one: a session's, an
        instance's, an admin's, that for all."""
    def to_string(self, token: TokenKind | int) -> str:
        """The text with the token of exactly this kind, if there is one."""
    def resolve(self) -> list[_Address]:
        """The control plane's addresses, those of the preferred family first.
        NotFound: a name that nobody knows."""
    def replace(
        self,
        *,
        tls: bool = ...,
        host: str = ...,
        port: int = ...,
        lb_id: str = ...,
        lb_name: str = ...,
        session_id: str = ...,
        all_token: str | None = ...,
        admin_token: str | None = ...,
        instance_token: str | None = ...,
        session_token: str | None = ...,
        data_v4: str | tuple[_Ip, int] | None = ...,
        data_v6: str | tuple[_Ip, int] | None = ...,
        sync_v4: str | tuple[_Ip, int] | None = ...,
        sync_v6: str | tuple[_Ip, int] | None = ...,
        prefer_v6: bool = ...,
    ) -> EjfatUri:
        """The same with other parts; None leaves one out."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class ReHeader:
    """Which event a fragment is of, and where in it."""

    def __new__(
        cls,
        *,
        data_id: int = 0,
        offset: int = 0,
        length: int = 0,
        event_number: int = 0,
    ) -> Self: ...
    @staticmethod
    def from_bytes(buffer: Buffer, *, check: bool = True) -> ReHeader:
        """HeaderError: it is none; without the check only if too short."""
    def to_bytes(self) -> bytes: ...
    def __bytes__(self) -> bytes: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    @property
    def valid(self) -> bool:
        """False only of bytes read without a check."""
    @property
    def data_id(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def length(self) -> int: ...
    @property
    def event_number(self) -> int: ...

@final
class LbHeaderV2:
    """The load balancer's header, version 2: the slot comes from the tick."""

    def __new__(
        cls,
        *,
        entropy: int = 0,
        tick: int = 0,
    ) -> Self: ...
    @staticmethod
    def from_bytes(buffer: Buffer, *, check: bool = True) -> LbHeaderV2:
        """HeaderError: it is none; without the check only if too short."""
    def to_bytes(self) -> bytes: ...
    def __bytes__(self) -> bytes: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    @property
    def valid(self) -> bool:
        """False only of bytes read without a check."""
    @property
    def entropy(self) -> int: ...
    @property
    def tick(self) -> int: ...
    @property
    def version(self) -> int: ...
    @property
    def next_protocol(self) -> int: ...

@final
class LbHeaderV3:
    """The load balancer's header, version 3, with a slot of its own."""

    def __new__(
        cls,
        *,
        slot: int = 0,
        entropy: int = 0,
        tick: int = 0,
    ) -> Self: ...
    @staticmethod
    def from_bytes(buffer: Buffer, *, check: bool = True) -> LbHeaderV3:
        """HeaderError: it is none; without the check only if too short."""
    def to_bytes(self) -> bytes: ...
    def __bytes__(self) -> bytes: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    @property
    def valid(self) -> bool:
        """False only of bytes read without a check."""
    @property
    def slot(self) -> int: ...
    @property
    def entropy(self) -> int: ...
    @property
    def tick(self) -> int: ...
    @property
    def version(self) -> int: ...
    @property
    def next_protocol(self) -> int: ...

@final
class LbReHeader:
    """Both headers, as they stand before a fragment's bytes."""

    def __new__(
        cls,
        *,
        lb_version: int = 2,
        slot: int = 0,
        entropy: int = 0,
        tick: int = 0,
        data_id: int = 0,
        offset: int = 0,
        length: int = 0,
        event_number: int = 0,
    ) -> Self: ...
    @staticmethod
    def from_bytes(buffer: Buffer, *, check: bool = True) -> LbReHeader:
        """HeaderError: it is none; without the check only if too short."""
    def to_bytes(self) -> bytes: ...
    def __bytes__(self) -> bytes: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    @property
    def valid(self) -> bool:
        """False only of bytes read without a check."""
    @property
    def lb_version(self) -> int: ...
    @property
    def slot(self) -> int: ...
    @property
    def entropy(self) -> int: ...
    @property
    def tick(self) -> int: ...
    @property
    def data_id(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def length(self) -> int: ...
    @property
    def event_number(self) -> int: ...

@final
class SyncHeader:
    """A Sync message: where a sender's ticks are, and how fast they grow."""

    def __new__(
        cls,
        *,
        source_id: int = 0,
        event_number: int = 0,
        rate_hz: int = 0,
        unix_time_ns: int = 0,
    ) -> Self: ...
    @staticmethod
    def from_bytes(buffer: Buffer, *, check: bool = True) -> SyncHeader:
        """HeaderError: it is none; without the check only if too short."""
    def to_bytes(self) -> bytes: ...
    def __bytes__(self) -> bytes: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    @property
    def valid(self) -> bool:
        """False only of bytes read without a check."""
    @property
    def source_id(self) -> int: ...
    @property
    def event_number(self) -> int: ...
    @property
    def rate_hz(self) -> int: ...
    @property
    def unix_time_ns(self) -> int: ...

@final
class Call(Generic[_T]):
    """A call to the control plane, under way. To drop it is to give it up."""

    def wait(self) -> _T:
        """Its answer, once there is one."""
    def result(self) -> _T:
        """Its answer, which is there."""
    def fileno(self) -> int:
        """Readable as soon as there is an answer."""
    def cancel(self) -> None:
        """Gives it up; what it did nevertheless is taken back, where it would
        stay: a reservation, a worker."""

@final
class ControlPlane:
    """`xdpsar.LoadBalancer` and its twin have its calls answered."""

    def __new__(cls, uri: EjfatUri | str, **reach: Unpack[ReachOptions]) -> Self: ...
    @property
    def uri(self) -> EjfatUri: ...
    @property
    def closed(self) -> bool: ...
    def with_uri(self, uri: EjfatUri | str) -> ControlPlane: ...
    def with_timeout(self, timeout: float) -> ControlPlane: ...
    def close(self) -> None: ...
    def reserve(
        self,
        name: str,
        until: datetime | None,
        senders: Iterable[AnyIp],
        ip_family: str,
        strategy: str | None,
    ) -> Call[Reserved]: ...
    def get(self, lb_id: str | None) -> Call[Reserved]: ...
    def free(self, lb_id: str | None) -> Call[None]: ...
    def extend(self, until: datetime | None, lb_id: str | None) -> Call[datetime | None]: ...
    def reset(self, what: tuple[bool, bool, bool, bool], lb_id: str | None) -> Call[Reset]: ...
    def senders(
        self, add: bool, senders: Iterable[AnyIp] | None, lb_id: str | None
    ) -> Call[list[Ip]]: ...
    def status(self, lb_id: str | None) -> Call[Status]: ...
    def overview(self) -> Call[tuple[Overview, ...]]: ...
    def version(self) -> Call[Version]: ...
    def register(
        self,
        name: str,
        address: AnyIp,
        port: int,
        ports: int,
        keep_lb_header: bool,
        weight: float,
        factors: tuple[float, float],
        slot_demands: _Slots,
        lb_id: str | None,
    ) -> Call[Session]: ...
    def send_state(
        self,
        state: tuple[float, float, bool],
        at: datetime | None,
        counters: Sequence[int],
        session: str | None,
    ) -> Call[None]: ...
    def deregister(self, session: str | None) -> Call[None]: ...
    def set_slot_demands(
        self, sessions: list[tuple[str, _Slots]], lb_id: str | None
    ) -> Call[None]: ...
    def series(
        self, paths: list[str] | None, since: datetime | None, lb_id: str | None
    ) -> Call[tuple[Series, ...]]: ...
    def create_token(
        self, name: str, permissions: list[tuple[int, int, str]]
    ) -> Call[str]: ...
    def token_permissions(self, which: int | str | None) -> Call[TokenDetails]: ...
    def child_tokens(self, which: int | str | None) -> Call[tuple[TokenDetails, ...]]: ...
    def revoke_token(self, which: int | str) -> Call[None]: ...
    def chain(
        self,
        upstream: EjfatUri | str,
        ip_family: str,
        weight: float,
        factors: tuple[float, float],
        slot_demands: _Slots,
        lb_id: str | None,
    ) -> Call[str]: ...
    def unchain(self, chain_id: str, lb_id: str | None) -> Call[None]: ...
    def chain_graph(self, lb_id: str | None) -> Call[ChainGraph]: ...

def local_address_towards(to: _Ip) -> str:
    """The address of this host that datagrams to another one leave from: the
    one to receive at what comes from there. Sends nothing. SetupError: no
    route."""

def local_addresses_towards(to: _Ip) -> list[str]:
    """That one, and then the others of the interface which leads there."""

def _rebuild_uri(text: str, more: tuple[Any, ...]) -> EjfatUri: ...
def _rebuild_header(class_: Any, bytes: Buffer, /) -> Any: ...
def _rebuild_event(bytes: Buffer, event_number: int, facts: tuple[Any, ...]) -> Event: ...
def _host() -> str: ...
def _build() -> str: ...
def _route_to(ip: _Ip) -> tuple[str, int]: ...
def _drain(reassembler: Reassembler, events: int, at_once: int | None) -> float: ...
def _send_again(segmenter: Segmenter, data: Buffer, times: int) -> float: ...
def _live_objects() -> dict[str, int]: ...
def _at_exit() -> None: ...
def _unraisable(error: BaseException, raised_by: object) -> None: ...
def _panic() -> None: ...
