"""Leukoscope's edge agent: from a camera on a microscope to readings over MQTT. Research use only."""

import os

# OpenCV and its FFmpeg read these once, when they are loaded or first used, so they are set before anything of
# ours can import cv2. What the libraries say goes to stderr, with a stream's password in it; errors are ours to tell.
# So these are set whatever the environment says.
os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"  # AV_LOG_QUIET
for _talkative in ("OPENCV_FFMPEG_DEBUG", "OPENCV_FFMPEG_SKIP_LOG_CALLBACK"):
    os.environ.pop(_talkative, None)
# The first is OpenCV's own default, which the second would replace: packets marked as damaged are not decoded.
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_flags;prefer_tcp|fflags;+discardcorrupt")
# Ten seconds by default: longer than the capture's deadline, so that each unplug would cost a thread.
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "4")

__version__ = "0.1.0"
