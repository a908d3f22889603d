"""'trainer adapt': fits a head at a site, and measures how good it is. Needs scikit-learn, never TensorFlow."""
