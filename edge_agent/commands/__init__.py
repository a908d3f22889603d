"""What may be asked of the device: dispatcher and handlers."""
