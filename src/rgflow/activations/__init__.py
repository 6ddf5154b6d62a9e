"""Activation functions: values, derivatives, kinks and Taylor data."""
