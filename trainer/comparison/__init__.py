"""Networks, preprocessings and baselines, measured on one split."""
