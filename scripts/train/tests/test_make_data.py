"""make_data.py against the real program, and real local servers that fail."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import example_writer
import make_data
import pytest
from damage import CORRUPTIONS
from documents import Excerpt
from errors import InputError
from program import ProgramError
from prompts_process import ChunkPrompt, chunk_prompts
from protocol_server import ServerProcess
from sampling import Request
from tokenizers import Tokenizer
from version_maker import TEXTS, Maker
from version_plans import Plan, Work
from versions import Version, read_versions

SCRIPT = Path(make_data.__file__)
REPOSITORY = SCRIPT.parents[2]
JUDGE = REPOSITORY / "data" / "tiny-judge"
BINARY = os.environ.get("PRM_SCORE_TEST_BINARY")
pytestmark = pytest.mark.skipif(BINARY is None, reason="PRM_SCORE_TEST_BINARY, the path of prm-score, is not set")

HEAD, TAIL = "\n\n<<JUDGEMENT_REGION>>\n", "\n<</JUDGEMENT_REGION>>\n\n<<JUDGEMENT>>"


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Beginnings of four addresses; the last with letters beyond ASCII, which chunk borders may cut."""
    path = tmp_path / "docs.jsonl"
    addresses = sorted((REPOSITORY / "data/corpus/sotu").glob("*.txt"))[:4]
    texts = [p.read_text(encoding="utf-8")[:2000] for p in addresses]
    texts[3] = texts[3].replace("the ", "thé 😀 ")
    lines = [json.dumps({"id": f"d{i}", "source": f"s{i % 2}", "text": text}) for i, text in enumerate(texts)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def command(documents: Path, out: Path, *options: str) -> list[str]:
    return [
        *(sys.executable, str(SCRIPT), str(documents), "--model", str(JUDGE), "--out", str(out)),
        *("--prm-score", str(BINARY), *options),
    ]


def run(documents: Path, out: Path, *options: str, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(documents, out, *options), capture_output=True, text=True, timeout=120, **how)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def by_version(out: Path) -> Iterator[tuple[Version, list[dict[str, Any]]]]:
    examples = defaultdict(list)
    for example in lines_of(out / "examples.jsonl"):
        examples[example["version"]].append(example)
    for version in read_versions(out / "versions.jsonl"):
        yield version, examples[version.id]


def test_prompts_ids_and_letters(documents: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(documents, out, "--worse-versions", "6")
    assert done.returncode == 0, done.stderr
    tokenizer = Tokenizer.from_file(str(JUDGE / "tokenizer.json"))
    examples = lines_of(out / "examples.jsonl")
    assert len(examples) > 40
    assert {e["kind"] for e in examples} == {"real", *CORRUPTIONS}
    for example in examples:
        prompt = example["prompt"]
        assert prompt.endswith(TAIL) and HEAD in prompt
        assert example["input_ids"] == tokenizer.encode(prompt, add_special_tokens=False).ids
        assert example["completion"] == ("A" if example["label"] else "B")
        assert example["segments"] == [
            {"text": prompt, "label": False},
            {"text": example["completion"], "label": True},
        ]
        if example["kind"] == "real":
            assert example["label"] == 1


def test_weights_move_the_shares_of_kinds(documents: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--kinds", "word_shuffle", "char_noise", "--weight", "word_shuffle=1000", "--worse-versions", "20")
    done = run(documents, out, *options)
    assert done.returncode == 0, done.stderr
    kinds = Counter(version.kind for version in read_versions(out / "versions.jsonl"))
    assert kinds["word_shuffle"] > 90 and kinds["char_noise"] <= 3
    other = run(documents, out, *options, "--weight", "char_noise=2")  # other settings, other examples
    assert other.returncode == 1 and "settings.json: another run: weights: [[" in other.stderr


@pytest.mark.parametrize("weight", ["splice", "splice=", "splice=0", "splice=-1", "splice=nan", "other=2", "=2"])
def test_bad_weights(documents: Path, tmp_path: Path, weight: str) -> None:
    done = run(documents, tmp_path / "out", "--weight", weight)
    assert done.returncode == 2
    assert f"--weight {weight}: expected one of word_shuffle," in done.stderr


OPENAI = ("--sampler", "openai:http://127.0.0.1:9/v1#m")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--temperatures", "-1", "-0.5"), "--temperatures: expected 0 to 100, found '-1'"),
        (("--temperatures", "1.5", "0.7"), "--temperatures 1.5 0.7: expected the lower one first"),
        (("--batch", "0"), "--batch: expected a whole number of 1 or more, found '0'"),
        (("--batch", "1.5"), "--batch: expected a whole number of 1 or more, found '1.5'"),
        (("--timeout", "inf"), "--timeout: expected 0.001 or more, found 'inf'"),
        (("--alternatives", "nan"), "--alternatives: expected 0 to 1, found 'nan'"),
        (("--max-chunks", "80", "--long-share", ".5"), "--long-chunks 60: expected --max-chunks (80) or more"),
        (("--evaluated-strengths", "2", "2"), "--evaluated-strengths: expected 0 to 1, found '2'"),
        (("--evaluated-strengths", "0.5", ".5"), "--evaluated-strengths 0.5 0.5: expected different numbers"),
        (("--purpose", "evaluate", "--weight", "splice=2"), "--weight splice=2: expected --purpose train"),
        (("--weight", "splice=2", "--weight", "splice=3"), "--weight splice=3: expected one for each kind"),
    ],
)
def test_options_that_make_no_sense(options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        make_data.main(["docs.jsonl", "--model", "m", "--out", "never-made", *options])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--purpose", "evaluate", "--max-chunks", "20"), "--max-chunks: to evaluate, texts of up to 1216 tokens"),
        (("--held-out", "1", "--long-share", ".1"), "--long-chunks: to evaluate, texts of up to 3776 tokens"),
        (("--max-chunks", "20"), None),  # to train, eight chunks at most
        (("--purpose", "evaluate", "--max-chunks", "20", "--kinds", "splice"), None),
    ],
)
def test_texts_longer_than_a_sampler_has_positions(
    options: tuple[str, ...],
    message: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Small:
        name, max_tokens = "transformers:small", 1023

    monkeypatch.setattr(make_data, "open_sampler", lambda spec, **_: Small())
    code = make_data.main(["none.jsonl", "--model", "m", "--out", str(tmp_path / "out"), *OPENAI, *options])
    said = capsys.readouterr().err
    if message is None:
        assert code == 1 and "none.jsonl" in said
    else:
        assert code == 2 and message in said and "expected at most 1023, for which transformers:small has" in said


def test_options_of_samplers_and_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}
    monkeypatch.setattr(make_data, "open_sampler", lambda spec, **how: asked.setdefault("sampler", how) and None)
    monkeypatch.setattr(make_data, "open_translator", lambda spec, **how: asked.setdefault("translator", how) and None)
    options = ("--kinds", "splice", "--sampler-device", "cuda:1", "--timeout", "300", "--translator", "x:y", *OPENAI)
    make_data.main(["none.jsonl", "--model", "m", "--out", str(tmp_path / "out"), *options])
    assert asked["sampler"]["device"] == "cuda:1"
    assert asked["sampler"]["timeout_s"] == asked["translator"]["timeout_s"] == 300


