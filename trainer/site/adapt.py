"""'trainer adapt': from labelled pictures of a site to a head with its figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

import edge_agent
from edge_agent.analysis.cell_scale import CellScale, configured_scale
from edge_agent.contracts import BundleKind, Manifest
from edge_agent.contracts.head import HEAD_SCHEMA, MAX_LABELS, HeadManifest, HeadParent, HeadTraining
from edge_agent.contracts.manifest import Evidence, Reference, Thresholds, TrainingAppearance
from edge_agent.errors import BundleWrongKind
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import MODEL
from edge_agent.inference.features import FEATURES
from edge_agent.inference.head import HEAD_ARRAYS
from edge_agent.inference.probabilities import softmax
from edge_agent.inference.proof import DEFAULT_PROOF, unproven_reasons
from trainer.data.description import Description, load_description
from trainer.errors import DataError
from trainer.evaluation.appearance import summarise as summarise_appearance
from trainer.evaluation.bundle_analyzer import BundleAnalyzer
from trainer.evaluation.foreign import list_foreign, measure_foreign
from trainer.evaluation.reference import summarise as summarise_reference
from trainer.export.identity import BundleIdentity
from trainer.files import check_output_folder, make_folder, write_json
from trainer.site.baselines import baseline_counts
from trainer.site.card import head_card
from trainer.site.cross_validation import CrossValidation
from trainer.site.examples import Examples
from trainer.site.features import SiteFeatures
from trainer.site.figures import measure_evidence, measure_figures
from trainer.site.fine_tune import FineTuneOptions, fine_tune
from trainer.site.fitting import choose_regularisation, fit_linear
from trainer.site.give_aways import find_give_aways
from trainer.site.head_files import (
    CARD,
    EXAMPLES,
    FittedHead,
    check_new,
    draft_head,
    examples_csv,
    hashes,
    write_head,
)
from trainer.site.learning_curve import LearningCurve, measure_learning_curve
from trainer.site.mistakes import find_mistakes, write_contact_sheet
from trainer.site.picture import PictureMeter
from trainer.site.progress import Progress, silent
from trainer.site.reading import read_site, site_scale
from trainer.site.refusals import foreign_refusals, own_refusals
from trainer.site.shifts import measure_site_shifts
from trainer.site.summary import CONTACT_SHEET_FILE, REPORT_FILE, AdaptReport, Findings, summarise
from trainer.site.validation import check_enough, cross_validate, fit_site_familiarity

FEATURES_KIND = "field-description@2"


@dataclass(frozen=True, slots=True)
class AdaptOptions:
    """What to fit, to which pictures, and where to write it."""

    bundle: str
    """Name of a shipped bundle, or a bundle's folder."""
    data: Path
    """Folder of class folders, such as a collection's export."""
    name: str
    out: Path
    """New folder of the head."""
    version: str = "1.0.0"
    description: str | None = None
    """Path of a description; None for the folder's own ``dataset.toml``."""
    table: Path | None = None
    foreign: tuple[Path, ...] = ()
    """Folders of pictures that must be refused."""
    report: Path | None = None
    """Folder for the report and the contact sheet of mistakes."""
    cache: Path | None = None
    """Folder that keeps features by picture and bundle."""
    fine_tune: FineTuneOptions | None = None
    """How upper layers are trained for comparison; None if they are not. Needs TensorFlow."""
    as_cell: bool = False
    """Whether each picture shows one cell, for a head on a bundle of the kind 'cells'."""
    um_per_pixel: float | None = None
    """The scale of pictures of single cells, if known."""
    quick: bool = False
    """Whether to compute only the head and its accuracy: without the record, the head is provisional."""
    seed: int = 0
    command: str = "trainer adapt"
    """The command, for the head's manifest."""


@dataclass(frozen=True, slots=True, eq=False)
class Adaptation:
    """A fitted head, and everything from which its figures were measured."""

    examples: Examples
    features: SiteFeatures
    cross_validation: CrossValidation
    manifest: HeadManifest
    report: AdaptReport
    cell_scale: CellScale | None
    """The scale of pictures of single cells; None for fields."""


