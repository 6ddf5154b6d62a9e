"""Training by gradient descent: theory, trained ensembles and their comparison (chapters 7, 10)."""
