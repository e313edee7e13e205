"""What stands on the wire before an event's bytes.

    header = LbReHeader(tick=tick, event_number=5, length=len(data))
    socket.sendmsg([header, data])
    ReHeader.from_bytes(datagram).event_number

Headers are immutable, and buffers of the bytes as they are sent; numbers are
the host's. `from_bytes` reads the one that a buffer begins with; a SyncHeader
must be all of it.
"""

from ._errors import HeaderError
from ._native import LbHeaderV2, LbHeaderV3, LbReHeader, ReHeader, SyncHeader

__all__ = ["HeaderError", "LbHeaderV2", "LbHeaderV3", "LbReHeader", "ReHeader", "SyncHeader"]
