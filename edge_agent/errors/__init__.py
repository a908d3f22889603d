"""One tree of errors. Each has a stable ``code``, the same in logs, readings, ``doctor`` and MQTT messages.

::

    EdgeAgentError
    ├── ConfigError            config_invalid
    ├── ConfigDoubtful         config_doubtful
    ├── FileUnusable           file_unusable
    ├── InputEnded             input_ended
    ├── OutputUnwritable       output_unwritable
    ├── ReportMissing          report_missing
    ├── ImageError             image_unreadable
    │   ├── ImageMissing       image_missing
    │   ├── ImageTooLarge      image_too_large
    │   └── ImageUnsupported   image_unsupported
    ├── ScaleUnreadable        scale_unreadable
    ├── BackgroundMissing      background_missing
    ├── CameraError            camera_failed
    │   ├── CameraAbsent       camera_absent
    │   ├── CameraTimeout      camera_timeout
    │   ├── CameraStalled      camera_stalled
    │   ├── CameraLost         camera_lost
    │   └── EndOfFrames        end_of_frames
    ├── RuntimeMissing         runtime_missing
    ├── InferenceError         inference_failed
    ├── EdgeTpuError           edge_tpu_failed
    │   ├── EdgeTpuMissing     edge_tpu_missing
    │   ├── EdgeTpuLibraryMissing edge_tpu_library_missing
    │   ├── EdgeTpuStalled     edge_tpu_stalled
    │   ├── EdgeTpuCrashed     edge_tpu_crashed
    │   ├── EdgeTpuWrong       edge_tpu_wrong
    │   ├── EdgeTpuModelUnusable edge_tpu_model_unusable
    │   └── EdgeTpuModelMissing edge_tpu_model_missing
    ├── BundleError            bundle_invalid
    │   ├── BundleMissing      bundle_missing
    │   ├── BundleFileMissing  bundle_file_missing
    │   ├── BundleHashMismatch bundle_hash_mismatch
    │   ├── BundleUnsupported  bundle_unsupported
    │   ├── BundleMismatch     bundle_mismatch
    │   ├── BundleWrongKind    bundle_wrong_kind
    │   ├── GoldenMismatch     bundle_golden_mismatch
    │   ├── SignatureInvalid   signature_invalid
    │   ├── SignatureUnknownKey signature_unknown_key
    │   ├── UnsignedRefused    unsigned_refused
    │   └── HeadError          head_invalid
    │       ├── HeadMissing    head_missing
    │       └── HeadMismatch   head_mismatch
    ├── RolloutError           rollout_failed
    │   ├── DesiredInvalid     desired_invalid
    │   ├── DesiredStale       desired_stale
    │   ├── ModelDowngrade     model_downgrade
    │   ├── ModelRolledBack    model_rolled_back
    │   ├── ModelMismatch      model_mismatch
    │   ├── RolloutInterrupted rollout_interrupted
    │   ├── DownloadFailed     download_failed
    │   │   ├── DownloadStalled download_stalled
    │   │   └── DownloadUntrusted download_untrusted
    │   ├── DownloadUnsafe     download_unsafe
    │   ├── DownloadTooLarge   download_too_large
    │   ├── DownloadMismatch   download_mismatch
    │   ├── SelfTestSlow       self_test_slow
    │   └── ShadowDisagrees    shadow_disagrees
    ├── SigningMissing         signing_missing
    ├── ModelArchiveInvalid    model_archive_invalid
    ├── ModelConflict          model_conflict
    ├── ModelInUse             model_in_use
    ├── ModelNoPrevious        model_no_previous
    ├── ModelStoreError        model_store_failed
    │   └── ModelStoreFull     model_store_full
    ├── AnalysisError          analysis_failed
    ├── ShadowFailed           shadow_failed
    ├── ModelDrift             model_drift
    ├── SpoolError             spool_failed
    │   ├── SpoolFull          spool_full
    │   ├── SpoolBusy          spool_busy
    │   ├── SpoolCorrupt       spool_corrupt
    │   ├── SpoolNewer         spool_newer
    │   ├── SpoolMissing       spool_missing
    │   ├── StateEntryInvalid  state_entry_invalid
    │   ├── MessageDamaged     message_damaged
    │   └── MessageTooLarge    message_too_large
    ├── DatabaseError          database_failed
    │   ├── DatabaseUnreachable database_unreachable
    │   ├── DatabaseRefused    database_refused
    │   ├── DatabaseFull       database_full
    │   ├── DatabaseBusy       database_busy
    │   ├── SchemaMissing      schema_missing
    │   └── SchemaNewer        schema_newer
    ├── SelectionUnknown       selection_unknown
    ├── CollectorMissing       collector_missing
    ├── DiskFull               disk_full
    ├── DiskLow                disk_low
    ├── AuditUnwritable        audit_unwritable
    ├── AuditBroken            audit_broken
    ├── MachineHot             machine_hot
    ├── MachineThrottled       machine_throttled
    ├── MemoryShort            memory_short
    ├── ReadingSlowed          reading_slowed
    ├── PrometheusMissing      prometheus_missing
    ├── PrometheusPortTaken    prometheus_port_taken
    ├── WebMissing             web_missing
    ├── WebPortTaken           web_port_taken
    ├── AccessDenied           access_denied
    ├── RoleInsufficient       role_insufficient
    ├── TooManyAttempts        too_many_attempts
    ├── CrossSite              cross_site
    ├── HostForeign            host_foreign
    ├── RequestInvalid         request_invalid
    ├── BodyTooLarge           body_too_large
    ├── BodyTimeout            body_timeout
    ├── WebBusy                web_busy
    ├── ReadingNotKept         reading_not_kept
    ├── CommandUnanswered      command_unanswered
    ├── ClockUnset             clock_unset
    ├── SpeedMissed            speed_missed
    ├── CollectionError        collection_failed
    │   ├── CollectionFull     collection_full
    │   ├── CollectionBusy     collection_busy
    │   ├── CollectionEmpty    collection_empty
    │   ├── FrameNotKept       frame_not_kept
    │   └── LabelInvalid       label_invalid
    ├── CommandError           command_failed
    │   ├── CommandInvalid     command_invalid
    │   ├── CommandUnknown     command_unknown
    │   ├── ModelUnknown       model_unknown
    │   ├── CommandRetained    command_retained
    │   ├── CommandExpired     command_expired
    │   ├── CommandBusy        command_busy
    │   ├── CommandInterrupted command_interrupted
    │   ├── AgentPaused        agent_paused
    │   ├── AgentSafeMode      agent_safe_mode
    │   ├── SpecimenOpen       specimen_open
    │   ├── SpecimenMissing    specimen_missing
    │   └── AdaptationError    adaptation_failed
    │       ├── AdaptationOff  adaptation_off
    │       ├── AdaptationMissing adaptation_missing
    │       ├── AdaptationBusy adaptation_busy
    │       ├── AdaptationIdle adaptation_idle
    │       ├── LabelsTooFew   labels_too_few
    │       ├── AdaptationTimeout adaptation_timeout
    │       └── AdaptationMemory adaptation_memory
    ├── CertificateError       certificate_failed
    │   ├── CertificateExpiring certificate_expiring
    │   ├── CertificateExpired certificate_expired
    │   └── CertificateUnreadable certificate_unreadable
    └── BrokerError            broker_failed
        ├── BrokerUnreachable  broker_unreachable
        ├── BrokerRefused      broker_refused
        ├── BrokerSilent       broker_silent
        ├── BrokerDropped      broker_dropped
        ├── BrokerSessionTaken broker_session_taken
        ├── BrokerLimits       broker_limits
        ├── BrokerMoved        broker_moved
        ├── BrokerForeign      broker_not_mqtt
        ├── SecretExposed      secret_exposed
        ├── BrokerUntrusted    broker_untrusted
        ├── CertificateTime    certificate_time
        └── BrokerMissing      broker_missing

``code`` never changes once released: dashboards and people search for it.
"""

