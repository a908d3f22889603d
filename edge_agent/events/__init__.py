"""Records events of the device: event recorder and audit log."""
