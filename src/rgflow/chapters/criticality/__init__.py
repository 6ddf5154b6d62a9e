"""Criticality: critical points, phases and power laws in depth (chapters 5, 9)."""
