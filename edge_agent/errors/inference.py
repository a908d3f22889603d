"""Runtime, bundle and analysis."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class RuntimeMissing(EdgeAgentError):
    """No TFLite runtime can be imported."""

    code = "runtime_missing"
    remedy = "Install ai-edge-litert (or tflite-runtime on Python 3.11)."


class InferenceError(EdgeAgentError):
    """The runtime failed on a frame. Its reading is ``failed``; the agent keeps running."""

    code = "inference_failed"
    remedy = "Run 'edge-agent doctor'; if the bundle verifies, report this."


class BundleError(EdgeAgentError):
    """A bundle is damaged or incomplete. The agent never uses a model that it cannot verify."""

    code = "bundle_invalid"
    remedy = "Install the bundle again from where it was published."


class BundleMissing(BundleError):
    """There is no shipped bundle of that name, and no folder at that path that has a manifest."""

    code = "bundle_missing"
    remedy = "Name a shipped bundle or the path of a folder that has manifest.json."


class BundleFileMissing(BundleError):
    """A file that the manifest names is not in the folder."""

    code = "bundle_file_missing"


class BundleHashMismatch(BundleError):
    """A file is not the one that the manifest was made for: its SHA-256 differs."""

    code = "bundle_hash_mismatch"


class BundleUnsupported(BundleError):
    """The bundle needs a newer agent, or a preprocessing that this agent does not have."""

    code = "bundle_unsupported"
    remedy = "Update the agent, or use a bundle made for this version."


class BundleMismatch(BundleError):
    """The model's tensors, or the labels, are not what the manifest says."""

    code = "bundle_mismatch"


class BundleWrongKind(BundleError):
    """A bundle that judges cells was named where one that judges whole fields is needed, or the other way round."""

    code = "bundle_wrong_kind"
    remedy = "Name a bundle of the other kind; 'edge-agent bundle list' shows which bundles judge cells."


class GoldenMismatch(BundleError):
    """The model runs here, but its outputs differ from those recorded when the bundle was made."""

    code = "bundle_golden_mismatch"
    remedy = "Do not use this bundle on this machine; report the runtime's version and the machine."


class HeadError(BundleError):
    """A head is damaged or incomplete. The agent never uses one that it cannot verify."""

    code = "head_invalid"
    remedy = "Install the head again, or fit it again with 'trainer adapt'."


class HeadMissing(HeadError):
    """There is no head of that name, and no folder at that path that has a head.json."""

    code = "head_missing"
    remedy = "Name a folder that 'trainer adapt --out' wrote, or a head that 'edge-agent bundle list' shows."


class HeadMismatch(HeadError):
    """The head was fitted on another bundle, or its numbers are not of the shapes that it needs."""

    code = "head_mismatch"
    remedy = "Use the head with the bundle that its head.json names, or fit it again on this one."


class SignatureInvalid(BundleError):
    """A signature is not that of the trusted key that it names, or cannot be read: somebody changed a file."""

    code = "signature_invalid"
    remedy = "Do not use it. Get it again from where it was published, and ask its publisher if this happens again."


class SignatureUnknownKey(BundleError):
    """A bundle or head is signed with a key that the configuration does not trust."""

    code = "signature_unknown_key"
    remedy = "If you trust who signed it, add the public key to models.trusted_keys in agent.toml."


class UnsignedRefused(BundleError):
    """A bundle or head has no signature, and the configuration does not allow that."""

    code = "unsigned_refused"
    remedy = "Sign it with 'trainer sign', or allow it with models.unsigned in agent.toml."


class SigningMissing(EdgeAgentError):
    """The package that makes and verifies signatures is not installed."""

    code = "signing_missing"
    remedy = "Install it: pip install 'leukoscope[web]', or the package 'cryptography' alone."


class AnalysisError(EdgeAgentError):
    """An internal error on one frame. Its reading is ``failed``; the traceback is in the log."""

    code = "analysis_failed"
    remedy = "Report this with the frame and the traceback in the log."


class ShadowFailed(EdgeAgentError):
    """A candidate beside the model in use failed several times in a row, and was ended. Readings are as before."""

    code = "shadow_failed"
    remedy = "Do not use this model on this device; check it with 'edge-agent classify' on a few images."


class ModelDrift(EdgeAgentError):
    """Most of the last fields look unlike those that the model was proven on, though it may still answer.

    The check ``model`` of ``health`` has it, with what has changed, until the fields look as they did.
    """

    code = "model_drift"
    remedy = (
        "Check stain, lamp, focus and magnification, and run 'calibrate'. If the change is meant to stay, have the "
        "model proven on such slides."
    )
