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
    ├── SpoolError             spool_failed
    │   ├── SpoolFull          spool_full
    │   ├── SpoolBusy          spool_busy
    │   ├── SpoolCorrupt       spool_corrupt
    │   └── MessageTooLarge    message_too_large
    ├── DiskFull               disk_full
    ├── DiskLow                disk_low
    ├── AuditUnwritable        audit_unwritable
    ├── AuditBroken            audit_broken
    ├── MachineHot             machine_hot
    ├── MachineThrottled       machine_throttled
    ├── PrometheusMissing      prometheus_missing
    ├── PrometheusPortTaken    prometheus_port_taken
    ├── WebMissing             web_missing
    ├── WebPortTaken           web_port_taken
    ├── ClockUnset             clock_unset
    ├── CommandError           command_failed
    │   ├── CommandInvalid     command_invalid
    │   ├── CommandUnknown     command_unknown
    │   ├── CommandRetained    command_retained
    │   ├── CommandExpired     command_expired
    │   ├── CommandBusy        command_busy
    │   ├── CommandInterrupted command_interrupted
    │   ├── CommandNotYet      command_not_yet
    │   ├── AgentPaused        agent_paused
    │   ├── AgentSafeMode      agent_safe_mode
    │   ├── SpecimenOpen       specimen_open
    │   └── SpecimenMissing    specimen_missing
    └── BrokerError            broker_failed
        ├── BrokerUnreachable  broker_unreachable
        ├── BrokerRefused      broker_refused
        ├── BrokerSilent       broker_silent
        ├── BrokerUntrusted    broker_untrusted
        ├── CertificateTime    certificate_time
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


class SpoolError(EdgeAgentError):
    """The spool cannot do what was asked. New messages wait in memory, as far as there is room; it keeps trying."""

    code = "spool_failed"
    remedy = "Check that the folder of the state exists, can be written, and is on a disk that works."


class SpoolFull(SpoolError):
    """Messages wait for the broker and no more can be kept. New ones are refused and counted."""

    code = "spool_full"
    remedy = "Bring the broker back; raise spool.max_mib if outages are long."


class SpoolBusy(SpoolError):
    """Another process has the spool. Met at start, and by 'edge-agent spool purge' while the agent runs."""

    code = "spool_busy"
    remedy = "End the other agent first; each agent needs a state.folder of its own."


class SpoolCorrupt(SpoolError):
    """The spool's file is damaged. It was set aside under another name and a new one was begun."""

    code = "spool_corrupt"
    remedy = "Try 'edge-agent spool export --file' on the file that was set aside; replace the card if it comes again."


class MessageTooLarge(SpoolError):
    """A message is larger than any broker is asked to take. It is refused and counted."""

    code = "message_too_large"
    remedy = "Report this with the log: no message of the contract comes near the bound."


class DiskFull(EdgeAgentError):
    """Nothing more can be written to the disk. What was accepted stays; the agent goes on as soon as there is room."""

    code = "disk_full"
    remedy = "Delete what is not needed, or use a larger card."


class DiskLow(EdgeAgentError):
    """Little room is left on the disk."""

    code = "disk_low"
    remedy = "Delete what is not needed, or use a larger card."


class AuditUnwritable(EdgeAgentError):
    """The audit log cannot be written. Events go out without a place in it; the agent goes on."""

    code = "audit_unwritable"
    remedy = "Check that audit.jsonl in the folder of the state can be written and that the disk has room."


class AuditBroken(EdgeAgentError):
    """The audit log's chain of hashes does not hold: an entry was changed, removed or added by another hand."""

    code = "audit_broken"
    remedy = "Keep the file, compare it with the events at the broker, and find out who had access to the device."


class MachineHot(EdgeAgentError):
    """The processor is so hot that it will be slowed down."""

    code = "machine_hot"
    remedy = "Give the device air or a heat sink; look at the temperature in its metrics."


