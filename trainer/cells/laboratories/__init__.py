"""Which laboratories' cells there are, what their class names mean, and how cells are divided."""
