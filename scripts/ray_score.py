#!/usr/bin/env python3
"""Scores documents with prm-score on a Ray cluster: each actor holds one process, the rows come back here.

  ray_score.py docs.jsonl --output rewards.jsonl --cpus-per-actor 4 -- --model judge --spans
  ray_score.py s3://bucket/docs/ --output s3://bucket/rewards/ --format parquet --gpus-per-actor 1 -- --model ORG/NAME

What follows `--` are options of prm-score; the path of a model that is there for this machine is made absolute, and has
to be the same on all nodes. Rows are, byte for byte, those of one run of prm-score over the same files.

Inputs: files of JSON lines (plain, gzip or zstd) or of Parquet (by their ending, .parquet), local, then read on this
machine, or by URI (s3://, gs://, hdfs://, what fsspec knows), then read anywhere on the cluster. A folder stands for
the files in it whose names end with .jsonl, .ndjson, .json (perhaps .gz or .zst behind it) or .parquet and begin with
neither _ nor a dot. Of Parquet, the columns are the fields, and a row's `line` is its number in the file; what JSON has
no number for (nan, infinity) is null. In Parquet output `id` is a string (of another value its JSON text; none or null:
null), `input` the kept fields' JSON text.

The input is cut into blocks of whole lines. Blocks go to the actors as these have room, and each finished one becomes a
part of the output at once. An actor, process or node that dies costs the blocks it was scoring: they are scored again
elsewhere. After anything else the same command with --resume goes on behind the finished blocks, whose parts are
compared with what was written: one that is damaged is scored again.

Output: a file (its parts lie in FILE.parts/ until they are joined, in the input's order), or a folder (a name that ends
with /, or a folder that is there) of parts, which come as they are finished; their names are in the input's order. So
order is the file's; who needs none, or more than the 5 GB that S3 renames at once, takes a folder, where nothing waits.
This machine writes all of it.

Before work starts the nodes' fingerprints are compared (prm-score --fingerprint): version, torch, checkpoint and
options have to be the same. Another CPU or GPU is told: it may move the last digits.

Exit codes: 0 every row scored; 1 stopped; 2 wrong usage; 3 finished, some rows are bad (0 with --errors-ok); 130, 143
ended by SIGINT (Ctrl-C), SIGTERM.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from train import required_packages  # noqa: F401

# isort: split
import pyarrow.fs as pafs
from arguments import argument, positive
from ray_scoring import storage
from ray_scoring.blocks import BlockOptions, InputFile
from ray_scoring.blocks_on_workers import ScorerCommand
from ray_scoring.cluster import ActorResources, Cluster, ScorerArguments, Work, connect
from ray_scoring.errors import InputError, UsageError
from ray_scoring.fingerprint import Fingerprint, differences
from ray_scoring.manifest import FinishedBlock, Manifest, RunIdentity
from ray_scoring.output import Output, OutputKind, OutputOptions
from ray_scoring.parquet_lines import Columns, check_parquet
from ray_scoring.progress import Progress

PROGRAM = "ray_score"
REPOSITORY = Path(__file__).resolve().parents[1]
INPUT_NAME = re.compile(r"[^_.].*\.(parquet|(jsonl|ndjson|json)(\.gz|\.zst)?)")
LEFT_OUT_NAME = re.compile(r"[^_.].*")
"""Whose absence is worth a word: the others are a program's own."""

REFUSED = re.compile(
    r"-o.*|--(output|resume|overwrite|metadata|limit|shard|num-shards|max-errors|errors-ok|fingerprint)(=.*)?"
)
"""Options of prm-score that say something of the run as a whole, which is this script's."""

MODEL_OPTION = re.compile(r"--(model|random-weights)")

OPTION_VARIABLE = re.compile(r"PRM_SCORE_(?!TEST_|TORCH_DIR$).*")
"""Of the environment: prm-score on one machine would take it for an option, that of an actor does not see it."""


def amount(text: str) -> float:
    if not 0 < (value := float(text)) < 1e6:
        raise ValueError
    return value


def not_negative(text: str) -> float:
    return 0.0 if float(text) == 0 else amount(text)


