"""Differentials of the NTK at initialization (chapter 11)."""
