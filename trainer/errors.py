"""The trainer's errors, in the agent's tree, so that each has a stable code and a remedy.

::

    EdgeAgentError
    └── TrainerError              trainer_failed
        ├── DataError             data_invalid
        ├── WeightsError          weights_invalid
        ├── RunError              run_invalid
        ├── KeyUnusable           key_unusable
        │   └── PassphraseNeeded  passphrase_needed
        ├── ConversionError       conversion_failed
        ├── CompilerMissing       edgetpu_compiler_missing
        ├── DependencyMissing     dependency_missing
        ├── FileInaccessible      file_inaccessible
        ├── OutputUnwritable      output_unwritable
        └── OutOfMemory           out_of_memory
"""

from __future__ import annotations

from edge_agent.errors import EdgeAgentError


class TrainerError(EdgeAgentError):
    """Base of the trainer's own errors."""

    code = "trainer_failed"


class DataError(TrainerError):
    """The images, their description, a table or a split cannot be used. Correct what the message names."""

    code = "data_invalid"
    remedy = "Give one folder per class, with images in it, described by a dataset.toml."


class WeightsError(TrainerError):
    """Weights cannot be loaded into the network. Give a file that was made for the same network."""

    code = "weights_invalid"
    remedy = "Give an .npz file for the same alpha, or 'imagenet' while online."


class RunError(TrainerError):
    """A run or bundle folder is incomplete, damaged, or in the way. Name another folder, or remove this one."""

    code = "run_invalid"
    remedy = "Name the folder that 'trainer train --out' wrote."


class CompilerMissing(TrainerError):
    """The compiler for the Edge TPU is not installed. It is Google's, not free software, and runs on x86-64 alone."""

    code = "edgetpu_compiler_missing"
    remedy = (
        "Install it on a PC with Debian or Ubuntu, as coral.ai/docs/edgetpu/compiler says, and run this there. Nothing "
        "else needs it: the bundle runs on the processor as it is."
    )


class BundleUnproven(TrainerError):
    """The held-out images do not show that a model is right often enough to be used. Label more images, train again.

    ``trainer bundle --provisional`` writes the bundle all the same; the agent then gives no label with it.
    """

    code = "bundle_unproven"
    remedy = "Add labelled images of each class and train again; --provisional writes a bundle that gives no labels."


class KeyUnusable(TrainerError):
    """A key cannot be used to sign, or is in the way of a new one."""

    code = "key_unusable"
    remedy = "Name the private-key.pem that 'trainer keygen' wrote."


class PassphraseNeeded(KeyUnusable):
    """A private key is encrypted, and no passphrase or a wrong one was given."""

    code = "passphrase_needed"
    remedy = "Give the passphrase that the key was made with."


class ConversionError(TrainerError):
    """The converted model breaks a rule that every runtime of the agent relies on."""

    code = "conversion_failed"
    remedy = "Report this with the versions in the run's config.json."


class DependencyMissing(TrainerError):
    """A package that only some commands need is not installed. Install the extra that the message names."""

    code = "dependency_missing"
    remedy = (
        "Install what training needs: pip install 'leukoscope[trainer]'. "
        "In a checkout, 'make test' installs it into .venv."
    )


class FileInaccessible(TrainerError):
    """The system refuses to read or write a file. Check its path, its permissions and the free space."""

    code = "file_inaccessible"
    remedy = "Check that the path exists, that you may read and write there, and that the disk has room."


class OutputUnwritable(TrainerError):
    """Results cannot be written to the place that was asked for. Give another place, or make room."""

    code = "output_unwritable"
    remedy = "Check the permissions and the free space there, or name another place."


class OutOfMemory(TrainerError):
    """The images and what is computed from them do not fit into memory. Give fewer images, or use another machine."""

    code = "out_of_memory"
    remedy = "Close other programs, use fewer images, or use a machine with more memory."
