"""Bayesian learning: theory to order 1/n, exact posteriors at finite width, and their comparison (chapter 6)."""
