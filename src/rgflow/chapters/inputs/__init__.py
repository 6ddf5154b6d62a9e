"""Inputs: which data the networks see."""