def adapt(options: AdaptOptions, *, progress: Progress = silent) -> Adaptation:
    """Read, measure, cross-validate, fit, write and verify. Errors are found before anything is computed.

    Raises ``TrainerError`` or ``BundleError``.
    """
    BundleIdentity(options.name, options.version, "head")
    check_new(options.out)
    if options.report is not None:
        check_output_folder(options.report)
    description = load_description(options.description, options.data)
    if len(description.classes) > MAX_LABELS:
        raise DataError(
            f"{description.name} has {len(description.classes)} classes; a head has at most {MAX_LABELS}.",
            remedy="Merge classes, or leave some out.",
        )
    for each in options.foreign:
        list_foreign(each)
    classifier = Classifier(load_bundle(options.bundle))
    _check_kind(classifier.manifest, as_cell=options.as_cell)
    if options.um_per_pixel is not None and not options.as_cell:
        raise DataError("The scale of whole fields is not asked for.", remedy="Leave out --um-per-pixel.")
    if options.as_cell and options.fine_tune is not None:
        raise DataError("Upper layers are trained on whole fields only.", remedy="Leave out --fine-tune or --as-cell.")
    cell_scale = _cell_scale(options, description) if options.as_cell else None
    examples, features = read_site(
        options.data,
        description,
        classifier,
        FEATURES_KIND,
        table=options.table,
        cache=options.cache,
        cell_scale=cell_scale,
        progress=progress,
    )
    fit = _Fit(options, classifier, examples, features, cell_scale, progress)
    return fit.finish()


def _cell_scale(options: AdaptOptions, description: Description) -> CellScale:
    if options.um_per_pixel is not None:
        return configured_scale(options.um_per_pixel)
    return site_scale(options.data, description, options.table)


def _check_kind(manifest: Manifest, *, as_cell: bool) -> None:
    if as_cell and manifest.kind is not BundleKind.CELLS:
        raise BundleWrongKind(f"Bundle '{manifest.name}' judges whole fields, and no single cells.")
    if not as_cell and manifest.kind is BundleKind.CELLS:
        raise BundleWrongKind(
            f"Bundle '{manifest.name}' judges cells, and a head on it needs pictures of single cells.",
            remedy="If each picture shows one cell, add --as-cell; for whole fields name another bundle.",
        )


