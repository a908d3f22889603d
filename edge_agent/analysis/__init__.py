"""From a frame to a reading, and from a reading to the message that leaves the device."""
