"""Laws of large depth for one input: exponents and coefficients, learning-rate equivalence, information."""
