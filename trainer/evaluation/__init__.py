"""What a bundle does on images that it was not trained on, and what the images give away."""
