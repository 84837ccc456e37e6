"""Converts a checkpoint for CTranslate2, by its own converter. Run in an interpreter that has ctranslate2 and torch."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path


def convert(checkpoint: Path, folder: Path) -> None:
    """Weights keep the checkpoint's dtype; CTranslate2 converts them when it loads. The folder appears when whole."""
    from ctranslate2.converters import TransformersConverter

    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    TransformersConverter(str(checkpoint)).convert(str(unfinished))
    unfinished.rename(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    convert(args.checkpoint, args.output)


if __name__ == "__main__":
    main()
