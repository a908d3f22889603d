"""Presents a device in Home Assistant, which discovers it over MQTT."""
