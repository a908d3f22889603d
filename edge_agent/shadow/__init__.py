"""A candidate for the model in use: it judges the same fields beside it, and nothing that it says is published."""
