"""make_data.py against the real program, and real local servers that fail."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import make_data
import pytest
from damage import CORRUPTIONS
from protocol_server import ServerProcess
from tokenizers import Tokenizer
from versions import Version, read_versions

SCRIPT = Path(make_data.__file__)
REPOSITORY = SCRIPT.parents[2]
JUDGE = REPOSITORY / "data" / "tiny-judge"
BINARY = os.environ.get("PRM_SCORE_BINARY")
pytestmark = pytest.mark.skipif(BINARY is None, reason="PRM_SCORE_BINARY, the path of prm-score, is not set")

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
    assert other.returncode == 1 and "weights: expected" in other.stderr


@pytest.mark.parametrize("weight", ["splice", "splice=", "splice=0", "splice=-1", "splice=nan", "other=2", "=2"])
def test_bad_weights(documents: Path, tmp_path: Path, weight: str) -> None:
    done = run(documents, tmp_path / "out", "--weight", weight)
    assert done.returncode == 2
    assert f"--weight {weight}: expected one of word_shuffle," in done.stderr


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


def test_goes_on_after_the_server_was_killed(
    documents: Path, tmp_path: Path, start_server: Callable[..., ServerProcess]
) -> None:
    lines = lines_of(documents)
    lines[2]["text"] = "[[id=slow hang=2 times=1]] " + lines[2]["text"]
    documents.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
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
    assert "settings.json: seed: expected 2, found 1" in done.stderr
    assert (out / "versions.jsonl").read_bytes() == before
    assert run(documents, out, "--seed", "2", "--overwrite").returncode == 0
    assert (out / "versions.jsonl").read_bytes() != before


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
