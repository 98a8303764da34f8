"""Training: recipes, plans, steps, epochs."""
