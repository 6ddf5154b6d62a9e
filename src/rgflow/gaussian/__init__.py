"""Gaussian expectations of activations, Wick contractions, cumulants and Hermite tools."""
