"""Bayesian learning: theory to order 1/n, exact posteriors of finite networks and their comparison (chapter 6)."""
