"""What the arrays of the library are called: one record for each, by room; chapters store them, results carry them."""
