"""Cameras: microscopes, files, streams and drawings, which all give the same type of frame."""

from edge_agent.cameras.camera import Camera
from edge_agent.cameras.factory import camera_maker, make_camera
from edge_agent.cameras.frame import ColourOrder, Encoded, Frame, Pixels
from edge_agent.cameras.settings import CameraSettings, CapturePolicy
from edge_agent.cameras.smear import SMEAR_LABELS, SmearTruth, draw_smear
from edge_agent.cameras.smear_cells import Nucleus
from edge_agent.cameras.supervisor import CameraPhase, CameraState, CameraSupervisor, CaptureCounters

__all__ = [
    "SMEAR_LABELS",
    "Camera",
    "CameraPhase",
    "CameraSettings",
    "CameraState",
    "CameraSupervisor",
    "CaptureCounters",
    "CapturePolicy",
    "ColourOrder",
    "Encoded",
    "Frame",
    "Nucleus",
    "Pixels",
    "SmearTruth",
    "camera_maker",
    "draw_smear",
    "make_camera",
]