def size(text: str) -> int:
    """As prm-score reads it: 4096, 64K, 256M, 2G."""
    found = re.fullmatch(r"([0-9]+)([KMG]?)", text)
    if found is None or int(found[1]) < 1:
        raise ValueError
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2]]


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM}.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s INPUT.. --output FILE|FOLDER/ [OPTION..] [-- OPTION OF PRM-SCORE..]",
    )
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT")
    add("--output", required=True, metavar="FILE|FOLDER/")
    add("--format", choices=("jsonl", "parquet"), help="default: by the ending of a file's name; jsonl for a folder")
    add("--resume", action="store_true", help="go on behind the blocks that an earlier run has finished; begin if none")
    add("--overwrite", action="store_true", help="remove what --output finds in its place")
    add("--errors-ok", action="store_true", help="exit code 0 in spite of bad rows")
    add(
        "--address",
        metavar="HOST:PORT|auto|local",
        help="default: $RAY_ADDRESS, a cluster on this machine, or a new one",
    )
    add("--actors", type=argument(positive, "a whole number of 1 or more"), metavar="N", help="default: what fits")
    add("--cpus-per-actor", type=argument(amount, "a number above 0"), default=1, metavar="N", help="default: 1")
    add(
        "--gpus-per-actor",
        type=argument(not_negative, "a number of 0 or more"),
        default=0,
        metavar="N",
        help="default: 0",
    )
    add("--block-bytes", type=argument(size, "a size such as 65536, 64K or 4M"), default=1 << 20, metavar="SIZE",
        help="of a block; it ends with the line that reaches them (default: 1M)")  # fmt: skip
    add(
        "--prm-score",
        metavar="PATH",
        help="on the workers; default: build/prm-score here if it is there, else on their PATH",
    )
    add(
        "--progress",
        choices=("plain", "none"),
        default="plain",
        help="what goes on and a line every 10 seconds, or errors only",
    )
    own, scorer = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    args = parser.parse_args(own)
    args.scorer_options = tuple(scorer)
    if args.output == "-":
        parser.error("--output -: expected a file or a folder, found standard output")
    if args.resume and args.overwrite:
        parser.error("--resume and --overwrite: expected one of them, found both")
    for word in scorer:
        if REFUSED.fullmatch(word):
            parser.error(f"{word}: expected no such option behind --: it is about a whole run, which is this script's")
    return args


def scorer_command(args: argparse.Namespace) -> ScorerCommand:
    """prm-score's last option of a name wins: what the user gives."""
    device = "cpu" if args.gpus_per_actor == 0 else "cuda" if args.gpus_per_actor <= 1 else "cuda:all"
    options = ["--device", device, "--threads", str(max(1, int(args.cpus_per_actor)))]
    built = REPOSITORY / "build" / "prm-score"
    program = args.prm_score or (str(built) if built.is_file() else "prm-score")
    if args.prm_score and os.sep in args.prm_score:
        program = os.path.abspath(args.prm_score)
    return ScorerCommand(program, (*options, *with_absolute_models(args.scorer_options)))


def with_absolute_models(options: Sequence[str]) -> list[str]:
    """Workers run in folders of their own, where a relative path is another one or none."""
    found = []
    for before, option in zip(("", *options), options, strict=False):
        name, equals, value = option.partition("=")
        if MODEL_OPTION.fullmatch(before) and os.path.exists(option):
            found.append(os.path.abspath(option))
        elif equals and MODEL_OPTION.fullmatch(name) and os.path.exists(value):
            found.append(f"{name}={os.path.abspath(value)}")
        else:
            found.append(option)
    return found


def input_files(names: Sequence[str], say: Callable[[str], None]) -> list[InputFile]:
    """`say`: told what of a folder is left out. Throws InputError."""
    files = []
    for name in names:
        if name == "-":
            raise InputError("-: expected files, found standard input")
        place = storage.place_of(name)
        found = storage.info(place)
        if found.type == pafs.FileType.NotFound:
            raise InputError(f"{name}: cannot be read: No such file or folder")
        if found.type == pafs.FileType.Directory:
            there = storage.names_in(place)
            inside = [entry for entry in there if INPUT_NAME.fullmatch(entry)]
            if not inside:
                raise InputError(f"{name}: expected files that end with .jsonl or .parquet, found none")
            left_out = [entry for entry in there if LEFT_OUT_NAME.fullmatch(entry) and entry not in inside]
            left_out += [f"{folder}/" for folder in storage.folders_in(place) if LEFT_OUT_NAME.fullmatch(folder)]
            if left_out:
                say(f"warning: {name}: not read: {', '.join(left_out[:5])}{', ..' if len(left_out) > 5 else ''}")
            files += input_files([place.inside(entry).name for entry in inside], say)
        elif found.type != pafs.FileType.File:
            raise InputError(f"{name}: expected a file or a folder, found something else")
        else:
            files.append(InputFile(name, found.size, place))
    return files


def output_kind(args: argparse.Namespace, target: storage.Place) -> OutputKind:
    is_folder = args.output.endswith("/") or storage.is_folder(target)
    by_name = "parquet" if not is_folder and args.output.endswith(".parquet") else "jsonl"
    return OutputKind(is_folder, args.format or by_name)


def check_not_written_over(files: Sequence[InputFile], target: storage.Place, kind: OutputKind) -> None:
    """Throws InputError."""
    for file in files:
        is_inside = storage.is_inside(file.place, target if kind.is_folder else target.beside(".parts"))
        if is_inside or (not kind.is_folder and storage.is_same(file.place, target)):
            raise InputError(f"--output {target.name}: would be written over {file.name}, which is read")


def check_inputs(files: Sequence[InputFile], options: BlockOptions) -> None:
    """What can be seen without reading all of it. Throws InputError."""
    for file in files:
        with storage.reading(file.place) as stream:
            if file.is_parquet:
                check_parquet(stream, file.name, options.columns)


