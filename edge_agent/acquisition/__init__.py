"""From the camera to readings: the pipeline of threads, and when a frame is read."""
