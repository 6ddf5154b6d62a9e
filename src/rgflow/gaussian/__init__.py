"""Expectations of activations under Gaussian distributions, Wick contractions and cumulants."""
