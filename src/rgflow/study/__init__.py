"""The workflow: configuration, code digests, stages and the one runner of all of them."""
