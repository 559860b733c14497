"""Model names -> files: bundled and downloadable models, and reading them.

A file is downloaded only when it is requested by name, and checked each time it is used.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from ssd300.errors import ArgumentError, DownloadError, ModelError, OutputError
from ssd300.files import looked_from, sha256_of, write_whole
from ssd300.weights.checkpoint import read_checkpoint
from ssd300.weights.metadata import ModelMetadata
from ssd300.weights.state import State

BUNDLED_FOLDER = Path(__file__).parent / "files"
NO_FOLDER = Path(os.devnull) / "ssd300"  # for a user without a home folder: it cannot be created
SUFFIXES = (".safetensors", ".pt", ".pth")


@dataclass(frozen=True)
class CatalogEntry:
    """A model that has a name.

    kind: "detector", or "backbone" to start training from.
    url: None if the file is bundled with the package.
    sha256_prefix: pinned by the publisher; without it the sha256 is recorded at first use.
    size_mib: approximate size of the file; None if not known.
    """

    name: str
    kind: Literal["detector", "backbone"]
    file_name: str
    licence: str
    metric: str
    url: str | None = None
    sha256_prefix: str = ""
    size_mib: float | None = None

    @property
    def path(self) -> Path:
        """The path of the file, also before it is downloaded."""
        return (BUNDLED_FOLDER if self.url is None else cache_folder()) / self.file_name

    @property
    def is_here(self) -> bool:
        """Whether there is the file, in a folder that this user may read."""
        return os.path.isfile(self.path)

    @property
    def state(self) -> Literal["bundled", "cached", "downloadable", "absent"]:
        if self.url is None:
            return "bundled" if self.is_here else "absent"
        return "cached" if self.is_here else "downloadable"


def _imagenet(backbone: str, sha256_prefix: str, size_mib: float, top1: float) -> CatalogEntry:
    file_name = f"{backbone}-{sha256_prefix}.pth"
    url = f"https://download.pytorch.org/models/{file_name}"
    metric = f"ImageNet top-1 {top1} % (torchvision)"
    licence = "BSD-3-Clause (torchvision)"
    return CatalogEntry(f"imagenet-{backbone}", "backbone", file_name, licence, metric, url, sha256_prefix, size_mib)


CATALOG = (
    CatalogEntry("default", "detector", "default.safetensors", "Apache-2.0", "see `ssd300 info default`"),
    CatalogEntry(
        "nvidia-resnet50-coco",
        "detector",
        "nvidia_ssdpyt_amp_200703.pt",
        "see its page on NVIDIA NGC",
        "AP 0.25 on COCO val2017 (its model card)",
        "https://api.ngc.nvidia.com/v2/models/nvidia/ssd_pyt_ckpt_amp/versions/20.06.0/files/nvidia_ssdpyt_amp_200703.pt",
    ),
    _imagenet("resnet18", "f37072fd", 44.7, 69.758),
    _imagenet("resnet34", "b627a593", 83.3, 73.314),
    _imagenet("resnet50", "0676ba61", 97.8, 76.130),
    _imagenet("resnet101", "63fe2227", 170.5, 77.374),
    _imagenet("resnet152", "394f9c45", 230.4, 78.312),
)


def cache_folder() -> Path:
    """The folder of downloads: SSD300_CACHE, or the user's cache folder.

    Without a home folder (an unknown user in a container) it is a folder that cannot be created: nothing is cached.
    """
    from platformdirs import user_cache_dir

    try:
        if chosen := os.environ.get("SSD300_CACHE"):
            return Path(chosen).expanduser()
        folder = Path(user_cache_dir("ssd300"))
    except RuntimeError:  # no home folder; older versions of platformdirs give "~"
        return NO_FOLDER
    return folder if folder.is_absolute() else NO_FOLDER


def resolve(model: str | os.PathLike[str], *, detector: bool = False, force: bool = False) -> Path:
    """The file of a model: a catalog name (downloaded if necessary), or a path, which is returned unchanged.

    detector: refuse the name of a backbone before downloading. force: download again even if the file exists.
    Raises ModelError: neither a name nor a file, or a file that has changed; DownloadError, ArgumentError.
    """
    if not isinstance(model, str | os.PathLike):
        raise ArgumentError(f"expected the name of a model or its file, got {type(model).__name__}")
    _refuse_zip()
    entry = next((e for e in CATALOG if e.name == model), None)
    if entry is None:
        return _check_exists(Path(model), detector=detector)
    if detector and entry.kind != "detector":
        names = ", ".join(e.name for e in CATALOG if e.kind == "detector")
        raise ModelError(
            f"the model {entry.name!r} is not a detector, it is a backbone to start training from "
            f"(`ssd300 train --start {entry.name}`); detectors: {names}"
        )
    if entry.url is None:
        if not entry.is_here:
            raise ModelError(
                f"the model {entry.name!r} is not part of this installation ({entry.path} is missing); "
                "reinstall ssd300, or give a model file (`ssd300 models` lists names)"
            )
        return entry.path
    if force or not entry.is_here:
        return _fetch(entry, entry.url, force)
    _check(entry)
    return entry.path


def load_weights(path: str | os.PathLike[str]) -> tuple[State, ModelMetadata]:
    """The state (float32, published keys) and metadata of a model file: .safetensors, or .pt/.pth as published.

    Raises ModelError: missing, of another kind, damaged, hostile, or not an SSD300.
    """
    path = _check_exists(Path(path))
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        return read_checkpoint(path)
    if suffix in (".pt", ".pth"):
        from ssd300.weights.published import read_published

        return read_published(path)
    raise ModelError(f"{path}: its extension is {suffix!r}, expected weights: {', '.join(SUFFIXES)}")


def _refuse_zip() -> None:
    """Raise ModelError if ssd300 was imported from a zip file: libraries cannot open files inside it."""
    if archive := next((folder for folder in BUNDLED_FOLDER.parents if folder.is_file()), None):
        raise ModelError(
            f"ssd300 was loaded from inside {archive}, where its model files cannot be opened: install it with pip, or "
            "build a program with PyInstaller, for which ssd300 has a hook"
        )


def _check_exists(path: Path, *, detector: bool = False) -> Path:
    if os.path.isfile(path):
        return path
    if os.path.isdir(path):
        best = path / "best.safetensors"  # of a training run
        raise ModelError(
            f"{path}: a folder, expected a model file in it "
            f"({f'give {best}' if best.is_file() else ', '.join(SUFFIXES)})"
        )
    names = [e.name for e in CATALOG if e.kind == "detector" or not detector]
    near = get_close_matches(path.name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}? " if near else ". "
    raise ModelError(f"{path}: neither a file nor a known model{looked_from(path)}{hint}Known: {', '.join(names)}")


def _fetch(entry: CatalogEntry, url: str, force: bool) -> Path:
    from ssd300.images.fetch import is_offline

    if is_offline():
        raise DownloadError(
            f"the model {entry.name!r} is not on this machine and the network is forbidden: fetch {url} elsewhere and "
            f"put it at {entry.path}"
        )
    from ssd300.weights.cache import choose_writable
    from ssd300.weights.download import download, show_progress
    from ssd300.weights.published import read_published

    path = choose_writable(entry.path)
    if path != entry.path and path.is_file() and not force:  # downloaded for this run by an earlier call
        return path
    expected = _read_record(entry) or entry.sha256_prefix
    with show_progress(entry.name) as progress:
        # A file without a pinned sha256 must at least be readable.
        verify = None if expected else read_published
        digest = download(url, path, sha256_prefix=expected, verify=verify, progress=progress)
    _record(entry, digest)
    return path


def _check(entry: CatalogEntry) -> None:
    """Raise ModelError if a cached file has changed since its first use; record its hash at the first use."""
    digest = sha256_of(entry.path)
    expected = _read_record(entry) or entry.sha256_prefix
    if not expected:  # put there by hand: a damaged file must not be recorded
        load_weights(entry.path)
    if not digest.startswith(expected):
        raise ModelError(
            f"{entry.path}: its sha256 is {digest}, expected {expected}: the file has changed or is damaged; "
            f"delete it to download it again, and also {_record_path(entry).name} if the change is intended"
        )
    _record(entry, digest)


def _record_path(entry: CatalogEntry) -> Path:
    return entry.path.with_name(entry.path.name + ".sha256")


def _read_record(entry: CatalogEntry) -> str:
    """The sha256 of the file at its first use, or empty."""
    try:
        words = _record_path(entry).read_text("ascii").split()
    except (OSError, UnicodeDecodeError):
        return ""
    return words[0] if words else ""


def _record(entry: CatalogEntry, digest: str) -> None:
    """Write the sha256, in the format of `sha256sum --check`."""
    if _read_record(entry) == digest:
        return
    with suppress(OutputError):  # a folder that an administrator filled may be read-only
        write_whole(_record_path(entry), f"{digest}  {entry.file_name}\n".encode("ascii"))
