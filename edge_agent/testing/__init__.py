"""Stand-ins for cameras, for the tests of whoever builds on the agent. They need no hardware.

* ``cameras``: ``ScriptedCamera`` gives the frames, errors and hangs that it is told; ``CameraShelf`` hands several out.
* ``network_camera``: ``NetworkCamera`` serves Motion JPEG on this machine: whole, torn, cut off, or at a standstill.
* ``video_capture``: ``FakeVideoCapture`` takes the place of ``cv2.VideoCapture``, for a USB camera or a stream.
* ``picamera2``: ``FakePicamera2`` takes the place of the module, for a Raspberry Pi's camera.
* ``colour_card``: a picture of known colours, and what a frame shows of it.
"""
