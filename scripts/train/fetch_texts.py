"""Gathers freely licensed English prose to train and evaluate a judge: Debian 12 packages and the repository's corpus.

Writes OUT/train.jsonl, OUT/heldout.jsonl (documents of the same sources that no training step reads) and
OUT/unseen.jsonl (whole sources that no training step reads), one {"id", "source", "text"} a line, and OUT/sources.json
(package, version, licence, counts and the SHA-256 of each source's texts, joined by a NUL).

Needs `apt-get` with package lists, `dpkg-deb`, `gzip`, and the Python packages beautifulsoup4 and lxml; not root.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import required_packages  # noqa: F401

# isort: split
from debian_packages import PackageError, Packages
from errors import InputError
from text_documents import Text, documents_of, split_of
from text_sources import HELD_OUT, SOURCES, TRAIN, UNSEEN, Source

DEFAULT_CORPUS = Path(__file__).resolve().parents[2] / "data" / "corpus"


@dataclass
class Report:
    """What sources.json says of a source."""

    source: Source
    version: str
    texts: list[Text]
    splits: dict[str, list[Text]] = field(default_factory=dict)

    def row(self) -> dict[str, object]:
        return {
            "name": self.source.name,
            "package": self.source.package or None,
            "version": self.version or None,
            "licence": self.source.licence,
            "licence_file": self.source.licence_path(),
            "what": self.source.what,
            "documents": len(self.texts),
            "characters": sum(len(x.text) for x in self.texts),
            "sha256": hashlib.sha256("\0".join(x.text for x in self.texts).encode()).hexdigest(),
            "split": {
                name: {"documents": len(texts), "characters": sum(len(x.text) for x in texts)}
                for name, texts in self.splits.items()
            },
        }


def write_atomically(path: Path, lines: Iterable[str]) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    partial.replace(path)


def gather(args: argparse.Namespace) -> int:
    packages = Packages(args.work)
    rows: dict[str, list[dict[str, str]]] = {TRAIN: [], HELD_OUT: [], UNSEEN: []}
    reports: list[dict[str, object]] = []
    for source in SOURCES:
        if args.only and source.name not in args.only:
            continue
        try:
            root, version = packages.get(source.package) if source.package else (args.corpus, "")
        except PackageError as error:
            if not args.skip_missing:
                print(f"error: {error} (--skip-missing goes on without it)", file=sys.stderr)
                return 1
            print(f"skipped {source.name}: {error}", file=sys.stderr)
            reports.append({"name": source.name, "package": source.package, "skipped": str(error)})
            continue
        report = Report(source, version, documents_of(source, root))
        for i, text in enumerate(report.texts):
            split = split_of(source, i, text)
            report.splits.setdefault(split, []).append(text)
            rows[split].append({"id": text.id, "source": source.name, "text": text.text})
        row = report.row()
        reports.append(row)
        print(f"{source.name}: {row['documents']} documents, {row['characters']:,} characters", file=sys.stderr)
    args.out.mkdir(parents=True, exist_ok=True)
    for split, documents in rows.items():
        write_atomically(args.out / f"{split}.jsonl", (json.dumps(x, ensure_ascii=False) for x in documents))
    write_atomically(args.out / "sources.json", [json.dumps(reports, indent=1, ensure_ascii=False)])
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, default=argparse.SUPPRESS, help="folder for the four files")
    parser.add_argument(
        "--work",
        type=Path,
        required=True,
        default=argparse.SUPPRESS,
        help="folder for packages: WORK/debs/*.deb, WORK/unpacked/PACKAGE; what is there is used again",
    )
    parser.add_argument("--corpus", type=Path, default=DEFAULT_CORPUS, help="the repository's corpus")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="SOURCE",
        help="these sources only (none: all)",
        choices=[x.name for x in SOURCES],
    )
    parser.add_argument("--skip-missing", action="store_true", help="go on without packages that cannot be had")
    try:
        return gather(parser.parse_args())
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
