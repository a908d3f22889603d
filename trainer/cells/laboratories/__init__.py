"""The laboratories whose cells are available, the meanings of their class names, and how cells are divided."""
