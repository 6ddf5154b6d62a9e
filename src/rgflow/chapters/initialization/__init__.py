"""Networks at initialization: theory, sampled ensembles and their comparison (chapters 2-5, 8)."""
