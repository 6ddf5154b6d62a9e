"""Where signals neither explode nor vanish: critical points, susceptibilities, flows of two inputs, phase diagrams."""
