"""How a device appears in Home Assistant, which discovers it over MQTT."""
