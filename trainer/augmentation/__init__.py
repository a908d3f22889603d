"""What varies training images, and what shifts them for a test."""
