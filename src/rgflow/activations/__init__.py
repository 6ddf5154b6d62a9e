"""Activation functions: values, derivatives up to order five, kinks, slopes and analytic structure."""
