"""Finite-width tensors of networks at initialization: the recursions, exact laws at every width, actions."""
