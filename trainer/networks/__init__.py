"""MobileNetV2 with its head, its weights, and the outputs of its frozen layers."""
