"""What figures share: one style, tensor components, laws in depth, trends in 1/n, pictures of inputs."""
