"""The Python interface of E2SAR, done by xdpsar.

Scripts written for `e2sar_py` run unchanged; what differs stands in the
README. New programs have more of `xdpsar` itself.
"""

import xdpsar as _xdpsar

from . import ControlPlane, DataPlane
from ._address import IPAddress
from ._affinity import Affinity
from ._enum import E2SARErrorc
from ._errors import E2SARErrorInfo, E2SARException
from ._headers import LBHdrV2, LBHdrV3, LBREHdr, REHdr, SyncHdr
from ._lb_data import SslCredentialsOptions
from ._optimizations import Optimizations
from ._results import (
    E2SARResultEjfatURI,
    E2SARResultInt,
    E2SARResultListOfFDPairs,
    E2SARResultListOfTokenDetails,
    E2SARResultPairIP,
    E2SARResultPairString,
    E2SARResultPairUInt64,
    E2SARResultReassemblerFlags,
    E2SARResultSegmenterFlags,
    E2SARResultSslCredentialsOptions,
    E2SARResultString,
    E2SARResultTimeseriesResult,
    E2SARResultTokenDetails,
    E2SARResultUInt32,
)
from ._uri import EjfatURI

__version__ = _xdpsar.__version__

LBHdr = LBHdrV2

_dp_port = 19522
_iphdr_len = 20
_udphdr_len = 8
_total_hdr_len = 64
_rehdr_version = 1
_rehdr_version_nibble = 0x10
_lbhdr_version = 2
_synchdr_version = 2

NoError = E2SARErrorc.NoError
CaughtException = E2SARErrorc.CaughtException
ParseError = E2SARErrorc.ParseError
ParameterError = E2SARErrorc.ParameterError
ParameterNotAvailable = E2SARErrorc.ParameterNotAvailable
OutOfRange = E2SARErrorc.OutOfRange
Undefined = E2SARErrorc.Undefined
NotFound = E2SARErrorc.NotFound
RPCError = E2SARErrorc.RPCError
SocketError = E2SARErrorc.SocketError
MemoryError = E2SARErrorc.MemoryError
LogicError = E2SARErrorc.LogicError
SystemError = E2SARErrorc.SystemError
DataError = E2SARErrorc.DataError

# `import *` would hide the builtins MemoryError and SystemError: they are not
# among these.
__all__ = [
    "Affinity",
    "CaughtException",
    "ControlPlane",
    "DataError",
    "DataPlane",
    "E2SARErrorInfo",
    "E2SARErrorc",
    "E2SARException",
    "E2SARResultEjfatURI",
    "E2SARResultInt",
    "E2SARResultListOfFDPairs",
    "E2SARResultListOfTokenDetails",
    "E2SARResultPairIP",
    "E2SARResultPairString",
    "E2SARResultPairUInt64",
    "E2SARResultReassemblerFlags",
    "E2SARResultSegmenterFlags",
    "E2SARResultSslCredentialsOptions",
    "E2SARResultString",
    "E2SARResultTimeseriesResult",
    "E2SARResultTokenDetails",
    "E2SARResultUInt32",
    "EjfatURI",
    "IPAddress",
    "LBHdr",
    "LBHdrV2",
    "LBHdrV3",
    "LBREHdr",
    "LogicError",
    "NoError",
    "NotFound",
    "Optimizations",
    "OutOfRange",
    "ParameterError",
    "ParameterNotAvailable",
    "ParseError",
    "REHdr",
    "RPCError",
    "SocketError",
    "SslCredentialsOptions",
    "SyncHdr",
    "Undefined",
    "get_version",
]


def get_version() -> str:
    """Of xdpsar."""
    return __version__
