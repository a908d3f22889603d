"""What happened to the device: event recorder and audit log."""
