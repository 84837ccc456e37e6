"""evaluate_judge.py: numbers against hand-worked ones, runs with a stand-in for prm-score, and with the real one."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import evaluate_judge
import evaluation_metrics as metrics
import evaluation_report
import evaluation_targets
import pytest
from errors import InputError
from evaluation_input import read_evaluated

TRAIN = Path(evaluate_judge.__file__).resolve().parent
REPOSITORY = TRAIN.parents[1]
TINY_JUDGE = REPOSITORY / "data" / "tiny-judge"
EXAMPLES = REPOSITORY / "data" / "examples" / "docs.jsonl"
BINARY = os.environ.get("PRM_SCORE_TEST_BINARY")
needs_binary = pytest.mark.skipif(BINARY is None, reason="PRM_SCORE_TEST_BINARY, the path of prm-score, is not set")

STAND_IN = '''#!{python}
"""Chunks of ten characters; the log-odds of one are the letters "g" less the letters "b" in it."""
import json, os, signal, sys
fail = {fail!r}
if "--version" in sys.argv:
    print("prm-score 9.9.9\\nlibtorch 1.2.3")
    sys.exit()
if fail == "refuse":
    sys.exit("prm-score: judge: expected tokenizer.json or tokenizer.model, got neither")
assert not any(name.startswith("PRM_SCORE_") for name in os.environ)
assert "--spans" in sys.argv
for number, line in enumerate(sys.stdin, 1):
    document = json.loads(line)
    text = document["text"]
    row = {{"line": number, "id": document["id"], "reward": None, "error": "text: no tokens"}}
    if text:
        chars = [[i, min(i + 10, len(text))] for i in range(0, len(text), 10)]
        log_odds = [float(text[a:b].count("g") - text[a:b].count("b")) for a, b in chars]
        row = {{"line": number, "id": document["id"], "reward": sum(log_odds) / len(log_odds)}}
        row |= {{"num_chunks": len(chars), "log_odds": log_odds, "spans": [{{"chars": c}} for c in chars]}}
    if fail == "garbage":
        row.pop("line")
    print(json.dumps(row), flush=True)
    if fail == "kill" and number == 3:
        sys.stdout.write('{{"line":4,')
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    if fail == "stop" and number == 2:
        sys.exit(0)
options = {{"chunk-size": 10, "metadata": "a path"}}
counts = {{"scored_rows": 1, "bad_rows": 0, "tokens": 1, "chunks": 1, "warnings": {{}}}}
found = {{"options": options, "engine": {{}}, "counts": counts}}
found |= {{"tokenizer": {{"sha256": "t"}}, "template": {{"sha256": "p"}}}}
with open(sys.argv[sys.argv.index("--metadata") + 1], "w") as file:
    json.dump(found, file)
'''


def line(document: str, kind: str = "real", text: str = "g" * 100, **fields: Any) -> dict[str, Any]:
    everything = [[0, len(text)]]
    return {
        "id": f"{document}-{kind}",
        "document": document,
        "source": "book",
        "kind": kind,
        "scope": "document",
        "strength": None,
        "temperature": None,
        "text": text,
        "chosen": everything if kind == "real" else [],
        "rejected": [] if kind == "real" else everything,
        "provenance": {},
    } | fields


def write_lines(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(fields) + "\n" for fields in lines), encoding="utf-8")
    return path


@pytest.fixture
def stand_in(tmp_path: Path) -> Any:
    def make(fail: str = "") -> Path:
        path = tmp_path / "prm-score"
        path.write_text(STAND_IN.format(python=sys.executable, fail=fail), encoding="utf-8")
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def judge(tmp_path: Path) -> Path:
    folder = tmp_path / "judge"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def run(program: Path, judge: Path, out: Path, *arguments: object) -> int:
    common = ["--prm-score", program, "--judge", judge, "--out", out]
    return evaluate_judge.main([str(part) for part in [*common, *arguments]])


def results_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return found


# Metrics


def test_wilson_interval() -> None:
    # 8 of 10: (0.8 + z2/20 -+ z sqrt(0.16/10 + z2/400)) / (1 + z2/10), z2 = 3.8414588
    low, high = metrics.wilson_interval(8, 10)
    assert (low, high) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    assert metrics.wilson_interval(10, 10)[1] == 1
    assert metrics.wilson_interval(0, 10) == pytest.approx((0, 0.2775328), abs=1e-6)


def test_auc_counts_ties_half() -> None:
    better, worse = [3.0, 1.0, 2.0], [1.0, 0.0]
    by_pairs = sum(1.0 if b > w else 0.5 if b == w else 0.0 for b in better for w in worse) / 6
    assert metrics.auc(better, worse) == pytest.approx(by_pairs) == pytest.approx(5.5 / 6)
    assert metrics.auc([1.0, 1.0], [1.0]) == 0.5
    assert metrics.auc([], [1.0]) is None


def test_spearman_with_ties() -> None:
    # Ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4: sums of products of centred ranks 4.5, 4.5 and 5.
    found = metrics.spearman([1, 5, 5, 9], [10, 30, 20, 40])
    assert found is not None
    assert found.coefficient == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    assert found.low < found.coefficient < found.high
    falling = metrics.spearman([1, 2, 3, 4], [4, 3, 2, 1])
    assert falling is not None
    assert falling.coefficient == -1
    assert metrics.spearman([1, 1, 1, 1], [1, 2, 3, 4]) is None
    assert metrics.spearman([1, 2, 3], [1, 2, 3]) is None


def test_sigmoid_does_not_overflow() -> None:
    assert metrics.sigmoid([-1000, 0, math.log(3), 1000]).tolist() == pytest.approx([0, 0.5, 0.75, 1])


def test_calibration_by_hand() -> None:
    p, y = [0.1, 0.2, 0.7, 0.8], [0, 1, 1, 1]
    found = metrics.calibration(p, y, [1, 1, 1, 1], num_bins=2)
    assert [b.predicted for b in found.bins] == pytest.approx([0.15, 0.75])
    assert [b.observed for b in found.bins] == pytest.approx([0.5, 1.0])
    assert [b.count for b in found.bins] == [2, 2]
    assert found.ece == pytest.approx(0.5 * 0.35 + 0.5 * 0.25)
    assert found.brier == pytest.approx((0.01 + 0.64 + 0.09 + 0.04) / 4)


def test_calibration_with_both_labels_alike() -> None:
    p, y = [0.1, 0.2, 0.7, 0.8], [0, 1, 1, 1]
    weights = metrics.balanced_weights(y)
    assert weights.tolist() == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6])
    found = metrics.calibration(p, y, weights, num_bins=2)
    assert found.brier == pytest.approx(0.01 / 2 + (0.64 + 0.09 + 0.04) / 6)
    # Equal mass, not equal numbers: the single rejected chunk fills a bin.
    assert [b.count for b in found.bins] == [1, 3]
    assert found.ece == pytest.approx(0.5 * 0.1 + 0.5 * (1 - 1.7 / 3))


def test_calibration_keeps_equal_probabilities_together() -> None:
    forward = metrics.calibration([0.5] * 4, [0, 0, 1, 1], [1] * 4, num_bins=4)
    backward = metrics.calibration([0.5] * 4, [1, 1, 0, 0], [1] * 4, num_bins=4)
    assert forward == backward
    assert len(forward.bins) == 1
    assert forward.ece == 0


def test_position_curve() -> None:
    curve = metrics.position_curve([0, 1, 0, 0], [1, 5, 2, 3])
    assert (curve.positions, curve.counts, curve.means) == ((0, 1), (3, 1), (2, 5))
    assert curve.standard_errors[0] == pytest.approx(1 / math.sqrt(3))
    assert curve.standard_errors[1] is None


def test_drift_of_a_line() -> None:
    documents = [[1.0, 0.5, 0.0, -0.5, 99.0]] + [[1.0, 0.5, 0.0, -0.5]] * 9
    found = metrics.drift(documents, scale=2, min_documents=10)
    assert found is not None
    # Position 4 is reached by one document only.
    assert (found.first, found.last) == (0, 3)
    assert found.drift == pytest.approx(-1.5 / 2)
    assert found.within == pytest.approx(-1.5 / 2)
    assert found.standard_error == pytest.approx(0, abs=1e-9)
    assert (found.intercept, found.slope) == pytest.approx((1, -0.5))


def test_drift_within_documents_does_not_see_which_are_long() -> None:
    found = metrics.drift([[0.0]] * 10 + [[5.0, 5.0]] * 10, scale=1, min_documents=10)
    assert found is not None
    assert found.drift == pytest.approx(2.5)
    assert found.within == pytest.approx(0)


def test_drift_needs_documents_and_spread() -> None:
    assert metrics.drift([[1.0, 2.0]] * 9, scale=1, min_documents=10) is None
    assert metrics.drift([[1.0]] * 10, scale=1, min_documents=10) is None
    assert metrics.drift([[1.0, 1.0]] * 10, scale=0, min_documents=10) is None


def test_buckets() -> None:
    few = metrics.Buckets([0.5, 0.1, 0.5], edges=(0, 1))
    assert few.names == ["0.1", "0.5"]
    assert few.name(0.5) == "0.5"
    many = metrics.Buckets([i / 10 for i in range(11)], edges=(0.2, 0.5, 1))
    assert many.names == ["<0.2", "0.2-0.5", "0.5-1", ">1"]
    assert [many.name(x) for x in (0.1, 0.2, 0.49, 0.5, 1, 1.01)] == [
        "<0.2",
        "0.2-0.5",
        "0.2-0.5",
        "0.5-1",
        "0.5-1",
        ">1",
    ]


def test_json_is_rounded_and_compact() -> None:
    value = evaluation_report.rounded({"a": [1, 0.12345678, None], "b": -1e-9, "c": [{"d": "x"}], "e": {}})
    text = evaluation_report.to_json(value)
    assert '"a": [1, 0.123457, null]' in text
    assert '"b": 0.0' in text
    assert json.loads(text) == value


# Runs with the stand-in


def a_dozen() -> list[dict[str, Any]]:
    """12 documents of 10 chunks and one of 3. Real chunks: +9 and +10; noise: 0, or, in one document, all +10."""
    lines = []
    for i in range(12):
        document, source = f"d{i}", "book" if i < 8 else "wiki"
        lines.append(line(document, text="g" * 10 * (i % 2 + 1) + "ggggggggg." * (9 - i % 2), source=source))
        noise = "g" * 100 if i == 0 else "gb" * 50
        lines.append(line(document, "noise", noise, source=source, strength=0.25 if i < 6 else 0.75))
        lines.append(line(document, "sampled", "ggg......." * 10, source=source, temperature=0.5 + i / 10))
    half = "g" * 20 + "b" * 10
    lines.append(line("d1", "patch", half, scope="chunk", chosen=[[0, 20]], rejected=[[20, 30]]))
    lines += [line("short", text="g" * 30), line("short", "noise", "b" * 30)]
    return lines


def test_numbers_of_a_run(tmp_path: Path, stand_in: Any, judge: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_lines(tmp_path / "heldout.jsonl", a_dozen())
    out = tmp_path / "out"
    assert run(stand_in(), judge, out, file) == 0
    report = results_of(out)["files"]["heldout"]
    assert (report["documents"], report["short_documents"], report["versions"]) == (12, 1, 39)
    accuracy = report["pair_accuracy"]
    # All but document 0, whose noise is better than its real version; the short document does not count.
    noise = accuracy["kinds"]["noise"]
    assert (noise["pairs"], noise["accuracy"], noise["ties"]) == (12, pytest.approx(11 / 12, abs=1e-6), 0)
    assert [(b, c["pairs"], c["accuracy"]) for b, c in noise["strength"].items()] == [
        ("0.25", 6, pytest.approx(5 / 6, abs=1e-6)),
        ("0.75", 6, 1),
    ]
    assert noise["interval_95"] == pytest.approx(metrics.wilson_interval(11, 12), abs=1e-6)
    assert accuracy["overall"]["pairs"] == 24
    # 12 temperatures of 0.5 to 1.6 are too many to stand alone.
    assert {b: c["pairs"] for b, c in accuracy["kinds"]["sampled"]["temperature"].items()} == {
        "0-0.7": 2,
        "0.7-0.85": 2,
        "0.85-1": 1,
        "1-1.15": 2,
        "1.15-1.3": 1,
        "1.3-1.5": 3,
        ">1.5": 1,
    }
    # A chunk of a real document cannot make a pair, but it can be told from real ones.
    assert accuracy["kinds"]["patch"] == {"accuracy": None, "pairs": 0, "ties": 0, "interval_95": None}
    assert report["chunk_auc"]["kinds"]["patch"] == {"auc": 1.0, "chosen": 123, "rejected": 1}
    assert report["chunk_auc"]["kinds"]["sampled"] == {"auc": 1.0, "chosen": 123, "rejected": 120}
    assert report["log_odds"]["kinds"]["sampled"] == {"chunks": 120, "mean": 3.0, "standard_deviation": 0.0}
    assert report["calibration"]["chosen"] == 125
    assert report["calibration"]["rejected"] == 120 + 120 + 1 + 3
    assert report["position"]["real"]["counts"] == [13, 13, 13] + [12] * 7
    assert (report["drift"]["first"], report["drift"]["last"]) == (0, 9)
    assert report["drift"]["drift"] < 0
    assert report["sources"]["book"]["pair_accuracy"]["kinds"]["noise"]["accuracy"] == pytest.approx(7 / 8)
    assert report["sources"]["wiki"]["documents"] == 4
    assert report["sources"]["book"]["short_documents"] == 1
    shown = capsys.readouterr().out
    assert "heldout: 12 documents of at least 8 chunks, 1 shorter ones" in shown
    assert "0.917" in shown


def test_run_is_identified(tmp_path: Path, stand_in: Any, judge: Path) -> None:
    file = write_lines(tmp_path / "a.jsonl", a_dozen())
    out = tmp_path / "out"
    assert run(stand_in(), judge, out, "--group", f"unseen={file}", "--min-chunks", 4) == 0
    found = results_of(out)["run"]
    assert found["judge"]["sha256"] == {"model.safetensors": hashlib.sha256(b"weights").hexdigest()}
    assert found["prm_score"]["version"] == ["prm-score 9.9.9", "libtorch 1.2.3"]
    assert found["files"]["unseen"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert found["prm_score"]["options"] == {"chunk-size": 10}
    assert found["options"]["min_chunks"] == 4


def test_ties_count_half(tmp_path: Path, stand_in: Any, judge: Path) -> None:
    lines = [line("a"), line("a", "noise", "g" * 100), line("b"), line("b", "noise", "b" * 100)]
    assert run(stand_in(), judge, tmp_path / "out", write_lines(tmp_path / "x.jsonl", lines)) == 0
    cell = results_of(tmp_path / "out")["files"]["x"]["pair_accuracy"]["kinds"]["noise"]
    assert (cell["accuracy"], cell["ties"]) == (0.75, 1)


def test_same_input_same_bytes(tmp_path: Path, stand_in: Any, judge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lines(tmp_path / "heldout.jsonl", a_dozen())
    write_lines(tmp_path / "unseen.jsonl", a_dozen()[:24])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRM_SCORE_CHUNK_SIZE", "7")  # must not reach prm-score
    program = stand_in()
    contents = []
    for name in ("first", "second"):
        assert run(program, Path("judge"), Path(name), "heldout.jsonl", "unseen.jsonl") == 0
        contents.append({path.name: path.read_bytes() for path in Path(name).iterdir()})
    assert contents[0] == contents[1]
    assert sorted(contents[0]) == [
        "calibration.svg",
        "distribution_heldout.svg",
        "distribution_unseen.svg",
        "length.svg",
        "pair_accuracy.svg",
        "pair_accuracy_by_strength.svg",
        "position_heldout.svg",
        "position_unseen.svg",
        "results.json",
    ]
    assert str(tmp_path).encode() not in contents[0]["results.json"]
    assert all(b"<dc:date>" not in content for content in contents[0].values())


def test_png(tmp_path: Path, stand_in: Any, judge: Path) -> None:
    file = write_lines(tmp_path / "x.jsonl", [line("a"), line("a", "noise", "b" * 100)])
    assert run(stand_in(), judge, tmp_path / "out", file, "--plot-format", "png") == 0
    assert (tmp_path / "out" / "pair_accuracy.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("target", "reached"), [(0.9, True), (0.95, False)])
def test_targets(
    target: float, reached: bool, tmp_path: Path, stand_in: Any, judge: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_lines(tmp_path / "heldout.jsonl", a_dozen())
    wanted = {"pair_accuracy/noise": target, "heldout:source/wiki/chunk_auc/overall": 0.9, "ece/balanced": 1}
    (tmp_path / "targets.json").write_text(json.dumps(wanted))
    arguments = [file, "--targets", tmp_path / "targets.json"]
    assert run(stand_in(), judge, tmp_path / "out", *arguments) == 0
    checked = results_of(tmp_path / "out")["targets"]
    assert [(t["metric"], t["group"], t["sense"], t["reached"]) for t in checked] == [
        ("pair_accuracy/noise", "heldout", "at least", reached),
        ("source/wiki/chunk_auc/overall", "heldout", "at least", True),
        ("ece/balanced", "heldout", "at most", True),
    ]
    assert ("MISSED" in capsys.readouterr().out) != reached
    assert run(stand_in(), judge, tmp_path / "out", *arguments, "--fail-below") == (0 if reached else 1)


def test_targets_that_nothing_measures_are_missed() -> None:
    report = {
        "pair_accuracy": {"overall": {"accuracy": 0.5}, "kinds": {}},
        "chunk_auc": {"overall": {"auc": 1.0}, "kinds": {}},
        "drift": None,
        "length": {"spearman": -0.5},
    }
    targets = [evaluation_targets.Target(None, name, 0.1) for name in ("pair_accuracy/typo", "drift", "length_bias")]
    checked = evaluation_targets.check_targets(targets, {"x": report})
    assert [(t["group"], t["found"], t["reached"]) for t in checked] == [
        (None, None, False),
        ("x", None, False),
        ("x", -0.5, False),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected JSON"),
        ("[1]", "expected an object"),
        ('{"speed": 1}', '"speed": expected'),
        ('{"other:drift": 1}', '"other:drift": expected'),
        ('{"drift": "0.1"}', '"drift": expected a number, found "0.1"'),
    ],
)
def test_bad_targets(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"targets\.json: ") as caught:
        evaluation_targets.read_targets(path, ["heldout"])
    assert message in str(caught.value)


# Bad input


def test_failed_versions(tmp_path: Path, stand_in: Any, judge: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        line("a"),
        line("a", "noise", "", rejected=[]),
        line("b", text="", chosen=[]),
        line("b", "noise", "b" * 100),
    ]
    lines += [line("c"), line("c", "noise", "b" * 100)]
    assert run(stand_in(), judge, tmp_path / "out", write_lines(tmp_path / "x.jsonl", lines)) == 3
    report = results_of(tmp_path / "out")["files"]["x"]
    assert [(f["id"], f["error"]) for f in report["failed_versions"]] == [
        ("a-noise", "text: no tokens"),
        ("b-real", "text: no tokens"),
    ]
    assert report["pair_accuracy"]["overall"]["pairs"] == 1
    assert "a-noise: not scored: text: no tokens" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (b"[]", "expected a JSON object, found []"),
        ({"id": "a-real"}, 'field "id": expected one of its own, found "a-real" of'),
        ({"kind": "a/b"}, 'field "kind": expected a string, not empty, without "/", found "a/b"'),
        ({"source": ""}, 'field "source": expected a string, not empty, without "/", found ""'),
        ({"kind": "overall"}, 'field "kind": expected a kind of damage, found "overall"'),
        ({"document": "a"}, 'document "a": expected one real version, found a second one, the first is'),
        ({"kind": "noise"}, 'document "b": expected a real version (kind "real", scope "document") in the same file'),
    ],
)
def test_bad_lines(broken: bytes | dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    second = broken if isinstance(broken, bytes) else json.dumps(line("b") | broken).encode()
    path.write_bytes(json.dumps(line("a")).encode() + b"\n\n" + second + b"\n")
    with pytest.raises(InputError) as caught:
        read_evaluated(path)
    assert str(caught.value).startswith(f"{path}:3: {message}")


def test_empty_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected versions of documents, found no line"):
        read_evaluated(write_lines(tmp_path / "x.jsonl", []))
    with pytest.raises(InputError, match=r"none\.jsonl: No such file"):
        read_evaluated(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("fail", "message"),
    [
        ("refuse", "prm-score: judge: expected tokenizer.json or tokenizer.model, got neither"),
        ("kill", "prm-score: killed by SIGKILL after 3 of 39 rows"),
        ("stop", "prm-score: expected 39 rows, got 2"),
        ("garbage", "prm-score: row 1 is not as expected"),
    ],
)
def test_runs_that_break(
    fail: str, message: str, tmp_path: Path, stand_in: Any, judge: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_lines(tmp_path / "x.jsonl", a_dozen())
    out = tmp_path / "out"
    assert run(stand_in(), judge, out, file) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert run(stand_in(fail), judge, out, file) == 1
    assert message in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert run(stand_in(fail), judge, tmp_path / "fresh", file) == 1
    assert not (tmp_path / "fresh").exists()


def test_programs_that_cannot_run(tmp_path: Path, judge: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_lines(tmp_path / "x.jsonl", a_dozen())
    assert run(tmp_path / "none", judge, tmp_path / "out", file) == 1
    assert "none: no such program; build it with scripts/quickstart.sh" in capsys.readouterr().err
    (tmp_path / "plain").write_text("text")
    assert run(tmp_path / "plain", judge, tmp_path / "out", file) == 1
    assert "plain: cannot be run: Permission denied" in capsys.readouterr().err


def test_no_document_is_long_enough(
    tmp_path: Path, stand_in: Any, judge: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_lines(tmp_path / "x.jsonl", [line("a"), line("a", "noise", "b" * 100)])
    assert run(stand_in(), judge, tmp_path / "out", file, "--min-chunks", 11) == 1
    assert "x: no document of at least 11 chunks (--min-chunks) among 1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--group", "file"],
        ["a.jsonl", "b/a.jsonl"],
        ["--group", "a/b=c"],
        ["x", "--fail-below"],
        ["x", "--min-chunks", "0"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        evaluate_judge.main(["--judge", "j", "--out", "o", *arguments])
    assert caught.value.code == 2


# Runs with the real program


def example_versions() -> list[dict[str, Any]]:
    rows = [json.loads(text) for text in EXAMPLES.read_text(encoding="utf-8").splitlines()]
    lines = []
    documents = {row["id"].split("-")[0] for row in rows if row["kind"] == "real"}
    for row in rows:
        document = row["id"].split("-")[0]
        if document in documents:
            strength = None if row["kind"] in ("real", "sampled") else 1
            temperature = 1.0 if row["kind"] == "sampled" else None
            lines.append(
                line(document, row["kind"], row["text"], strength=strength, temperature=temperature) | {"id": row["id"]}
            )
    return lines


@needs_binary
def test_examples_with_the_shipped_judge(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "examples.jsonl", example_versions())
    command = [sys.executable, TRAIN / "evaluate_judge.py", file, "--judge", TINY_JUDGE, "--out", tmp_path / "out"]
    command += ["--prm-score", str(BINARY), "--min-chunks", "2", "--threads", "1"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = results_of(tmp_path / "out")
    report = results["files"]["examples"]
    assert report["pair_accuracy"]["kinds"]["word_shuffle"]["accuracy"] == 1
    assert report["chunk_auc"]["kinds"]["word_shuffle"]["auc"] > 0.9
    assert report["failed_versions"] == []
    weights = hashlib.sha256((TINY_JUDGE / "model.safetensors").read_bytes()).hexdigest()
    assert results["run"]["judge"]["sha256"] == {"model.safetensors": weights}
    assert results["run"]["prm_score"]["version"][0].startswith("prm-score ")
    assert "word_shuffle" in done.stdout


@needs_binary
def test_a_judge_that_is_refused(tmp_path: Path, judge: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_lines(tmp_path / "x.jsonl", [line("a"), line("a", "noise", "b" * 100)])
    (judge / "config.json").write_text("{}")
    assert run(Path(str(BINARY)), judge, tmp_path / "out", file) == 1
    assert f"prm-score: exit code 1 after 0 of 2 rows\n  prm-score: {judge}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