def test_apertium_that_is_not_installed(documents: Path, tmp_path: Path) -> None:
    done = run(documents, tmp_path / "out", "--translator", "apertium:spa", env={"PATH": ""})
    assert done.returncode == 2
    assert done.stderr.startswith("make_data.py: apertium: program not found on PATH")


def test_chunks_are_where_the_versions_say(documents: Path, tmp_path: Path) -> None:
    """Contexts and chunks of a version's prompts are its text in order, and labels follow its ranges."""
    out = tmp_path / "out"
    assert run(documents, out, "--worse-versions", "4", "--alternatives", "1").returncode == 0
    seen = Counter()
    for version, examples in by_version(out):
        seen[version.kind, version.scope] += 1
        for example in examples:
            context, _, rest = example["prompt"].rpartition(HEAD)
            chunk = rest.removesuffix(TAIL)
            clean = "\ufffd" not in context + chunk
            if clean:
                assert version.text.startswith(context + chunk)
            if example["label"] == 0 and clean:
                begin, end = len(context), len(context) + len(chunk)
                covered = sum(max(0, min(e, end) - max(b, begin)) for b, e in version.rejected)
                assert 2 * covered >= end - begin
        if version.scope == "chunk":
            assert len(examples) <= 1
    assert seen["real", "document"] == 4
    assert seen["word_shuffle", "chunk"] > 0 and sum(n for (_, scope), n in seen.items() if scope == "chunk") > 15


