"""K and Theta of all inputs at infinite width."""
