"""Views of an event's bytes by other libraries, which are imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._native import Event, EventBatch


def numpy(
    event: Event, dtype: Any, shape: Sequence[int] | int | None, offset: int, strict: bool
) -> Any:
    """`Event.numpy`: see its stub."""
    import numpy as np

    of = np.dtype("u1" if dtype is None else dtype)
    if of.hasobject:
        raise TypeError(
            f"event {event.event_number} as {of}: bytes from a network are no Python objects; "
            "choose a numeric or structured type"
        )
    if of.itemsize == 0:
        raise ValueError(f"event {event.event_number} as {of}: its items have no bytes")
    room = len(event) - offset
    if room < 0:
        raise ValueError(
            f"event {event.event_number} from byte {offset} on: it has {len(event)} bytes"
        )
    count, rest = divmod(room, of.itemsize)
    if rest and strict and shape is None:
        raise ValueError(
            f"event {event.event_number} as {of}: {room} bytes are {count} items of "
            f"{of.itemsize} and {rest} bytes more; name a shape, or say strict=False"
        )
    if shape is not None:
        lengths = [shape] if isinstance(shape, int) else list(shape)
        if -1 not in lengths:
            wanted = 1
            for length in lengths:
                wanted *= length
            if wanted > count or (strict and wanted * of.itemsize != room):
                raise ValueError(
                    f"event {event.event_number} as {of} in the shape {tuple(lengths)}: that is "
                    f"{wanted * of.itemsize} bytes, and there are {room}; choose another shape"
                    + (", or say strict=False" if wanted <= count else "")
                )
            count = wanted
    # Not frombuffer: it has another view for no items.
    flat = np.ndarray((count,), of, memoryview(event), offset)
    return flat if shape is None else flat.reshape(shape)


def dlpack(event: Event, stream: Any, max_version: Any, dl_device: Any, copy: Any) -> Any:
    """`Event.__dlpack__`, as NumPy has it: consumers must know read-only memory."""
    array = numpy(event, None, None, 0, True)
    return array.__dlpack__(
        stream=stream, max_version=max_version, dl_device=dl_device, copy=copy
    )


def columns(batch: EventBatch) -> dict[str, Any]:
    """`EventBatch.to_dict`: see its stub."""
    import numpy as np

    return {
        "event_number": np.asarray(batch.event_number),
        "data_id": np.asarray(batch.data_id),
        "nbytes": np.asarray(batch.nbytes),
        "fragments": np.asarray(batch.fragments),
        "tick": np.asarray(batch.tick),
        "recv_time_ns": np.asarray(batch.recv_time_ns),
    }