class Run:
    """The script's work, step by step."""

    def __init__(self, args: argparse.Namespace) -> None:
        """Looks at input and output. Throws InputError."""
        self._args = args
        self._is_quiet = args.progress == "none"
        self._files = input_files(args.inputs, self._say)
        target = storage.place_of(args.output)
        self._kind = output_kind(args, target)
        check_not_written_over(self._files, target, self._kind)
        self._output = Output(OutputOptions(target, self._kind, args.resume, args.overwrite))
        self._command = scorer_command(args)

    def run(self) -> int:
        """The exit code. Throws InputError."""
        args = self._args
        if unused := [name for name in sorted(os.environ) if OPTION_VARIABLE.fullmatch(name)]:
            self._say(f"warning: {', '.join(unused)}: not used; options of prm-score follow --")
        connect(args.address)
        signal.signal(signal.SIGTERM, _terminate)  # in place of Ray's
        cluster = Cluster(ActorResources(args.cpus_per_actor, args.gpus_per_actor, args.actors))
        fingerprint, machines = cluster.fingerprint(self._command)
        if machines:
            self._say(f"warning: the last digits of rewards may depend on the node: {machines}")
        options = BlockOptions(
            args.block_bytes, fingerprint.rows["--max-line-bytes"], Columns.of_options(fingerprint.rows)
        )
        manifest = self._output.begin(self._identity(fingerprint))
        if manifest.is_complete:
            self._output.remove_parts_of_the_whole()
            self._say(f"{args.output}: already complete, {manifest.num_rows} rows ({manifest.num_bad} bad)")
            return self._exit_code(manifest)
        check_inputs(self._files, options)
        self._compare_with_earlier(cluster, manifest, fingerprint, options)
        for name in self._output.open():
            self._say(f"warning: {name}: is not what was written there, and is scored again")
        if foreign := self._output.foreign_names():
            shown = f"{', '.join(foreign[:5])}{', ..' if len(foreign) > 5 else ''}"
            self._say(f"warning: {args.output}: not of this run, and left there: {shown}")
        if manifest.blocks:
            self._say(f"goes on after {len(manifest.blocks)} blocks, {manifest.num_rows} rows")
        try:
            self._score(cluster, manifest, fingerprint, options)
            self._output.finish()
        finally:
            self._output.close()
        self._say(f"{manifest.num_rows} rows ({manifest.num_bad} bad) in {args.output}")
        return self._exit_code(manifest)

    def _identity(self, fingerprint: Fingerprint) -> RunIdentity:
        inputs = tuple((file.name, file.size) for file in self._files)
        return RunIdentity(fingerprint, self._args.block_bytes, str(self._kind), inputs)

    def _compare_with_earlier(
        self, cluster: Cluster, manifest: Manifest, fingerprint: Fingerprint, options: BlockOptions
    ) -> None:
        if not manifest.blocks:
            return
        if different := differences(manifest.identity.fingerprint.machine, fingerprint.machine, ("there", "now")):
            self._say(f"warning: --resume: the last digits of rewards may move: {different}")
        finished = {file: manifest.finished(file) for file in range(len(self._files))}
        cluster.check_finished(Work(self._files, options, {}), finished)

    def _score(self, cluster: Cluster, manifest: Manifest, fingerprint: Fingerprint, options: BlockOptions) -> None:
        finished = {file: sorted(manifest.finished(file)) for file in manifest.unfinished_files()}
        if not finished:
            return
        num_bytes = manifest.num_bytes_left()
        self._say(f"{len(finished)} files, {num_bytes / 1e6:.1f} MB, up to {cluster.num_actors} actors")
        names = [file.name for file in self._files]
        scored = cluster.scored_blocks(
            Work(self._files, options, finished), ScorerArguments(self._command, fingerprint, names)
        )
        with Progress(num_bytes, self._is_quiet, of_the_rest=bool(manifest.blocks)) as progress:
            for block in scored:
                fields = {name: block[name] for name in FinishedBlock._fields if name in block}
                for death in block["deaths"].splitlines():
                    self._say(f"warning: {death}; another one takes its place")
                self._output.add(FinishedBlock(**fields, part_sha256=""), block["rows"])
                progress.add(block["num_rows"], block["num_bad"], block["num_bytes"])

    def _exit_code(self, manifest: Manifest) -> int:
        return 3 if manifest.num_bad and not self._args.errors_ok else 0

    def _say(self, text: str) -> None:
        if not self._is_quiet:
            print(f"{PROGRAM}: {text}", file=sys.stderr, flush=True)


class Terminated(BaseException):
    """By SIGTERM: as KeyboardInterrupt."""


def _terminate(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: the state is being written
    raise Terminated


def main(argv: Sequence[str]) -> int:
    args = parse_arguments(argv)
    try:
        return Run(args).run()
    except (InputError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except (KeyboardInterrupt, Terminated) as error:
        number = signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT
        print(f"{PROGRAM}: interrupted: --resume goes on behind the finished blocks", file=sys.stderr)
        return 128 + number


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
