"""The result store: variable registry, digests, atomic publication, memo and opening."""
