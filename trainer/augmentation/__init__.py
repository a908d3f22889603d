"""Changes of images: random variants for training, and shifts for tests."""
