"""The images: their description, how they are read, split and drawn."""
