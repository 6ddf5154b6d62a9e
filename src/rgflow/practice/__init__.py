"""From a user's own torch module to initialization, learning rates, depth and width, with predictions that carry errors."""
