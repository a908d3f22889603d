"""Makes readings from a camera's frames: the pipeline of threads, and the decision when a frame is read."""