from edge_agent.errors.adaptation import (
    AdaptationBusy,
    AdaptationError,
    AdaptationIdle,
    AdaptationMemory,
    AdaptationMissing,
    AdaptationOff,
    AdaptationTimeout,
    LabelsTooFew,
)
from edge_agent.errors.audit import (
    AuditBroken,
    AuditUnwritable,
)
from edge_agent.errors.base import EdgeAgentError
from edge_agent.errors.broker import (
    BrokerDropped,
    BrokerError,
    BrokerForeign,
    BrokerLimits,
    BrokerMissing,
    BrokerMoved,
    BrokerRefused,
    BrokerSessionTaken,
    BrokerSilent,
    BrokerUnreachable,
    BrokerUntrusted,
    CertificateTime,
    SecretExposed,
)
from edge_agent.errors.cameras import (
    CameraAbsent,
    CameraError,
    CameraLost,
    CameraStalled,
    CameraTimeout,
    EndOfFrames,
)
from edge_agent.errors.certificates import (
    CertificateError,
    CertificateExpired,
    CertificateExpiring,
    CertificateUnreadable,
)
from edge_agent.errors.collection import (
    CollectionBusy,
    CollectionEmpty,
    CollectionError,
    CollectionFull,
    FrameNotKept,
    LabelInvalid,
)
from edge_agent.errors.commands import (
    AgentPaused,
    AgentSafeMode,
    CommandBusy,
    CommandError,
    CommandExpired,
    CommandInterrupted,
    CommandInvalid,
    CommandRetained,
    CommandUnknown,
    ModelUnknown,
    SpecimenMissing,
    SpecimenOpen,
)
from edge_agent.errors.config import (
    ConfigDoubtful,
    ConfigError,
)
from edge_agent.errors.database import (
    CollectorMissing,
    DatabaseBusy,
    DatabaseError,
    DatabaseFull,
    DatabaseRefused,
    DatabaseUnreachable,
    SchemaMissing,
    SchemaNewer,
    SelectionUnknown,
)
from edge_agent.errors.desired import (
    DesiredInvalid,
    DesiredStale,
    DownloadFailed,
    DownloadMismatch,
    DownloadStalled,
    DownloadTooLarge,
    DownloadUnsafe,
    DownloadUntrusted,
    ModelDowngrade,
    ModelMismatch,
    ModelRolledBack,
    RolloutError,
    RolloutInterrupted,
    SelfTestSlow,
    ShadowDisagrees,
)
from edge_agent.errors.edge_tpu import (
    EdgeTpuCrashed,
    EdgeTpuError,
    EdgeTpuLibraryMissing,
    EdgeTpuMissing,
    EdgeTpuModelMissing,
    EdgeTpuModelUnusable,
    EdgeTpuStalled,
    EdgeTpuWrong,
)
from edge_agent.errors.endpoints import (
    AccessDenied,
    BodyTimeout,
    BodyTooLarge,
    CommandUnanswered,
    CrossSite,
    HostForeign,
    PrometheusMissing,
    PrometheusPortTaken,
    ReadingNotKept,
    RequestInvalid,
    RoleInsufficient,
    TooManyAttempts,
    WebBusy,
    WebMissing,
    WebPortTaken,
)
from edge_agent.errors.files import (
    FileUnusable,
    InputEnded,
    OutputUnwritable,
    ReportMissing,
)
from edge_agent.errors.host import (
    ClockUnset,
    DiskLow,
    MachineHot,
    MachineThrottled,
    MemoryShort,
    ReadingSlowed,
    SpeedMissed,
)
from edge_agent.errors.images import (
    BackgroundMissing,
    ImageError,
    ImageMissing,
    ImageTooLarge,
    ImageUnsupported,
    ScaleUnreadable,
)
from edge_agent.errors.inference import (
    AnalysisError,
    BundleError,
    BundleFileMissing,
    BundleHashMismatch,
    BundleMismatch,
    BundleMissing,
    BundleUnsupported,
    BundleWrongKind,
    GoldenMismatch,
    HeadError,
    HeadMismatch,
    HeadMissing,
    InferenceError,
    ModelDrift,
    RuntimeMissing,
    ShadowFailed,
    SignatureInvalid,
    SignatureUnknownKey,
    SigningMissing,
    UnsignedRefused,
)
from edge_agent.errors.rollout import (
    ModelArchiveInvalid,
    ModelConflict,
    ModelInUse,
    ModelNoPrevious,
    ModelStoreError,
    ModelStoreFull,
)
from edge_agent.errors.spool import (
    DiskFull,
    MessageDamaged,
    MessageTooLarge,
    SpoolBusy,
    SpoolCorrupt,
    SpoolError,
    SpoolFull,
    SpoolMissing,
    SpoolNewer,
    StateEntryInvalid,
)

