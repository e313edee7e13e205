"""Names for what EJFAT URIs hold."""

from enum import IntEnum


class TokenKind(IntEnum):
    """What a token is for. The number is the control plane's resource type."""

    ALL = 0
    """Everything."""
    ADMIN = 1
    """A load balancer, and what is reserved on it."""
    INSTANCE = 2
    """One reservation."""
    SESSION = 3
    """One worker's session."""
