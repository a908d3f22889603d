"""Leukoscope's edge agent: from a camera on a microscope to readings over MQTT. Research use only."""

__version__ = "0.1.0"
