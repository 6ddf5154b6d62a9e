"""What infinitely wide networks learn: Bayesian inference and gradient descent."""
