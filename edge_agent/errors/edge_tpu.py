"""Edge TPU: what keeps it from judging. The processor goes on meanwhile, so no reading is lost."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class EdgeTpuError(EdgeAgentError):
    """The Edge TPU or its library refuses to run the model. The processor judges until it works again."""

    code = "edge_tpu_failed"
    remedy = (
        "Check that the agent's user is in the group plugdev, and that no other program uses the Edge TPU. Plug it in "
        "again."
    )


class EdgeTpuMissing(EdgeTpuError):
    """No Edge TPU is plugged in, or the one that was used is gone. It is used again as soon as it is back."""

    code = "edge_tpu_missing"
    remedy = (
        "Plug it in, if possible to a USB 3 port or a hub with its own power supply. 'lsusb' shows it as 1a6e:089a or "
        "18d1:9302."
    )


class EdgeTpuLibraryMissing(EdgeTpuError):
    """The library that drives the Edge TPU cannot be loaded."""

    code = "edge_tpu_library_missing"
    remedy = "Install libedgetpu1-std, or name the library's file in analysis.edgetpu_library."


class EdgeTpuStalled(EdgeTpuError):
    """The Edge TPU did not answer in time. Its process was killed, and a new one is started after a pause."""

    code = "edge_tpu_stalled"
    remedy = (
        "Nothing, if it stays rare. Else use a USB 3 port, a shorter cable or a hub with its own power supply, and "
        "keep it cool; or raise analysis.edgetpu_deadline_ms."
    )


class EdgeTpuCrashed(EdgeTpuError):
    """The process with the Edge TPU's library ended. A new one is started after a pause."""

    code = "edge_tpu_crashed"
    remedy = "Nothing, if it stays rare. Else check cable and power supply, and update libedgetpu."


class EdgeTpuWrong(EdgeTpuError):
    """The Edge TPU's answers are not those that the bundle records for its golden fields."""

    code = "edge_tpu_wrong"
    remedy = 'Plug it in again. If this stays, compile the bundle\'s model again, or set analysis.edgetpu to "off".'


class EdgeTpuModelUnusable(EdgeTpuError):
    """The bundle's file for the Edge TPU is not the bundle's model, or was not compiled for one."""

    code = "edge_tpu_model_unusable"
    remedy = "Make the bundle again with 'make coral-bundle'."


class EdgeTpuModelMissing(EdgeTpuError):
    """An Edge TPU is required, but the bundle has no model for one."""

    code = "edge_tpu_model_missing"
    remedy = "Make a bundle with one ('make coral-bundle'), or set analysis.edgetpu to \"auto\"."
