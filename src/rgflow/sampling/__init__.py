"""Ensembles of networks at initialization: exact samplers and unbiased estimators."""