class _Fit:
    """The steps after reading. They share the pictures."""

    def __init__(
        self,
        options: AdaptOptions,
        classifier: Classifier,
        examples: Examples,
        features: SiteFeatures,
        cell_scale: CellScale | None,
        progress: Progress,
    ) -> None:
        self._options = options
        self._classifier = classifier
        self._examples = examples
        self._features = features
        self._cell_scale = cell_scale
        self._progress = progress
        check_enough(examples.labels, examples.groups, examples.codes)
        whole_field_ratio = FEATURES[features.kind].whole_field_ratio
        self._validation = cross_validate(
            features.features,
            features.varied,
            examples.labels,
            examples.groups,
            examples.codes,
            whole_field_ratio=whole_field_ratio,
            seed=options.seed,
            progress=progress,
        )
        self._regularisation = choose_regularisation(
            features.features,
            features.varied,
            examples.labels,
            examples.groups,
            len(examples.codes),
            options.seed,
        )
        self._head = FittedHead.of(
            fit_linear(features.features, features.varied, examples.labels, len(examples.codes), self._regularisation),
            fit_site_familiarity(features.features, features.varied, whole_field_ratio),
        )

    def finish(self) -> Adaptation:
        """Measure the head, and write it with its report."""
        options, examples = self._options, self._examples
        evidence = None if options.quick else self._measure_evidence()
        contents = {
            HEAD_ARRAYS: self._head.to_npz(self._classifier, self._features.kind),
            EXAMPLES: examples_csv(examples, self._validation),
            CARD: b"",
        }
        manifest = self._manifest(contents, evidence)
        findings = Findings() if options.quick else self._find(manifest, contents)
        lacking = unproven_reasons(manifest.labels, manifest.evidence, DEFAULT_PROOF)
        report = summarise(manifest, examples, findings, lacking, quick=options.quick)
        contents[CARD] = head_card(
            report,
            limits=examples.description.limits,
            demonstration=manifest.demonstration,
        ).encode()
        manifest = manifest.model_copy(update={"files": hashes(contents)})
        write_head(options.out, manifest, contents, options.bundle)
        if options.report is not None:
            make_folder(options.report)
            write_json(options.report / REPORT_FILE, report.model_dump(mode="json"))
        self._progress("done", 1.0)
        return Adaptation(examples, self._features, self._validation, manifest, report, self._cell_scale)

    def _measure_evidence(self) -> Evidence:
        options, examples, validation = self._options, self._examples, self._validation
        baselines = baseline_counts(examples, self._features, validation.folds, seed=options.seed)
        self._progress("proving", 0.82)
        return measure_evidence(examples, validation, baselines, seed=options.seed)

    def _find(self, manifest: HeadManifest, contents: dict[str, bytes]) -> Findings:
        options, examples, features, validation = self._options, self._examples, self._features, self._validation
        mistakes = find_mistakes(examples, validation)
        sheet = None
        if options.report is not None and mistakes:
            sheet = CONTACT_SHEET_FILE
            write_contact_sheet(options.report / sheet, mistakes, examples, features.thumbnails)
        self._progress("learning-curve", 0.84)
        curve = self._learning_curve()
        self._progress("give-aways", 0.88)
        give_aways = find_give_aways(examples, features, validation.folds, seed=options.seed)
        self._progress("shifts", 0.9)
        meter = PictureMeter(self._classifier, features.kind, cell_scale=self._cell_scale)
        shifts = measure_site_shifts(
            examples, validation, meter.field, meter.describe_and_check, self._judge, seed=options.seed
        )
        self._progress("foreign", 0.95)
        foreign = None
        if options.foreign:
            with draft_head(manifest, contents) as folder:
                judging = Classifier(load_bundle(options.bundle), head=folder)
                analyzer = BundleAnalyzer(judging, as_cell=options.as_cell)
                foreign = foreign_refusals(measure_foreign(analyzer, options.foreign))
        return Findings(
            learning_curve=curve,
            give_aways=give_aways,
            mistakes=mistakes,
            contact_sheet=sheet,
            shifts=shifts,
            own_refusals=own_refusals(examples, features, validation),
            foreign_refusals=foreign,
            fine_tuned=None
            if options.fine_tune is None
            else fine_tune(examples, options.bundle, validation, options.fine_tune, seed=options.seed),
        )

    def _learning_curve(self) -> LearningCurve:
        examples, features, varied = self._examples, self._features.features, self._features.varied
        classes = len(examples.codes)

        def refit(fitted: NDArray[np.intp], held_out: NDArray[np.intp]) -> NDArray[np.float64]:
            linear = fit_linear(
                features[fitted], varied[fitted], examples.labels[fitted], classes, self._regularisation
            )
            return softmax(linear.logits(features[held_out]), 1.0)

        return measure_learning_curve(
            examples.labels,
            examples.groups,
            examples.codes,
            self._validation.splits,
            refit,
            seed=self._options.seed,
        )

    def _judge(self, fold: int, features: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        head = self._validation.heads[fold]
        logits = features @ head.weights.T + head.bias
        return softmax(logits, self._validation.temperature), head.familiarity.distances(features).astype(np.float64)

    def _manifest(self, contents: dict[str, bytes], evidence: Evidence | None) -> HeadManifest:
        options, examples, validation = self._options, self._examples, self._validation
        bundle = self._classifier.manifest
        return HeadManifest(
            schema=HEAD_SCHEMA,
            name=options.name,
            version=options.version,
            created_at=datetime.now(UTC),
            demonstration=examples.description.synthetic or bundle.demonstration,
            parent=HeadParent(name=bundle.name, version=bundle.version, sha256=bundle.files[MODEL]),
            features=self._features.kind,
            labels=examples.label_set,
            temperature=validation.temperature,
            thresholds=Thresholds(
                max_unfamiliarity_score=validation.max_unfamiliarity_score,
                min_confidence_ratio=validation.min_confidence_ratio,
            ),
            training=HeadTraining(
                dataset=examples.description.name,
                dataset_sha256=examples.sha256,
                images_count=len(examples.files),
                unreadable_count=len(examples.unreadable),
                specimens_count=examples.specimens_count,
                groups_count=examples.groups_count,
                groups=examples.grouping,
                regularisation=self._regularisation,
                seed=options.seed,
                software=f"leukoscope {edge_agent.__version__}, scikit-learn {metadata.version('scikit-learn')}",
                command=options.command,
            ),
            evidence=evidence,
            figures=measure_figures(examples, validation, seed=options.seed),
            appearance=_appearance(self._features),
            reference=_reference(self._features, validation),
            min_agent_version=Version(edge_agent.__version__).base_version,
            files=hashes(contents),
        )


def _appearance(features: SiteFeatures) -> TrainingAppearance | None:
    """The appearance of the pictures; None if no picture is fit to be judged, so that none could be measured."""
    measured = [each for each in features.appearances if each is not None]
    return summarise_appearance(measured) if measured else None


def _reference(features: SiteFeatures, validation: CrossValidation) -> Reference | None:
    """The folds' judgement of the pictures that each did not see; None if there are too few."""
    fit = np.array([each is not None for each in features.appearances])
    familiar = fit & (validation.unfamiliarity <= validation.max_unfamiliarity_score)
    return summarise_reference(
        validation.unfamiliarity[fit].tolist(), validation.probabilities.max(axis=1)[familiar].tolist()
    )
