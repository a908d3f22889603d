"""Makes the bundles: synthetic data, training, quantization, evaluation. Never imported by ``edge_agent``."""
