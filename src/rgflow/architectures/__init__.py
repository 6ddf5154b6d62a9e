"""Architectures: how a layer is made of the branch b + W sigma(z) and of the layer below."""
