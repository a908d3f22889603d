"""Cameras, folders, videos and streams."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class CameraError(EdgeAgentError):
    """The camera failed. The agent opens it again, after a wait that grows each time."""

    code = "camera_failed"
    remedy = "Check cable and power; 'edge-agent doctor' tests the camera alone."


class CameraAbsent(CameraError):
    """The camera, folder, file or address does not exist, or is not there at the moment."""

    code = "camera_absent"
    remedy = "Plug the camera in, or correct [camera] in the configuration; 'edge-agent doctor' lists what is there."


class CameraTimeout(CameraError):
    """No frame came before the deadline."""

    code = "camera_timeout"
    remedy = "Check the cable; raise capture.deadline_s if the exposure is longer than that."


class CameraStalled(CameraError):
    """The camera returns the same frame again and again, as some do after they were unplugged."""

    code = "camera_stalled"
    remedy = "Unplug the camera and plug it in again; try another port or cable."


class CameraLost(CameraError):
    """The camera or stream worked and then stopped."""

    code = "camera_lost"
    remedy = "Check cable, power and network; the agent reopens it by itself."


class EndOfFrames(CameraError):
    """A folder or video has no more frames. This is not a fault."""

    code = "end_of_frames"
    remedy = ""
