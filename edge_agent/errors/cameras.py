"""Cameras, folders, videos and streams."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class CameraError(EdgeAgentError):
    """The camera did not do what was asked. The agent opens it again, after a wait that grows each time."""

    code = "camera_failed"
    remedy = "Check cable and power; 'edge-agent doctor' tests the camera alone."


class CameraAbsent(CameraError):
    """There is no such camera, folder, file or address now."""

    code = "camera_absent"
    remedy = "Plug the camera in, or correct [camera] in the configuration; 'edge-agent doctor' lists what is there."


class CameraTimeout(CameraError):
    """No frame came before the deadline."""

    code = "camera_timeout"
    remedy = "Check the cable; raise capture.deadline_s if the exposure is longer than that."


class CameraStalled(CameraError):
    """The camera returns the same frame again and again, as some do after an unplug."""

    code = "camera_stalled"
    remedy = "Unplug the camera and plug it in again; try another port or cable."


class CameraLost(CameraError):
    """The camera or stream was there and went away."""

    code = "camera_lost"
    remedy = "Check cable, power and network; the agent reopens it by itself."


class EndOfFrames(CameraError):
    """A folder or video has no further frame. Not a fault."""

    code = "end_of_frames"
    remedy = ""
