"""Figures of Bayesian learning."""
