"""Commands to the device: dispatcher and handlers."""
