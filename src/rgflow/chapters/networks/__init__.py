"""Networks: what is swept over, and the hyperparameters of every layer."""
