"""The data plane: events sent and received."""

from ._reassembler import Reassembler
from ._segmenter import Segmenter

__all__ = ["Reassembler", "Segmenter"]
