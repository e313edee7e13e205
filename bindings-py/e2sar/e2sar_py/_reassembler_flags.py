"""How a reassembler receives."""

from __future__ import annotations

from ._convert import BOOL, F32, I32, U16, U32, text
from ._errors import E2SARException
from ._flags import Flag, Flags
from ._results import E2SARResultReassemblerFlags


class ReassemblerFlags(Flags):
    """How a reassembler receives. Times are in milliseconds, sizes in bytes."""

    __slots__ = ()
    __module__ = "e2sar_py.DataPlane"
    __qualname__ = "Reassembler.ReassemblerFlags"

    useCP = Flag(BOOL, True, "general.useCP")
    useHostAddress = Flag(BOOL, False, "control-plane.useHostAddress")
    validateCert = Flag(BOOL, True, "control-plane.validateCert")
    reportStats = Flag(BOOL, False, "control-plane.reportStats")
    period_ms = Flag(U16, 100, "data-plane.periodMS")
    epoch_ms = Flag(U32, 1000, "data-plane.epochMS")
    portRange = Flag(I32, -1, "data-plane.portRange")
    withLBHeader = Flag(BOOL, False, "data-plane.withLBHeader")
    eventTimeout_ms = Flag(I32, 500, "data-plane.eventTimeoutMS")
    rcvSocketBufSize = Flag(I32, 3145728, "data-plane.rcvSocketBufSize")
    Ki = Flag(F32, 0.0, "pid.Ki")
    Kp = Flag(F32, 0.0, "pid.Kp")
    Kd = Flag(F32, 0.0, "pid.Kd")
    setPoint = Flag(F32, 0.0, "pid.setPoint")
    weight = Flag(F32, 1.0, "pid.weight")
    min_factor = Flag(F32, 0.5, "pid.min_factor")
    max_factor = Flag(F32, 2.0, "pid.max_factor")

    @staticmethod
    def getFromINI(path: str) -> E2SARResultReassemblerFlags:
        """From an INI file."""
        try:
            return E2SARResultReassemblerFlags._ok(ReassemblerFlags._read(text(path)))
        except E2SARException as error:
            return E2SARResultReassemblerFlags._caught(error)
