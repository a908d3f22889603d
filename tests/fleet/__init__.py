"""Brokers of a fleet on this machine: one mosquitto, and a cluster of RabbitMQ in its own network namespaces."""
