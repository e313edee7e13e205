"""How a segmenter sends."""

from __future__ import annotations

from ._convert import BOOL, F32, I32, SIZE, U8, U16, text
from ._errors import E2SARException
from ._flags import Flag, Flags
from ._results import E2SARResultSegmenterFlags


class SegmenterFlags(Flags):
    """How a segmenter sends. Times are in milliseconds, sizes in bytes."""

    __slots__ = ()
    __module__ = "e2sar_py.DataPlane"
    __qualname__ = "Segmenter.SegmenterFlags"

    dpV6 = Flag(BOOL, False, "data-plane.dpV6")
    connectedSocket = Flag(BOOL, True, "data-plane.connectedSocket")
    useCP = Flag(BOOL, True, "general.useCP")
    warmUpMs = Flag(U16, 1000, "control-plane.warmUpMS")
    syncPeriodMs = Flag(U16, 1000, "control-plane.syncPeriodMS")
    syncPeriods = Flag(U16, 2, "control-plane.syncPeriods")
    mtu = Flag(U16, 1500, "data-plane.mtu")
    numSendSockets = Flag(SIZE, 4, "data-plane.numSendSockets")
    sndSocketBufSize = Flag(I32, 3145728, "data-plane.sndSocketBufSize")
    rateGbps = Flag(F32, -1.0, "data-plane.rateGbps")
    smooth = Flag(BOOL, False, "data-plane.smooth")
    multiPort = Flag(BOOL, False, "data-plane.multiPort")
    ticksAsREEventNum = Flag(BOOL, False, "data-plane.ticksAsREEventNum")
    lbHdrVersion = Flag(U8, 2, "data-plane.lbHdrVersion")

    @staticmethod
    def getFromINI(path: str) -> E2SARResultSegmenterFlags:
        """From an INI file."""
        try:
            return E2SARResultSegmenterFlags._ok(SegmenterFlags._read(text(path)))
        except E2SARException as error:
            return E2SARResultSegmenterFlags._caught(error)
