"""A model that was asked for over MQTT: the message, the download, and the tests on this machine."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class RolloutError(EdgeAgentError):
    """A model that was asked for is not used. The model in use goes on answering."""

    code = "rollout_failed"
    remedy = (
        "Read the device's log around this time; correct the cause, and publish model/desired with a new issued_at."
    )


class DesiredInvalid(RolloutError):
    """A message on model/desired does not match its published schema. It changes nothing."""

    code = "desired_invalid"
    remedy = "Publish a message that matches deploy/contract/model-desired.schema.json."


class DesiredStale(RolloutError):
    """A message on model/desired is not newer than one that was accepted before: it may have been replayed."""

    code = "desired_stale"
    remedy = "Publish it again with the present time as issued_at, and check the clock of the machine that does."


class ModelDowngrade(RolloutError):
    """A model was asked for that is older than one of the same name that this device has used."""

    code = "model_downgrade"
    remedy = "Publish it under a higher version, or go back on the device with 'edge-agent bundle rollback'."


class RolloutInterrupted(RolloutError):
    """The agent ended three times while it tested a model: the model crashes it, or the power failed each time."""

    code = "rollout_interrupted"
    remedy = "Test the model on another device; publish model/desired with a new issued_at to try it here once more."


class ModelRolledBack(RolloutError):
    """A model that was asked for failed or crashed the agent while it was on trial. The one before is in use again."""

    code = "model_rolled_back"
    remedy = "Find the cause in the device's log and events; publish a corrected model under a higher version."


class ModelMismatch(RolloutError):
    """The archive holds another model, or another version, than model/desired names."""

    code = "model_mismatch"
    remedy = "Publish model/desired with the kind, name and version in the archive's manifest.json or head.json."


class DownloadFailed(RolloutError):
    """The archive could not be downloaded: the server does not answer, or not with the archive."""

    code = "download_failed"
    remedy = "Check the address, the file server and the network. The device tries again, and resumes."


class DownloadStalled(DownloadFailed):
    """The server sends nothing, or too slowly to finish. What has arrived is kept."""

    code = "download_stalled"
    remedy = "Check the file server and the network. The device tries again, and resumes."


class DownloadUntrusted(DownloadFailed):
    """The file server's certificate is not trusted or not valid, so nothing was downloaded."""

    code = "download_untrusted"
    remedy = "Set rollout.ca_file to the CA of the server's certificate, and check the clocks of server and device."


class DownloadUnsafe(RolloutError):
    """The archive's address leads to something that is not fetched: a redirection to http, or what is not a file."""

    code = "download_unsafe"
    remedy = "Publish the https:// address, or the path of the file, that has the archive itself."


class DownloadTooLarge(RolloutError):
    """The archive is larger than the limit. No more of it than that was read."""

    code = "download_too_large"
    remedy = "Check that the address is that of a model, or raise models.max_archive_mib."


class DownloadMismatch(RolloutError):
    """The archive is not the one whose SHA-256 was published. It was deleted without being opened."""

    code = "download_mismatch"
    remedy = "Compare 'sha256sum' of the archive with model/desired; publish it again with the right one."


class SelfTestSlow(RolloutError):
    """The model is so much slower on this machine than the one in use that readings would fall behind."""

    code = "self_test_slow"
    remedy = "Use a smaller model on this machine, or raise rollout.max_slowdown_ratio."


class ShadowDisagrees(RolloutError):
    """Judging beside the model in use, the new one agreed with it on too few readings."""

    code = "shadow_disagrees"
    remedy = "Look at where the two differ with 'edge-agent bundle compare' before you roll it out."
