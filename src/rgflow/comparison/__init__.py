"""Theory against experiment: z-scores and extrapolation in 1/n."""
