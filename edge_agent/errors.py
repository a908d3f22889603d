"""One tree of errors. Each has a stable ``code`` that logs, readings, ``doctor`` and MQTT show alike.

::

    EdgeAgentError
    ├── ConfigError            config_invalid
    ├── ImageError             image_unreadable
    │   ├── ImageTooLarge      image_too_large
    │   └── ImageUnsupported   image_unsupported
    ├── CameraError            camera_failed
    │   ├── CameraAbsent       camera_absent
    │   ├── CameraTimeout      camera_timeout
    │   ├── CameraStalled      camera_stalled
    │   ├── CameraLost         camera_lost
    │   └── EndOfFrames        end_of_frames
    ├── RuntimeMissing         runtime_missing
    ├── InferenceError         inference_failed
    ├── BundleError            bundle_invalid
    │   ├── BundleMissing      bundle_missing
    │   ├── BundleFileMissing  bundle_file_missing
    │   ├── BundleHashMismatch bundle_hash_mismatch
    │   ├── BundleUnsupported  bundle_unsupported
    │   ├── BundleMismatch     bundle_mismatch
    │   └── GoldenMismatch     bundle_golden_mismatch
    ├── AnalysisError          analysis_failed
    ├── SpoolFull              spool_full
    ├── DiskLow                disk_low
    ├── WebMissing             web_missing
    ├── WebPortTaken           web_port_taken
    ├── ClockUnset             clock_unset
    └── BrokerError            broker_failed
        ├── BrokerUnreachable  broker_unreachable
        ├── BrokerRefused      broker_refused
        └── BrokerMissing      broker_missing

``code`` never changes once released: dashboards and people search for it.
"""

from __future__ import annotations

from typing import ClassVar


class EdgeAgentError(Exception):
    """Something that a user or operator can meet and mend.

    ``message`` says what happened to which thing; ``remedy`` says what to do about it.
    """

    code: ClassVar[str] = "agent_failed"
    remedy: ClassVar[str] = "Read the log around this line and report it if it comes again."

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.advice = remedy if remedy is not None else self.remedy

    def __str__(self) -> str:
        return f"{self.code}: {self.message} {self.advice}".rstrip()


class ConfigError(EdgeAgentError):
    """The configuration is not what ``agent.toml`` may say. Met at start, on reload, by ``check-config``."""

    code = "config_invalid"
    remedy = "Correct the named lines; 'edge-agent schema' writes the JSON Schema of the file."


class ImageError(EdgeAgentError):
    """The bytes of one picture cannot be read as a picture. Its reading is ``failed``; the agent goes on."""

    code = "image_unreadable"
    remedy = "Check that the file is complete and really is an image."


class ImageTooLarge(ImageError):
    """The picture declares more pixels than the limit; it was refused before decoding."""

    code = "image_too_large"
    remedy = "Send a smaller picture, or raise analysis.max_image_megapixels if you trust its origin."


class ImageUnsupported(ImageError):
    """The picture is readable but is not 8-bit RGB or greyscale, so its colours would have to be guessed."""

    code = "image_unsupported"
    remedy = "Convert it to 8-bit RGB without transparency."


class CameraError(EdgeAgentError):
    """The camera did not do what was asked. The agent closes it and opens it anew, ever more slowly."""

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


class RuntimeMissing(EdgeAgentError):
    """No TFLite runtime can be imported."""

    code = "runtime_missing"
    remedy = "Install ai-edge-litert (or tflite-runtime on Python 3.11)."


class InferenceError(EdgeAgentError):
    """The runtime failed on a frame. Its reading is ``failed``; the agent goes on."""

    code = "inference_failed"
    remedy = "Run 'edge-agent doctor'; if the bundle verifies, report this."


class BundleError(EdgeAgentError):
    """A bundle cannot be used. The agent does not judge with a model that it cannot verify."""

    code = "bundle_invalid"
    remedy = "Install the bundle again from where it was published."


class BundleMissing(BundleError):
    """No shipped bundle has that name and no folder of that path holds a manifest."""

    code = "bundle_missing"
    remedy = "Name a shipped bundle or the path of a folder that has manifest.json."


class BundleFileMissing(BundleError):
    """The manifest names a file that is not in the folder."""

    code = "bundle_file_missing"


class BundleHashMismatch(BundleError):
    """A file is not the one that the manifest was made for."""

    code = "bundle_hash_mismatch"


class BundleUnsupported(BundleError):
    """The bundle needs a preprocessing or an agent that this is not."""

    code = "bundle_unsupported"
    remedy = "Update the agent, or use a bundle made for this version."


class BundleMismatch(BundleError):
    """The model's tensors, or the labels, are not what the manifest says."""

    code = "bundle_mismatch"


class GoldenMismatch(BundleError):
    """The model runs here but does not give the outputs recorded when the bundle was made."""

    code = "bundle_golden_mismatch"
    remedy = "Do not use this bundle on this machine; report the runtime's version and the machine."


class AnalysisError(EdgeAgentError):
    """A defect of ours showed on a frame. Its reading is ``failed``, the log has the traceback; the agent goes on."""

    code = "analysis_failed"
    remedy = "Report this with the frame and the traceback in the log."


class SpoolFull(EdgeAgentError):
    """Results wait for the broker and no more can be kept. New ones are refused and counted."""

    code = "spool_full"
    remedy = "Bring the broker back; raise spool.max_messages_count if outages are long."


class DiskLow(EdgeAgentError):
    """Little room is left on the disk."""

    code = "disk_low"
    remedy = "Delete what is not needed, or use a larger card."


class WebMissing(EdgeAgentError):
    """The live view is wanted but its packages are not installed."""

    code = "web_missing"
    remedy = "Install the extra: pip install 'leukoscope[web]', or set web.enabled = false."


class WebPortTaken(EdgeAgentError):
    """The live view's address cannot be listened on."""

    code = "web_port_taken"
    remedy = "Choose another web.port, or end the program that has it."


class ClockUnset(EdgeAgentError):
    """The clock cannot be right, so the times of results would be wrong and TLS would fail."""

    code = "clock_unset"
    remedy = "Connect the device to a network with a time server (timedatectl shows the state), or add a clock chip."


class BrokerError(EdgeAgentError):
    """Something about the MQTT broker."""

    code = "broker_failed"
    remedy = "Check [mqtt] in the configuration and the broker's log."


class BrokerUnreachable(BrokerError):
    """Nobody answers at the broker's address. Results wait; the agent keeps trying."""

    code = "broker_unreachable"
    remedy = "Check that the broker runs and that mqtt.host and mqtt.port are right; results wait meanwhile."


class BrokerRefused(BrokerError):
    """The broker answers and says no. Results wait; the agent keeps trying."""

    code = "broker_refused"
    remedy = "Check user, password and access rights at the broker; results wait meanwhile."


class BrokerMissing(BrokerError):
    """The demonstration found neither mosquitto nor amqtt."""

    code = "broker_missing"
    remedy = "Install mosquitto, or the extra: pip install 'leukoscope[demo]'."
