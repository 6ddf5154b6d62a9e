"""The effective theory: pure functions from networks and inputs to labelled tensors."""