def test_real_contexts_and_sampled_contexts(
    documents: Path, tmp_path: Path, start_server: Callable[..., ServerProcess]
) -> None:
    out = tmp_path / "out"
    server = start_server()
    options = ("--sampler", f"openai:{server.url}/v1#m", "--kinds", "sampled")
    options += ("--alternatives", "1", "--min-chunks", "4")
    done = run(documents, out, *options)
    assert done.returncode == 0, done.stderr
    real = {v.document: v.text for v in read_versions(out / "versions.jsonl") if v.kind == "real"}
    after_real = after_sampled = 0
    for version, examples in by_version(out):
        if version.kind != "sampled":
            continue
        assert 0.7 <= version.temperature <= 1.5
        assert version.provenance["sampler"] == f"openai:{server.url}/v1#m"
        prefix = version.text[: version.rejected[0][0]]
        assert real[version.document].startswith(prefix)
        for example in examples:
            assert example["label"] == 0
            context, _, _ = example["prompt"].rpartition(HEAD)
            if "\ufffd" not in context:
                after_real += context == prefix
                after_sampled += len(context) > len(prefix)
    assert after_real > 10
    assert after_sampled > 5


def mark_document(documents: Path, index: int, mark: str) -> None:
    """What the server does with this one stands in front of its text."""
    lines = lines_of(documents)
    lines[index]["text"] = mark + lines[index]["text"]
    documents.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def test_goes_on_after_the_server_was_killed(
    documents: Path, tmp_path: Path, start_server: Callable[..., ServerProcess]
) -> None:
    mark_document(documents, 2, "[[id=slow hang=2 times=1]] ")
    server, out = start_server(), tmp_path / "out"
    options = ("--sampler", f"openai:{server.url}/v1#m", "--batch", "1", "--min-chunks", "4", "--alternatives", "1")
    process = subprocess.Popen(command(documents, out, *options), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while server.count("slow") == 0:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    server.kill()
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"{server.url}/v1/completions" in stderr
    finished = {v.document for v in read_versions(out / "versions.jsonl") if v.kind == "real"}
    assert len(finished) == 2
    assert {e["document"] for e in lines_of(out / "examples.jsonl")} == finished  # usable as they are

    server.start()
    done = run(documents, out, *options)
    assert done.returncode == 0, done.stderr
    assert "2 excerpts were finished before, 2 to do" in done.stderr
    fresh = tmp_path / "fresh"
    assert run(documents, fresh, *options).returncode == 0
    for name in ("versions.jsonl", "examples.jsonl"):
        assert sorted((out / name).read_text().splitlines()) == sorted((fresh / name).read_text().splitlines())


def test_goes_on_after_kill_9_and_a_torn_line(documents: Path, tmp_path: Path) -> None:
    fresh, out = tmp_path / "fresh", tmp_path / "out"
    assert run(documents, fresh).returncode == 0
    out.mkdir()
    whole = (fresh / "versions.jsonl").read_bytes()
    (out / "settings.json").write_bytes((fresh / "settings.json").read_bytes())
    for length in (1, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        (out / "versions.jsonl").write_bytes(whole[:length])
        assert run(documents, out).returncode == 0
        assert (out / "versions.jsonl").read_bytes() == whole
        assert (out / "examples.jsonl").read_bytes() == (fresh / "examples.jsonl").read_bytes()


def test_full_disk_keeps_what_is_finished(documents: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = run(documents, out, "--batch", "1", preexec_fn=limit)
    assert done.returncode == 1
    assert "make_data.py: " in done.stderr and "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    done = run(documents, out, "--batch", "1")
    assert done.returncode == 0, done.stderr
    fresh = tmp_path / "fresh"
    assert run(documents, fresh, "--batch", "1").returncode == 0
    assert (out / "examples.jsonl").read_bytes() == (fresh / "examples.jsonl").read_bytes()


def test_other_settings_are_refused(documents: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(documents, out).returncode == 0
    before = (out / "versions.jsonl").read_bytes()
    done = run(documents, out, "--seed", "2")
    assert done.returncode == 1
    assert "settings.json: another run: seed: 1 there, 2 now; the same options and documents go on; " in done.stderr
    assert (out / "versions.jsonl").read_bytes() == before
    assert run(documents, out, "--seed", "2", "--overwrite").returncode == 0
    assert (out / "versions.jsonl").read_bytes() != before


def test_another_tokenizer_or_context_is_refused(
    documents: Path, tmp_path: Path, start_server: Callable[..., ServerProcess]
) -> None:
    out = tmp_path / "out"
    options = ("--sampler", f"openai:{start_server().url}/v1#m", "--alternatives", "0", "--worse-versions", "1")
    assert run(documents, out, *options).returncode == 0
    other = tmp_path / "other"
    shutil.copytree(JUDGE, other, ignore=shutil.ignore_patterns("report"))
    assert run(documents, out, *options, "--model", str(other)).returncode == 0  # the same tokenizer
    (other / "tokenizer.json").write_text((other / "tokenizer.json").read_text() + " ")
    done = run(documents, out, *options, "--model", str(other))
    assert done.returncode == 1 and "settings.json: another run: tokenizer_sha256: " in done.stderr
    done = run(documents, out, *options, "--sampler-context", "7")
    assert done.returncode == 1 and "settings.json: another run: sampler_context: null there, 7 now; " in done.stderr


def test_a_second_run_into_the_same_folder_is_refused(
    documents: Path, tmp_path: Path, start_server: Callable[..., ServerProcess]
) -> None:
    mark_document(documents, 0, "[[id=slow hang=60 times=1]] ")
    server, out = start_server(), tmp_path / "out"
    options = ("--sampler", f"openai:{server.url}/v1#m", "--kinds", "sampled")
    first = subprocess.Popen(command(documents, out, *options), stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while server.count("slow") == 0:
            assert time.monotonic() < deadline and first.poll() is None
            time.sleep(0.02)
        for more in ((), ("--overwrite",)):
            second = run(documents, out, *options, *more)
            assert second.returncode == 1
            assert second.stderr == f"make_data.py: {out}: another run is writing there\n"
    finally:
        first.kill()
        first.wait()
    assert run(documents, out, *options).returncode == 0


def test_splices_of_texts_without_spaces(tmp_path: Path) -> None:
    documents, out = tmp_path / "docs.jsonl", tmp_path / "out"
    texts = [
        "".join(f"{chr(0x4E00 + (17 * i + k) % 5000)}山川{chr(0x5E00 + i)}。" for i in range(150)) for k in range(4)
    ]
    documents.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    options = ("--purpose", "evaluate", "--kinds", "splice", "--evaluated-strengths", "0.5")
    done = run(documents, out, *options)
    assert done.returncode == 0, done.stderr
    versions = list(read_versions(out / "versions.jsonl"))
    lengths = {v.document: len(v.text) for v in versions if v.kind == "real"}
    spliced = [v for v in versions if v.kind == "splice"]
    assert len(spliced) == 4
    for version in spliced:
        assert 0.8 < len(version.text) / lengths[version.document] < 1.25
        assert 0.3 < sum(end - begin for begin, end in version.rejected) / len(version.text) < 0.7


def test_out_that_is_a_file(documents: Path) -> None:
    done = run(documents, documents)
    assert done.returncode == 1
    assert done.stderr == f"make_data.py: {documents}: expected a folder, found a file\n"


def test_no_rejected_chunk_is_no_success(documents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        name, max_tokens = "http:m", None

        def sample(self, requests: list[Request]) -> Iterator[tuple[int, str | None]]:
            yield from ((index, "") for index in range(len(requests)))

    monkeypatch.setattr(make_data, "open_sampler", lambda *_, **__: Silent())
    for purpose in ("train", "evaluate"):
        out = tmp_path / purpose
        options = command(documents, out, *OPENAI, "--kinds", "sampled", "--purpose", purpose)[2:]
        with monkeypatch.context() as patch:
            said: list[str] = []
            patch.setattr(sys.stderr, "write", lambda text, said=said: said.append(text))
            assert make_data.main(options) == 1
        assert f"make_data.py: {out}: expected rejected text of sampled, found real text alone" in "".join(said)
        assert {v.kind for v in read_versions(out / "versions.jsonl")} == {"real"}
    assert {e["kind"] for e in lines_of(tmp_path / "train" / "examples.jsonl")} == {"real"}
    options = command(documents, tmp_path / "real", "--alternatives", "0", "--worse-versions", "0")[2:]
    assert make_data.main(options) == 0  # none was asked for


def test_a_sampler_that_is_no_folder(documents: Path, tmp_path: Path) -> None:
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = run(documents, tmp_path / "out", "--sampler", "transformers:nosuch", env=environment)
    assert done.returncode == 2
    expected = "make_data.py: --sampler transformers:nosuch: expected a checkpoint folder, or the name of a published "
    assert done.stderr.startswith(expected) and "found no such folder" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["versions.jsonl", "examples.jsonl"])
def test_files_of_another_origin_are_kept(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious\n")
    with pytest.raises(InputError, match=rf"{name}: expected none, or settings\.json beside it"):
        make_data.prepare_folder(tmp_path, {"seed": 1}, overwrite=False)
    assert (tmp_path / name).read_text() == "precious\n"
    make_data.prepare_folder(tmp_path, {"seed": 1}, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


@pytest.mark.parametrize("content", [b"", b'{"seed": 1', b"[]", b"\xff"])
def test_torn_settings_name_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "settings.json").write_bytes(content)
    with pytest.raises(InputError, match=r"settings\.json: expected a JSON object, the settings .*--overwrite"):
        make_data.prepare_folder(tmp_path, {"seed": 1}, overwrite=False)
    make_data.prepare_folder(tmp_path, {"seed": 1}, overwrite=True)
    make_data.prepare_folder(tmp_path, {"seed": 1}, overwrite=False)


def test_settings_are_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(path: Path, text: str, **_: Any) -> None:
        path.write_bytes(text[:5].encode())
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(InputError, match=r"settings\.json: cannot be written, is the disk full\? No space"):
        make_data.prepare_folder(tmp_path, {"seed": 1}, overwrite=False)
    assert list(tmp_path.iterdir()) == []


def version_lines(path: Path, texts: list[str]) -> Path:
    versions = [Version(f"v{i}", "d", "s", "splice", "document", text) for i, text in enumerate(texts)]
    path.write_text("".join(version.line() for version in versions), encoding="utf-8")
    return path


def prompt_of(line: int) -> ChunkPrompt:
    return ChunkPrompt(line=line, chunk=0, num_tokens=64, begin=0, end=1, prompt="p", input_ids=[1])


def test_failed_examples_leave_no_partial_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def prompts(program: Path, model: Path, texts: Iterator[str]) -> Iterator[ChunkPrompt]:
        next(texts)
        yield prompt_of(0)
        raise OSError("No space left on device")

    monkeypatch.setattr(example_writer, "chunk_prompts", prompts)
    versions = version_lines(tmp_path / "versions.jsonl", ["x"])
    with pytest.raises(InputError, match=r"examples\.jsonl: cannot be written, is the disk full\? No space"):
        example_writer.write_examples(Path("p"), Path("m"), versions, tmp_path / "examples.jsonl", True)
    assert list(tmp_path.iterdir()) == [versions]


def test_versions_are_taken_while_others_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The feeder runs on in its thread, far ahead; every other text has no token and so no prompt."""

    def prompts(program: Path, model: Path, texts: Iterator[str]) -> Iterator[ChunkPrompt]:
        fed: list[str] = []
        feeder = threading.Thread(target=lambda: fed.extend(texts), daemon=True)
        feeder.start()
        for line in range(0, 6000, 2):
            while len(fed) <= line + 500 and feeder.is_alive():
                time.sleep(0)
            yield prompt_of(line)

    monkeypatch.setattr(example_writer, "chunk_prompts", prompts)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        versions = version_lines(tmp_path / "versions.jsonl", ["x"] * 6000)
        example_writer.write_examples(Path("p"), Path("m"), versions, tmp_path / "examples.jsonl", True)
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("end", ["kill -9 $$", "exit 7"])
def test_program_that_ends_in_the_middle_of_a_line(tmp_path: Path, end: str) -> None:
    program = tmp_path / "prm-score"
    program.write_text(f'#!/bin/sh\ncat >/dev/null\nprintf \'{{"line": 1, "chu\'\n{end}\n')
    program.chmod(0o755)
    with pytest.raises(ProgramError, match="killed by SIGKILL" if "kill" in end else "exit code 7"):
        list(chunk_prompts(program, Path("m"), ["text"]))


def test_texts_that_are_refused_are_left_out_and_counted(tmp_path: Path) -> None:
    class Refusing:
        name, max_tokens = "http:m", None

        def sample(self, requests: list[Request]) -> Iterator[tuple[int, str | None]]:
            yield from enumerate([" and on", None, " \ud83d"])

    def version(name: str, kind: str, text: str = "") -> Version:
        return Version(name, "d", "s", kind, "document", text)

    request = Request("So", 5, 1.0, 1)
    plans = [Plan(version(f"v{i}", "sampled"), "So", request=request) for i in range(3)]
    work = Work(Excerpt("d", "s", "So it is.", 2), [0, 2, 9], [*plans, Plan(version("r", "real", "So it is."))])
    maker = Maker([Refusing()], [], tmp_path / "versions.jsonl")
    assert maker.run([work]) is None
    texts = {version.id: version.text for version in read_versions(tmp_path / "versions.jsonl")}
    assert texts == {"v0": "So and on", "v2": "So \ufffd", "r": "So it is."}
    assert maker.num_left_out == 1


def test_what_an_interrupted_run_was_given_is_not_asked_for_again(tmp_path: Path) -> None:
    class Interrupted:
        name, max_tokens = "transformers:m", None

        def __init__(self, last: int) -> None:
            self.last, self.asked = last, 0

        def sample(self, requests: list[Request]) -> Iterator[tuple[int, str | None]]:
            for index in reversed(range(len(requests))):  # in an order of its own
                if self.asked == self.last:
                    raise KeyboardInterrupt
                self.asked += 1
                yield index, None if requests[index].seed == 1 else f" and {requests[index].seed}"

    def works() -> list[Work]:
        found = []
        for i in range(4):
            sampled = Version(f"s{i}", f"d{i}", "s", "sampled", "document", "")
            real = Version(f"r{i}", f"d{i}", "s", "real", "document", "So it is.")
            plans = [Plan(sampled, "So", request=Request("So", 5, 1.0, i)), Plan(real)]
            found.append(Work(Excerpt(f"d{i}", "s", "So it is.", 2), [0, 2, 9], plans))
        return found

    whole, versions = tmp_path / "whole" / "versions.jsonl", tmp_path / "parts" / "versions.jsonl"
    whole.parent.mkdir()
    versions.parent.mkdir()
    assert Maker([Interrupted(99)], [], whole).run(works()) is None
    with pytest.raises(KeyboardInterrupt):
        Maker([Interrupted(2)], [], versions).run(works())
    texts = versions.with_name(TEXTS)
    texts.write_bytes(texts.read_bytes() + b'["s1", "to')  # as if it had been killed while writing
    again = Interrupted(99)
    maker = Maker([again], [], versions)
    assert maker.run(works()) is None
    assert again.asked == 2
    assert versions.read_bytes() == whole.read_bytes()
    maker.finish()
    assert not texts.exists()


def test_a_refused_request_does_not_stop_the_run(
    documents: Path, tmp_path: Path, start_server: Callable[..., ServerProcess]
) -> None:
    lines = lines_of(documents)
    lines[2]["text"] = "[[id=refused status=400 times=99]] " + lines[2]["text"]
    documents.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    out = tmp_path / "out"
    options = ("--sampler", f"openai:{start_server().url}/v1#m", "--batch", "1", "--kinds", "sampled")
    done = run(documents, out, *options, "--alternatives", "0", "--worse-versions", "1", "--min-chunks", "4")
    assert done.returncode == 0, done.stderr
    assert "1 of 1 requests refused and left out" in done.stderr
    assert "1 versions got no text to reject, left out" in done.stderr
    kinds = Counter(version.kind for version in read_versions(out / "versions.jsonl"))
    assert kinds == {"real": 4, "sampled": 3}


def test_accents_apart_from_their_letters_move_no_border(documents: Path, tmp_path: Path) -> None:
    lines = lines_of(documents)[:1]
    lines[0]["text"] = lines[0]["text"].replace("e", "e\u0301")
    documents.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    out = tmp_path / "out"
    done = run(documents, out, "--worse-versions", "2", "--alternatives", "1")
    assert done.returncode == 0, done.stderr
    num_clean = 0
    for version, examples in by_version(out):
        for example in examples:
            context, _, rest = example["prompt"].rpartition(HEAD)
            shown = context + rest.removesuffix(TAIL)
            if "\ufffd" not in shown:
                assert version.text.startswith(shown)
                num_clean += 1
    assert num_clean > 10


def test_evaluation_has_every_kind_at_every_strength(
    documents: Path, tmp_path: Path, start_server: Callable[..., ServerProcess]
) -> None:
    out, server = tmp_path / "out", start_server()
    sampler = ("--sampler", f"openai:{server.url}/v1#m", "--evaluated-temperatures", "0.7", "1.5")
    done = run(documents, out, "--purpose", "evaluate", "--min-chunks", "6", *sampler)
    assert done.returncode == 0, done.stderr
    assert not (out / "examples.jsonl").exists()
    versions = list(read_versions(out / "versions.jsonl"))
    for document in ("d0", "d1", "d2", "d3"):
        mine = [v for v in versions if v.document == document]
        assert sum(v.kind == "real" for v in mine) == 1
        for kind in CORRUPTIONS:
            assert sorted(v.strength for v in mine if v.kind == kind) == [0.1, 0.25, 0.5, 0.75, 1.0]
        assert sorted(v.temperature for v in mine if v.kind == "sampled") == [0.7, 1.5]


def test_held_out_documents_are_in_no_training_example(documents: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(documents, out, "--held-out", "1", "--evaluated-strengths", "0.5", "--max-chunks", "3")
    assert done.returncode == 0, done.stderr
    held_out = {v.document for v in read_versions(out / "heldout" / "versions.jsonl")}
    trained = {v.document.partition("@")[0] for v in read_versions(out / "versions.jsonl")}
    assert len(held_out) == 1
    assert held_out | trained == {"d0", "d1", "d2", "d3"}
    assert {e["document"].partition("@")[0] for e in lines_of(out / "examples.jsonl")} == trained


def test_a_judge_is_no_sampler(documents: Path, tmp_path: Path) -> None:
    done = run(documents, tmp_path / "out", "--sampler", f"transformers:{JUDGE}")
    assert done.returncode == 2
    assert "expected a language model, found one that knows 2 of 4096 tokens: a judge" in done.stderr


def test_a_model_without_the_letters_is_refused_before_anything_is_made(documents: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(JUDGE, model, ignore=shutil.ignore_patterns("report"))
    tokenizer = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
    id_ = tokenizer["model"]["vocab"].pop("A")
    tokenizer["model"]["vocab"]["<gone>"] = id_
    tokenizer["model"]["merges"] = [m for m in tokenizer["model"]["merges"] if "A" not in "".join(m)]
    tokenizer["model"]["vocab"] = {
        k: v for k, v in tokenizer["model"]["vocab"].items() if "A" not in k or k == "<gone>"
    }
    (model / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    done = run(documents, tmp_path / "out", "--model", str(model))
    assert done.returncode == 2
    assert "tokenizer.json: expected a single token for the letter A, found no token" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_run_that_made_nothing_leaves_no_settings(documents: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(documents, out, "--min-chunks", "400", "--max-chunks", "400").returncode == 1
    done = run(documents, out)
    assert done.returncode == 0, done.stderr


def test_bad_input(documents: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    short = tmp_path / "short.jsonl"
    short.write_text('{"id":"a","text":"Too short."}\n')
    cases = [
        ((empty,), 1, "empty.jsonl: expected at least one document"),
        ((short,), 1, "no document has 2 chunks"),
        ((documents, "--sampler", "http://x"), 2, "transformers:PATH_OR_NAME or openai:URL#MODEL"),
        ((documents, "--translator", "apertium:xyz"), 2, "apertium:xyz"),
        ((documents, "--kinds", "sampled"), 2, "--kinds sampled: needs a --sampler"),
        ((documents, "--min-chunks", "20"), 2, "--min-chunks 20"),
        ((documents, "--held-out", "4"), 1, "--held-out 4: expected fewer than the 4 documents"),
        ((documents, "--sampler", "openai:http://127.0.0.1:9#m"), 1, "http://127.0.0.1:9/completions"),
        ((documents, "--prm-score", "/nowhere/prm-score"), 1, "/nowhere/prm-score: no such program"),
        ((documents, "--model", str(tmp_path)), 1, str(tmp_path)),
    ]
    for number, ((path, *options), code, message) in enumerate(cases):
        done = run(path, tmp_path / f"out{number}", *options)
        assert done.returncode == code, (message, done.stderr)
        assert message in done.stderr
        assert "Traceback" not in done.stderr