__all__ = [
    "AccessDenied",
    "AdaptationBusy",
    "AdaptationError",
    "AdaptationIdle",
    "AdaptationMemory",
    "AdaptationMissing",
    "AdaptationOff",
    "AdaptationTimeout",
    "AgentPaused",
    "AgentSafeMode",
    "AnalysisError",
    "AuditBroken",
    "AuditUnwritable",
    "BackgroundMissing",
    "BodyTimeout",
    "BodyTooLarge",
    "BrokerDropped",
    "BrokerError",
    "BrokerForeign",
    "BrokerLimits",
    "BrokerMissing",
    "BrokerMoved",
    "BrokerRefused",
    "BrokerSessionTaken",
    "BrokerSilent",
    "BrokerUnreachable",
    "BrokerUntrusted",
    "BundleError",
    "BundleFileMissing",
    "BundleHashMismatch",
    "BundleMismatch",
    "BundleMissing",
    "BundleUnsupported",
    "BundleWrongKind",
    "CameraAbsent",
    "CameraError",
    "CameraLost",
    "CameraStalled",
    "CameraTimeout",
    "CertificateError",
    "CertificateExpired",
    "CertificateExpiring",
    "CertificateTime",
    "CertificateUnreadable",
    "ClockUnset",
    "CollectionBusy",
    "CollectionEmpty",
    "CollectionError",
    "CollectionFull",
    "CollectorMissing",
    "CommandBusy",
    "CommandError",
    "CommandExpired",
    "CommandInterrupted",
    "CommandInvalid",
    "CommandRetained",
    "CommandUnanswered",
    "CommandUnknown",
    "ConfigDoubtful",
    "ConfigError",
    "CrossSite",
    "DatabaseBusy",
    "DatabaseError",
    "DatabaseFull",
    "DatabaseRefused",
    "DatabaseUnreachable",
    "DesiredInvalid",
    "DesiredStale",
    "DiskFull",
    "DiskLow",
    "DownloadFailed",
    "DownloadMismatch",
    "DownloadStalled",
    "DownloadTooLarge",
    "DownloadUnsafe",
    "DownloadUntrusted",
    "EdgeAgentError",
    "EdgeTpuCrashed",
    "EdgeTpuError",
    "EdgeTpuLibraryMissing",
    "EdgeTpuMissing",
    "EdgeTpuModelMissing",
    "EdgeTpuModelUnusable",
    "EdgeTpuStalled",
    "EdgeTpuWrong",
    "EndOfFrames",
    "FileUnusable",
    "FrameNotKept",
    "GoldenMismatch",
    "HeadError",
    "HeadMismatch",
    "HeadMissing",
    "HostForeign",
    "ImageError",
    "ImageMissing",
    "ImageTooLarge",
    "ImageUnsupported",
    "InferenceError",
    "InputEnded",
    "LabelInvalid",
    "LabelsTooFew",
    "MachineHot",
    "MachineThrottled",
    "MemoryShort",
    "MessageDamaged",
    "MessageTooLarge",
    "ModelArchiveInvalid",
    "ModelConflict",
    "ModelDowngrade",
    "ModelDrift",
    "ModelInUse",
    "ModelMismatch",
    "ModelNoPrevious",
    "ModelRolledBack",
    "ModelStoreError",
    "ModelStoreFull",
    "ModelUnknown",
    "OutputUnwritable",
    "PrometheusMissing",
    "PrometheusPortTaken",
    "ReadingNotKept",
    "ReadingSlowed",
    "ReportMissing",
    "RequestInvalid",
    "RoleInsufficient",
    "RolloutError",
    "RolloutInterrupted",
    "RuntimeMissing",
    "ScaleUnreadable",
    "SchemaMissing",
    "SchemaNewer",
    "SecretExposed",
    "SelectionUnknown",
    "SelfTestSlow",
    "ShadowDisagrees",
    "ShadowFailed",
    "SignatureInvalid",
    "SignatureUnknownKey",
    "SigningMissing",
    "SpecimenMissing",
    "SpecimenOpen",
    "SpeedMissed",
    "SpoolBusy",
    "SpoolCorrupt",
    "SpoolError",
    "SpoolFull",
    "SpoolMissing",
    "SpoolNewer",
    "StateEntryInvalid",
    "TooManyAttempts",
    "UnsignedRefused",
    "WebBusy",
    "WebMissing",
    "WebPortTaken",
]
