"""Models that are installed and activated on the device."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class ModelArchiveInvalid(EdgeAgentError):
    """A file is not an archive of one bundle or head, or is one that was made to do harm. Nothing was installed."""

    code = "model_archive_invalid"
    remedy = "Get the file again from where it was published, or install the bundle's or head's folder."


class ModelConflict(EdgeAgentError):
    """Another bundle or head of the same name and version is installed. It stays."""

    code = "model_conflict"
    remedy = "Publish changed models under a new version, or remove the installed one first."


class ModelInUse(EdgeAgentError):
    """A bundle or head cannot be removed, because it is used or is what a roll-back would return to."""

    code = "model_in_use"
    remedy = "Activate another model first."


class ModelNoPrevious(EdgeAgentError):
    """There is no model to go back to."""

    code = "model_no_previous"
    remedy = "Name the model to use with 'edge-agent bundle activate'."


class ModelStoreError(EdgeAgentError):
    """The folder of installed models cannot be read or written."""

    code = "model_store_failed"
    remedy = "Check the permissions of the folder 'models' in the state folder; run the command as root, with sudo."


class ModelStoreFull(ModelStoreError):
    """The installed models would take more space than they may."""

    code = "model_store_full"
    remedy = "Remove models that are not used with 'edge-agent bundle remove', or raise models.max_store_mib."
