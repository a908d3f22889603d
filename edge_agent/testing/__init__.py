"""Test doubles, for your own tests too. They need no hardware.

* ``cameras``: ``ScriptedCamera`` plays the frames, errors and hangs of a script; ``CameraShelf`` returns several in
  turn.
* ``network_camera``: ``NetworkCamera`` serves Motion JPEG on this machine: complete, damaged, cut off, or stalled.
* ``video_capture``: ``FakeVideoCapture`` replaces ``cv2.VideoCapture``, for a USB camera or a stream.
* ``picamera2``: ``FakePicamera2`` replaces the module, for a Raspberry Pi camera.
* ``colour_card``: a picture of known colours, and the colours that a frame shows.
* ``simulated_device``: ``SimulatedDevice`` is a whole device to the broker, with readings from
  ``simulated_readings``; needs neither OpenCV nor NumPy.
"""
