"""The one exception that users see as a single clear line."""

from __future__ import annotations


class RgflowError(ValueError):
    """Bad input or a result that cannot be trusted; the message is one line: what, where, what is allowed."""
