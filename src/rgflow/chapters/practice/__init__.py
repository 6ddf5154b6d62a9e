"""Practice: what initializations and learning rates are worth, by theory and by training."""
