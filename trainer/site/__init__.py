"""'trainer adapt': fits a head at a site, and measures what it is worth. Needs scikit-learn, never TensorFlow."""
