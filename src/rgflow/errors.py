"""The one exception that users see as a single clear line."""

from __future__ import annotations


class RgflowError(ValueError):
    """Bad input or a result that cannot be trusted; the message is one line: what, where, what is allowed."""


class TransientError(RgflowError):
    """What another attempt may not meet: too little memory for a job, or a fault of disk or memory in what it read or wrote."""


class UnsupportedModel(RgflowError):
    """A torch module that cannot be read; the message names the path in it, the type found there and what would work."""


def marked(error: RgflowError) -> str:
    """An error as a command prints it: every line says whose it is, in logs where many programs write."""
    return "\n".join(f"rgflow: error: {line}" for line in str(error).splitlines())
