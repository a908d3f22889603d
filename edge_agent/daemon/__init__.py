"""The process: service, safe mode, signals, systemd."""