class MachineThrottled(EdgeAgentError):
    """The Raspberry Pi says that its power supply is too weak or that it has slowed itself down."""

    code = "machine_throttled"
    remedy = "Use the official power supply and a short cable; see that the device is not too warm."


class PrometheusMissing(EdgeAgentError):
    """The Prometheus endpoint is wanted but its package is not installed."""

    code = "prometheus_missing"
    remedy = "Install the extra: pip install 'leukoscope[prometheus]', or set prometheus.enabled = false."


class PrometheusPortTaken(EdgeAgentError):
    """The Prometheus endpoint's address cannot be listened on."""

    code = "prometheus_port_taken"
    remedy = "Choose another prometheus.port, or end the program that has it."


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


class CommandError(EdgeAgentError):
    """A command was understood and could not be carried out. The answer says why; the agent goes on."""

    code = "command_failed"
    remedy = "Look at the device's health; send the command again with a new id."


class CommandInvalid(CommandError):
    """The request is not what the contract says, or came without a place to answer to that may be used."""

    code = "command_invalid"
    remedy = "Send what deploy/contract/command.schema.json says."


class CommandUnknown(CommandError):
    """There is no command of that name."""

    code = "command_unknown"
    remedy = "Use a name of deploy/contract/asyncapi.json."


class CommandRetained(CommandError):
    """A command was retained at the broker, where it would act again after each connect. It is ignored."""

    code = "command_retained"
    remedy = "Publish commands without 'retain'; clear this one with an empty retained message on its topic."


class CommandExpired(CommandError):
    """The command's time had run out before its turn came."""

    code = "command_expired"
    remedy = "Send it again with a new id, and a longer message expiry if the network is slow."


class CommandBusy(CommandError):
    """Another command is being carried out."""

    code = "command_busy"
    remedy = "Wait for its answer, then send this one again with a new id."


class CommandInterrupted(CommandError):
    """The agent ended while it carried the command out, so that nobody knows how far it came."""

    code = "command_interrupted"
    remedy = "Look at the device's status and events; send it again with a new id if it is still wanted."


class CommandNotYet(CommandError):
    """A command that a later version will have."""

    code = "command_not_yet"
    remedy = "Update the agent once the change log names it."


class AgentPaused(CommandError):
    """The agent is paused and reads nothing."""

    code = "agent_paused"
    remedy = "Send 'resume' first."


class AgentSafeMode(CommandError):
    """The configuration does not let the agent run, so it only says so. ``health`` has the reason."""

    code = "agent_safe_mode"
    remedy = "Mend what the check 'configuration' in health names, then reload the agent (systemctl reload leukoscope)."


class SpecimenOpen(CommandError):
    """Another slide is being read."""

    code = "specimen_open"
    remedy = "Send 'finish-specimen' first."


class SpecimenMissing(CommandError):
    """No slide is being read."""

    code = "specimen_missing"
    remedy = "Send 'set-specimen' first."


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


class BrokerSilent(BrokerError):
    """The broker is connected and acknowledges nothing. What it was sent is sent again over a new connection."""

    code = "broker_silent"
    remedy = "Look at the broker's log and load; results wait meanwhile."


class BrokerUntrusted(BrokerError):
    """The broker's certificate does not prove that it is the broker. Nothing is sent to it."""

    code = "broker_untrusted"
    remedy = "Check mqtt.tls.ca_file, and that mqtt.host is the name in the certificate; results wait meanwhile."


class CertificateTime(BrokerError):
    """A certificate is not valid at the time that this device's clock shows. Nothing is sent."""

    code = "certificate_time"
    remedy = "Compare the device's clock ('date') with the right time; renew the certificate if the clock is right."


class BrokerMissing(BrokerError):
    """The demonstration found neither mosquitto nor amqtt."""

    code = "broker_missing"
    remedy = "Install mosquitto, or the extra: pip install 'leukoscope[demo]'."
