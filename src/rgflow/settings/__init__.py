"""Settings: their base, how they are read from YAML, and one clear line for whatever is wrong in them."""
