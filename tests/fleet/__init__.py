"""Brokers of a fleet, on this machine: one mosquitto, and a cluster of RabbitMQ in network namespaces of its own."""
