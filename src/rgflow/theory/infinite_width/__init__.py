"""K and Theta of thousands of inputs at infinite width."""
