"""The contents of ``/etc/leukoscope/agent.toml`` in the boxes."""

CONFIGURATION = """\
[device]
site = "system-test"
id = "scope-1"

[camera]
kind = "v4l2"
device = "auto"

[trigger]
mode = "continuous"
interval_s = 0.5

[analysis]
bundle = "demo"

# The simulated camera shows another smear in each frame: a stage that never rests.
[quality]
max_motion_pct = 100
min_focus_score = 0

[mqtt]
reconnect_max_s = 2

[state]
folder = "/var/lib/leukoscope"
"""

PATIENT_CONFIGURATION = f"""\
{CONFIGURATION}
[capture]
reopen_initial_s = 600
reopen_max_s = 600
"""
"""With this, the agent looks for a lost camera again as late as it may."""

_USB_CAMERA = 'kind = "v4l2"\ndevice = "auto"\n'
_PI_CAMERA = 'kind = "picamera"\nwait_timeout_s = 20\n\n[capture]\ndeadline_s = 30\n'
"""More patient than a Pi needs: picamera2's import alone takes the emulated processor seconds."""

PICAMERA_CONFIGURATION = CONFIGURATION.replace(_USB_CAMERA, _PI_CAMERA)
