"""Reads the labelled pictures of a site and measures each with the bundle's network."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

import edge_agent
from edge_agent.analysis.cell_scale import CellScale, measure_scale, spread
from edge_agent.cameras.frame import Encoded
from edge_agent.errors import ImageError
from edge_agent.inference import Classifier
from edge_agent.inference.bundle import MODEL
from trainer.data.dataset import ImageFile, Unreadable, printable
from trainer.data.description import Description
from trainer.data.listing import list_images
from trainer.errors import DataError
from trainer.site.cache import PictureCache
from trainer.site.examples import Examples
from trainer.site.features import SiteFeatures
from trainer.site.grouping import group_pictures
from trainer.site.picture import VARIANTS_COUNT, MeasuredPicture, PictureMeter
from trainer.site.progress import Progress, each_of, silent

MAX_FILE_BYTES = 64 * 2**20
READING_RATIO = 0.7
"""Share of the whole fit, for the progress bar."""


def read_site(  # noqa: PLR0913 - the choices of a fit, each by its name
    folder: Path,
    description: Description,
    classifier: Classifier,
    kind: str,
    *,
    table: Path | None = None,
    cache: Path | None = None,
    cell_scale: CellScale | None = None,
    variants: int = VARIANTS_COUNT,
    progress: Progress = silent,
) -> tuple[Examples, SiteFeatures]:
    """Every picture that ``list_images`` lists, and its features of ``kind``. Files that are not images are skipped.

    ``cell_scale`` is as for ``PictureMeter``. Raises ``DataError`` if a class has no picture or the listing is wrong,
    ``OutputUnwritable`` for the ``cache``, or ``InferenceError``.
    """
    listing = list_images(folder, description, table)
    meter = PictureMeter(classifier, kind, cell_scale=cell_scale)
    seen_as = () if cell_scale is None else ("cell@2", f"{cell_scale.um_per_pixel!r}", f"{cell_scale.side_um!r}")
    kept = PictureCache(cache, edge_agent.__version__, classifier.manifest.files[MODEL], kind, str(variants), *seen_as)
    files: list[ImageFile] = []
    pictures: list[MeasuredPicture] = []
    captured_at: list[datetime | None] = []
    cameras: list[str | None] = []
    unreadable: list[Unreadable] = []
    for listed in each_of(listing, progress, "reading", 0, READING_RATIO):
        try:
            data = _read(folder / listed.path)
            sha256 = hashlib.sha256(data).hexdigest()
            picture = kept.find(sha256)
            if picture is None:
                picture = meter.measure(data, int(sha256[:16], 16), variants=variants)
                kept.keep(sha256, picture)
        except ImageError as error:
            unreadable.append(Unreadable(printable(listed.path), printable(error.message)))
            continue
        files.append(ImageFile(printable(listed.path), listed.label, sha256, listed.group))
        pictures.append(picture)
        when, camera = _exif(data)
        captured_at.append(listed.captured_at or when)
        cameras.append(listed.device or camera)
    _check_classes(description, files, unreadable)
    thumbnails = np.stack([each.thumbnail for each in pictures])
    groups, grouping = group_pictures(files, captured_at, thumbnails)
    codes = list(description.codes)
    examples = Examples(
        folder=folder,
        description=description,
        files=tuple(files),
        labels=np.array([codes.index(file.label) for file in files], np.int64),
        groups=groups,
        grouping=grouping,
        captured_at=tuple(captured_at),
        cameras=tuple(cameras),
        sizes_px=np.array([(each.width_px, each.height_px) for each in pictures], np.int64),
        enlarged=np.array([each.enlarged for each in pictures], np.bool_),
        unreadable=tuple(unreadable),
    )
    return examples, SiteFeatures(
        kind=kind,
        features=np.stack([each.features for each in pictures]),
        varied=np.stack([each.varied for each in pictures]),
        reasons=tuple(each.reason for each in pictures),
        appearances=tuple(each.appearance for each in pictures),
        backgrounds=np.stack([each.background for each in pictures]),
        thumbnails=thumbnails,
    )


def site_scale(folder: Path, description: Description, table: Path | None) -> CellScale:
    """The scale of a site's pictures of single cells. Raises ``DataError`` if the listing is wrong."""

    def images() -> Iterator[Encoded]:
        for listed in spread(list_images(folder, description, table)):
            with suppress(ImageError):
                yield Encoded(_read(folder / listed.path))

    return measure_scale(images())


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ImageError(f"It cannot be opened: {error.strerror}.") from error
    if len(data) > MAX_FILE_BYTES:
        raise ImageError(f"It has more than {MAX_FILE_BYTES // 2**20} MiB.")
    return data


def _check_classes(description: Description, files: list[ImageFile], unreadable: list[Unreadable]) -> None:
    for each in description.classes:
        if not any(file.label == each.code for file in files):
            skipped = f" ({unreadable[0].path}: {unreadable[0].reason})" if unreadable else ""
            raise DataError(f"class {each.code} has no picture that can be read{skipped}.")


def _exif(data: bytes) -> tuple[datetime | None, str | None]:
    """The time and the camera in a picture's EXIF data; None if they are missing or not in a usable form."""
    when, camera = None, None
    # Pillow does not document what it raises for damaged metadata, and a picture without metadata is as good.
    with suppress(Exception):
        with Image.open(io.BytesIO(data), formats=("JPEG", "TIFF", "PNG", "WEBP")) as image:
            exif = image.getexif()
        names = (str(exif.get(tag, "")).strip("\0 ") for tag in (ExifTags.Base.Make, ExifTags.Base.Model))
        camera = " ".join(name for name in names if name)[:64] or None
        taken = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
        when = datetime.strptime(str(taken), "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
    return when, camera
