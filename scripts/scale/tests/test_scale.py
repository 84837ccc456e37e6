"""The parts of scripts/scale.py: work, fit, plan, tables; and that the README has what they say."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from dataclasses import astuple, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(REPOSITORY / "scripts"))

from bench.make_checkpoint import SHAPES  # noqa: E402
from bench.program import plan_of  # noqa: E402
from bench.work import ModelShape  # noqa: E402
from scale import checkpoints, costs, lengths, measure, plan, report, texts, timed, work  # noqa: E402
from scale.errors import ScaleError  # noqa: E402
from scale.fit import Cost, Measured, fit, relative_error  # noqa: E402
from scale.measure import JUDGES, STAGES, part_names, read_measurements  # noqa: E402
from scale.work import Prompts, Work, work_of, work_of_document  # noqa: E402

Json = dict[str, Any]
BINARY = os.environ.get("PRM_SCORE_TEST_BINARY")
needs_binary = pytest.mark.skipif(BINARY is None, reason="PRM_SCORE_TEST_BINARY, the path of prm-score, is not set")
TINY_TEMPLATE_ROWS = 14
"""Tokens of the template in the shipped judge's vocabulary."""
UNCUT = Prompts(template_rows=23, max_context=32640)


def command_line() -> Any:
    """scripts/scale.py, whose name the package has, too."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("scale_command", REPOSITORY / "scripts/scale.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Work


def test_one_chunk_is_a_branch_without_a_trunk() -> None:
    assert work_of_document(50, UNCUT) == Work(1, 50, 1, rows=73, keys=73 * 74 / 2)


def test_the_last_chunk_is_in_no_trunk() -> None:
    branches = 87 * 88 / 2 + (59 * 64 + 59 * 60 / 2)
    assert work_of_document(100, UNCUT) == Work(1, 100, 2, rows=64 + 87 + 59, keys=64 * 65 / 2 + branches)


def attended_row_by_row(num_tokens: int, prompts: Prompts) -> list[int]:
    """The keys of every row, from a list of chunks with the begin of their context."""
    size, begin = prompts.chunk_size, 0
    begins = []
    for start in range(0, num_tokens, size):
        while max(0, start - begin) > prompts.max_context:
            begin += max(1, prompts.max_context // (2 * size)) * size
        begins.append((start, min(begin, start)))
    keys = []
    for start, begin in begins:
        own = min(start + size, num_tokens) - start + round(prompts.template_rows)
        keys += [start - begin + i + 1 for i in range(own)]
    last_of_trunk = [a for a, b in pairwise(begins) if a[1] != b[1]] + begins[-1:]
    for start, begin in last_of_trunk:
        keys += range(1, start - begin + 1)
    return keys


@pytest.mark.parametrize("max_context", [0, 64, 192, 256, 32640])
@pytest.mark.parametrize("num_tokens", [1, 64, 65, 400, 1023, 1500])
def test_rows_and_keys_are_those_of_every_row(num_tokens: int, max_context: int) -> None:
    prompts = Prompts(23, max_context)
    keys = attended_row_by_row(num_tokens, prompts)
    found = work_of_document(num_tokens, prompts)
    assert (found.rows, found.keys) == (len(keys), sum(keys))


@needs_binary
@pytest.mark.parametrize("words", [40, 700, 9000])
def test_rows_are_those_of_the_program(tmp_path: Path, words: int) -> None:
    """Its trunks and branches; of 9,000 words the contexts are cut."""
    file = tmp_path / "documents.jsonl"
    texts.write_documents(file, texts.Texts().documents([words], 1))
    found = plan_of(Path(str(BINARY)), checkpoints.TINY_JUDGE, file)
    computed = work_of_document(found["tokens"], Prompts(TINY_TEMPLATE_ROWS, 3968))
    assert computed.chunks == found["chunks"]
    assert computed.rows == pytest.approx(found["rows"], rel=0.01)


@needs_binary
def test_files_of_split_give_the_rows_of_the_whole(tmp_path: Path) -> None:
    """As the README says, but for `line`, which counts in its file."""
    documents = REPOSITORY / "data/examples/docs.jsonl"
    subprocess.run(["split", "-n", "l/4", "-a", "6", "-d", documents, "part."], cwd=tmp_path, check=True)
    parts = sorted(tmp_path.glob("part.*"))
    assert len(parts) == 4

    def rows_of(file: Path) -> list[Json]:
        command = [str(BINARY), "--model", checkpoints.TINY_JUDGE, "--log-level", "error", "--progress", "none", file]
        printed = subprocess.run(command, capture_output=True, check=True).stdout
        return [json.loads(line) | {"line": None} for line in printed.splitlines()]

    assert [row for part in parts for row in rows_of(part)] == rows_of(documents)


def test_template_rows_are_what_the_program_computed_more() -> None:
    documents = [30, 100, 5000]
    rows = round(work_of(documents, Prompts(22.5, 3968)).rows)
    assert work.template_rows(documents, rows, 3968) == pytest.approx(22.5, abs=0.01)


# Fit

TRUE = Cost(run=0.4, document=2e-3, row=9e-3, key=6e-6)
FITTED = ([], [64], [64] * 8, [250] * 3, [600], [1600], [4000])
HELD_OUT = {"posts": lengths.POSTS.lengths(), "articles": [1000, 1000]}


def measured(documents: list[int], cost: Cost = TRUE, factor: float = 1.0) -> Measured:
    amounts = work_of(documents, UNCUT)
    return Measured(str(documents), amounts, factor * cost.seconds(amounts))


def test_fit_finds_the_costs_that_made_the_seconds() -> None:
    found = fit([measured(documents) for documents in FITTED])
    assert astuple(found) == pytest.approx(astuple(TRUE), rel=1e-6)


def test_fit_bears_noise() -> None:
    noise = random.Random(3)
    found = fit([measured(documents, factor=1 + noise.uniform(-0.02, 0.02)) for documents in FITTED])
    assert relative_error(found, measured([2000, 300])) == pytest.approx(0, abs=0.04)


def test_no_cost_is_negative() -> None:
    """Rows that get cheaper with the length would ask for a negative cost of keys."""
    points = [measured(documents, Cost(0.4, 0, 9e-3, -4e-7)) for documents in FITTED]
    found = fit(points)
    assert min(astuple(found)) == 0
    best = sum(relative_error(found, point) ** 2 for point in points)
    for i, cost in enumerate(astuple(found)):
        for changed in (cost * 1.001, cost * 0.999, cost + 1e-9):
            costs_there = list(astuple(found))
            costs_there[i] = changed
            other = Cost(*costs_there)
            assert sum(relative_error(other, point) ** 2 for point in points) >= best - 1e-12


def test_too_few_sets_are_an_error() -> None:
    with pytest.raises(ScaleError, match="expected at least 4 different sets of documents, found 5"):
        fit([measured([64])] * 5)


def test_seconds_that_cannot_be_are_an_error() -> None:
    points = [measured(documents) for documents in FITTED]
    with pytest.raises(ScaleError, match=r"\[600\]: expected seconds above 0, found 0"):
        fit([replace(point, seconds=0) if point.name == "[600]" else point for point in points])


# Lengths and texts


@pytest.mark.parametrize("one", lengths.DISTRIBUTIONS, ids=lambda one: one.name)
def test_lengths_have_the_mean_of_their_distribution(one: lengths.Distribution) -> None:
    found = one.lengths()
    assert sum(found) / len(found) == pytest.approx(one.mean, rel=0.01)
    assert found == sorted(found)


def test_web_pages_are_those_of_c4() -> None:
    bytes_per_token = 828_589_180_707 / 364_868_892 / lengths.PAGES.mean
    assert 4.5 < bytes_per_token < 5  # of English


def test_documents_have_their_words_and_begin_elsewhere() -> None:
    made = list(texts.Texts().documents([3, 50], 4))
    assert [len(text.split()) for text in made] == [3, 50, 3, 50]
    assert len({text[:15] for text in made}) == 4


def test_too_many_words_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two three", encoding="utf-8")
    with pytest.raises(ScaleError, match="expected 1 to 3 words, found 4"):
        texts.Texts(tmp_path).cut(4, 0)
    with pytest.raises(ScaleError, match="expected addresses"):
        texts.Texts(tmp_path / "none")


def test_weights_are_finite_and_small(tmp_path: Path) -> None:
    from bench.safetensors_file import SafetensorsReader

    numpy = pytest.importorskip("numpy")
    checkpoints.make_checkpoint(tmp_path / "made", ModelShape(8, 16, 1, 2, 2, 32, True))
    reader = SafetensorsReader(tmp_path / "made")
    assert (reader.read("model.norm.weight") == 1).all()
    values = numpy.abs(reader.read("model.embed_tokens.weight"))
    assert 2**-7 <= values.min() and values.max() < 2**-5 and len(numpy.unique(values)) > 50


# Runs


def test_a_run_has_the_times_of_its_processors() -> None:
    found = timed.run(Path("/bin/sh"), ["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 0.3"])
    assert 0.02 < found.processor_seconds < found.wall_seconds
    assert found.wall_seconds > 0.3
    assert 0 <= found.others_share <= 1


def test_a_run_that_fails_says_why() -> None:
    with pytest.raises(ScaleError, match="prm-score: exit code 7: second"):
        timed.run(Path("/bin/sh"), ["-c", "echo first >&2; echo second >&2; exit 7"])


@needs_binary
def test_a_judge_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the real program, whose rows are those that are computed of the lengths."""
    sets = (measure.NOTHING, measure.same(64, 2), measure.drawn(lengths.POSTS))
    monkeypatch.setattr(measure, "SHIPPED_SETS", sets)
    part = measure.Measurement(Path(str(BINARY)), tmp_path, measure.Effort(2, 0.01)).part("judge-float32")
    assert [(one["name"], one["fitted"], len(one["lengths"])) for one in part["sets"]] == [
        ("no documents", True, 0),
        ("2 x 64", True, 2),
        ("posts", False, 8),
    ]
    assert [len(one["runs"]) for one in part["sets"]] == [1, 1, 1]  # the first repeat was long enough
    assert part["sets"][2]["lengths"] == pytest.approx(lengths.POSTS.lengths(), rel=0.4)
    assert costs.prompts_of(part) == Prompts(pytest.approx(TINY_TEMPLATE_ROWS, abs=0.5), 3968)
    assert all(run["processor_seconds"] > 0 for one in part["sets"] for run in one["runs"])
    assert part["checkpoint_bytes"] == sum(file.stat().st_size for file in checkpoints.TINY_JUDGE.glob("*.*"))


@needs_binary
def test_stages_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "TOKENIZERS", {"shipped judge": JUDGES["judge-float32"]})
    part = measure.Measurement(Path(str(BINARY)), tmp_path, measure.Effort(1, 1, scale=0.01)).part(STAGES)
    [pages] = part["pages"]
    assert (pages["lines"], len(pages["shares"]), len(pages["runs"])) == (40, 1, 1)
    assert pages["tokens"] == pytest.approx(40 * lengths.PAGES.mean, rel=0.1)
    assert part["passing"]["bytes"][0] == measure.PASSES * part["passing"]["bytes"][1]
    assert (part["merge"]["lines"], part["merge"]["shards"]) == (1000, 4)
    assert (tmp_path / "merged.jsonl").read_bytes().count(b"\n") == 1000


# Costs


def run_of(seconds: float) -> Json:
    return {
        "processor_seconds": seconds,
        "wall_seconds": seconds / 2,
        "scoring_seconds": seconds / 2,
        "others_share": 0.5,
        "peak_bytes": 1,
    }


def part_of(cost: Cost, prompts: Prompts = UNCUT, shape: ModelShape = SHAPES["qwen2.5-0.5b"]) -> Json:
    """As measure writes it, of a judge that has exactly these costs."""
    named = [(f"{len(one)} x {one[:1]}", one, True) for one in FITTED]
    named += [(name, one, False) for name, one in HELD_OUT.items()]
    sets = []
    for name, documents, fitted in named:
        amounts = work_of(documents, prompts)
        sets.append(
            {
                "name": name,
                "fitted": fitted,
                "lengths": documents,
                "forward_rows": round(amounts.rows),
                "max_context": prompts.max_context,
                "threads": 2,
                "runs": [run_of(factor * cost.seconds(amounts)) for factor in (0.9, 1, 3)],
            }
        )
    head = {"title": "0.5B", "dtype": "bfloat16", "shape": vars(shape), "checkpoint_bytes": 10**9}
    about = {"run": {"date": "2026-01-02T03:04:05", "commit": "f" * 40}, "machine": {"cpu": "Abacus", "cores": 2}}
    return head | about | {"fingerprint_runs": [run_of(0.9)], "sets": sets}


def test_a_judge_is_fitted_by_the_median_of_its_runs() -> None:
    lane = costs.fitted_lane(part_of(TRUE))
    assert astuple(lane.cost) == pytest.approx(astuple(TRUE), rel=1e-3)
    assert lane.prompts.template_rows == pytest.approx(23, abs=0.01)
    assert lane.start_seconds == pytest.approx(TRUE.run)
    assert [one.name for one in lane.checked] == ["posts", "articles"]
    assert [one.error for one in lane.checked] == pytest.approx([0, 0], abs=1e-3)


def test_a_measured_distribution_is_said_to_be_measured() -> None:
    lane = costs.fitted_lane(part_of(TRUE))
    posts = work_of(HELD_OUT["posts"], UNCUT)
    expected = (TRUE.seconds(posts) - TRUE.run) / posts.tokens * 1e6
    assert lane.seconds_per_million("posts", [1]) == (pytest.approx(expected, rel=1e-3), True)
    books = work_of([30000], UNCUT)
    computed = (TRUE.row * books.rows + TRUE.key * books.keys + TRUE.document) / 30000 * 1e6
    assert lane.seconds_per_million("books", [30000]) == (pytest.approx(computed, rel=1e-3), False)


def test_only_long_runs_that_nothing_disturbed_say_how_busy_cores_are() -> None:
    part = part_of(TRUE)
    quiet, short, *_ = part["sets"][6]["runs"]  # 4,000 tokens
    quiet |= {"others_share": 0.01, "processor_seconds": 40.4, "scoring_seconds": 25.0}
    short |= {"others_share": 0.01, "scoring_seconds": 2.0}
    lane = replace(costs.fitted_lane(part), cost=TRUE)
    assert costs.busy_shares(part, lane) == [pytest.approx(0.8)]


def test_other_rows_than_computed_are_an_error() -> None:
    part = part_of(TRUE)
    part["sets"][3]["forward_rows"] *= 2
    with pytest.raises(ScaleError, match=r"3 x \[250\]: expected \d+ rows of the forward passes, found \d+"):
        costs.fitted_lane(part)


def test_costs_grow_with_the_operations() -> None:
    small = ModelShape(8, 16, 2, 2, 2, 100, True)
    large = ModelShape(16, 16, 3, 2, 2, 100, True)
    # A layer: 8 x 24 + 8 x 8 + 8 x 32 + 16 x 8 = 640; 16 x 48 + 16 x 16 + 16 x 32 + 16 x 16 = 1,792.
    assert costs.ratios(small, large) == (pytest.approx(3 * 1792 / (2 * 640)), 3)


def test_a_larger_model_that_takes_as_much_per_operation_is_as_computed() -> None:
    small = part_of(TRUE)
    rows, keys = costs.ratios(SHAPES["qwen2.5-0.5b"], checkpoints.SHAPE_1_5B)
    larger = Cost(3.0, TRUE.document * rows, TRUE.row * rows, TRUE.key * keys)
    large = part_of(larger, shape=checkpoints.SHAPE_1_5B)
    lane = costs.fitted_lane(small)
    errors = [one.error for one in costs.check_scaling(small, lane, large)]
    assert errors == pytest.approx([0, 0], abs=1e-3)


def gpu_results() -> Json:
    return json.loads((REPOSITORY / "data/bench/cuda/results.json").read_text(encoding="utf-8"))


def test_the_gpu_takes_as_long_as_it_took() -> None:
    results = gpu_results()
    lane = costs.gpu_lane(results)
    found = next(one for one in results["checkpoints"] if one["name"] == "random 7B")["sets"][0]
    [took] = found["prm_score_seconds"]["256"]
    assert lane.measured["articles"] == pytest.approx(took / found["plan"]["tokens"] * 1e6)
    assert lane.cost.seconds(work_of([996] * 256, lane.prompts)) == pytest.approx(took, rel=2e-3)
    assert 0.07 < lane.cost.key * work_of([996] * 256, lane.prompts).keys / took < 0.09  # flash attention's share


def test_gpu_results_without_the_big_judge_are_an_error() -> None:
    with pytest.raises(ScaleError, match="expected a checkpoint of 7B, found none"):
        costs.gpu_lane(gpu_results() | {"checkpoints": []})


# Plan

STAGES_SECONDS = plan.Stages(
    page_bytes=2500,
    parse_per_byte=1e-8,
    tokenize_per_token=5e-7,
    pass_per_byte=1e-9,
    hash_per_byte=5e-10,
    merge_per_row=1e-6,
    row_bytes=200,
)
ASSUMED = plan.Assumptions({costs.CORE: 0.05, costs.H200: 3.6})


def test_a_billion_documents() -> None:
    lane = costs.Lane("7B", "bfloat16", costs.H200, Cost(0, 0.036, 0, 0), UNCUT, {})
    found = plan.billion(lane, "pages", [400], STAGES_SECONDS, ASSUMED, plan.CpuWorker(8, 0.5))
    assert found.workers_for_a_day == pytest.approx(36e6 / 86400)
    assert found.dollars == pytest.approx(36_000)  # 10,000 hours
    assert found.documents_per_hour == pytest.approx(100_000)
    assert found.start_seconds == pytest.approx(15.2 * 0.5 / 4 + 7.6 + 14)
    assert found.repeat_in_file_seconds == pytest.approx(2 + 0.25)  # 250 MB at 1 GB/s
    assert found.repeat_in_whole_seconds == pytest.approx(2 + 2500)  # 2.5 TB
    assert found.equal_shards == pytest.approx(36e6 / 2500)
    assert found.one_percent_shards == pytest.approx(144)
    assert found.storage_bytes_per_second == pytest.approx(36e6 / 86400 * 2.5e12 / 86400)
    assert found.fed_units == pytest.approx(0.036 / (400 * 5e-7 + 2500e-8))


def test_a_worker_of_more_cores_takes_less_time_and_as_much_money() -> None:
    lane = costs.Lane("0.5B", "bfloat16", costs.CORE, Cost(0, 4.0, 0, 0), UNCUT, {}, start_seconds=1.5)
    one, four = (plan.billion(lane, "pages", [400], STAGES_SECONDS, ASSUMED, plan.CpuWorker(cores)) for cores in (1, 4))
    assert one.workers_for_a_day == pytest.approx(4 * four.workers_for_a_day)
    assert one.dollars == pytest.approx(four.dollars) == pytest.approx(4e9 / 3600 * 0.05)
    assert one.start_seconds == four.start_seconds == 1.5
    idle = plan.billion(lane, "pages", [400], STAGES_SECONDS, ASSUMED, plan.CpuWorker(4, busy_share=0.5))
    assert idle.workers_for_a_day == pytest.approx(2 * four.workers_for_a_day)
    assert idle.dollars == pytest.approx(2 * four.dollars)  # idle cores are paid for
    assert idle.documents_per_hour == pytest.approx(four.documents_per_hour / 2)
    assert idle.fed_units == pytest.approx(2 * four.fed_units)


def stages_part() -> Json:
    pair = [{"documents": run_of(3.3), "nothing": run_of(0.3)}]
    shares = [{"read_seconds": 0.5, "tokenize_seconds": 1.0, "write_seconds": 0.1}]
    pages = {"tokenizer": "Qwen2.5", "bytes": 10**7, "lines": 4000, "tokens": 2 * 10**6, "chunks": 33000}
    return {
        "pages": [pages | {"runs": pair, "shares": shares}],
        "passing": {"bytes": [31 * 10**8, 10**8], "runs": pair},
        "merge": {"lines": 3 * 10**6, "bytes": 6 * 10**8, "shards": 4, "runs": pair},
    }


def test_stages_by_their_shares() -> None:
    found = plan.stages_of(stages_part(), [(10**7, 0.5), (10**9, 1.49)])
    assert found.page_bytes == 2500
    assert found.parse_per_byte == pytest.approx(1e-7)
    assert found.tokenize_per_token == pytest.approx(1e-6)
    assert found.pass_per_byte == pytest.approx(1e-9)
    assert found.hash_per_byte == pytest.approx(1e-9)
    assert (found.merge_per_row, found.row_bytes) == (pytest.approx(1e-6), 200)


def test_stages_that_took_no_time_are_an_error() -> None:
    part = stages_part()
    part["merge"]["runs"] = [{"documents": run_of(0.3), "nothing": run_of(0.4)}]
    with pytest.raises(ScaleError, match=r"expected more processor seconds than without documents, found -0\.1 more"):
        plan.stages_of(part, [(10**7, 0.5), (10**9, 1.49)])
    with pytest.raises(ScaleError, match="expected a larger checkpoint that takes longer to hash"):
        plan.stages_of(stages_part(), [(10**7, 0.5), (10**9, 0.4)])


# Tables


@pytest.mark.parametrize(
    ("amount", "dollars", "duration", "size"),
    [
        (0.0123, "$0.012", "0.0123 s", "0.0123 B"),
        (12.34, "$12.34", "12.3 s", "12.3 B"),
        (0.2, "$0.20", "0.2 s", "0.2 B"),
        (1800, "$1,800", "30 min", "1.8 kB"),
        (36e3, "$36,000", "10 h", "36 kB"),
        (2.5e12, "$2,500,000,000,000", "694,000,000 h", "2.5 TB"),
        (23604, "$23,600", "6.56 h", "23.6 kB"),
    ],
)
def test_amounts(amount: float, dollars: str, duration: str, size: str) -> None:
    assert (report.dollars(amount), report.seconds(amount), report.size(amount)) == (dollars, duration, size)


def measurements() -> Json:
    parts = {name: part_of(TRUE) | {"title": judge.title, "dtype": judge.dtype} for name, judge in JUDGES.items()}
    parts["judge-float32"] |= {"checkpoint_bytes": 10**7, "fingerprint_runs": [run_of(0.3)]}
    return {"parts": parts | {STAGES: stages_part() | {"run": {"date": "2026-01-02"}, "machine": {}}}}


def written(folder: Path, content: Json) -> str:
    file = folder / "measurements.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return str(file)


def test_every_cell_says_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["table", "--measurements", written(tmp_path, measurements()), "--price", "core=36"]
    assert command_line().main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = [cell.strip() for cell in next(line for line in lines if "0.5B, bfloat16 |" in line).split("|")[2:-1]]
    assert [cell[-2:] for cell in cells] == [" m", " c", " m", " c"]  # posts and articles are among the sets
    amounts = work_of([1000, 1000], UNCUT)
    seconds = (TRUE.seconds(amounts) - TRUE.run) / 2000 * 1e6
    assert cells[2] == f"{round(seconds, -2):,.0f} s, ${round(seconds / 100):,.0f} m"
    gpu = next(line for line in lines if line.startswith("| H200: 7B"))
    assert [cell.strip()[-2:] for cell in gpu.split("|")[2:-1]] == [" c", " c", " m", " c"]


def test_the_readme_has_what_the_measurements_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line().main(["table"]) == 0
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    begin, end = "<!-- scale:begin -->\n", "<!-- scale:end -->"
    assert readme[readme.index(begin) + len(begin) : readme.index(end)] == capsys.readouterr().out


def test_the_report_has_what_the_measurements_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line().main(["fit"]) == 0
    assert (REPOSITORY / "data/scale/report.md").read_text(encoding="utf-8") == capsys.readouterr().out


def test_the_worst_error_and_the_disturbance_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = measurements()
    posts = next(one for one in content["parts"]["0.5b-float32"]["sets"] if one["name"] == "posts")
    for run in posts["runs"]:
        run |= {"processor_seconds": 1.25 * run["processor_seconds"], "others_share": 0.7}
    assert command_line().main(["table", "--measurements", written(tmp_path, content)]) == 0
    said = capsys.readouterr().out
    assert "the fit says 20% too little at worst (posts, 0.5B, float32), the scaling" in said
    assert "others took up to 70% of the machine, and repeats differ by up to 233%" in said  # 0.9, 1 and 3 times


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "measurements.json: expected measurements, found Expecting value"),
        ("[]", 'measurements.json: expected an object with "parts", found none'),
        ('{"parts": 1}', 'measurements.json: expected an object with "parts", found none'),
        ('{"parts": {}}', 'expected the part "judge-float32", found nothing; measure --parts judge-float32 adds it'),
        (None, "measurements.json: expected measurements, found"),
    ],
)
def test_bad_measurements_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, message: str
) -> None:
    file = tmp_path / "measurements.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    assert command_line().main(["fit", "--measurements", str(file)]) == 1
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


@pytest.mark.parametrize("missing", ["sets", "dtype", "fingerprint_runs"])
def test_a_field_that_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: str) -> None:
    content = measurements()
    del content["parts"]["0.5b-bfloat16"][missing]
    assert command_line().main(["table", "--measurements", written(tmp_path, content)]) == 1
    assert f"found KeyError('{missing}')" in capsys.readouterr().err


def test_gpu_results_that_are_no_json_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "results.json"
    file.write_text("{", encoding="utf-8")
    arguments = ["table", "--measurements", written(tmp_path, measurements()), "--gpu-results", str(file)]
    assert command_line().main(arguments) == 1
    assert "results.json: expected JSON, found" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        ["--price", "core"],
        ["--price", "cores=1"],
        ["--price", "core=-1"],
        ["--price", "core=nan"],
        ["--cores", "0"],
        ["--documents", "0"],
        ["--disk-bytes-per-second", "inf"],
    ],
)
def test_wrong_usage(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command_line().main(["table", *wrong])
    assert stopped.value.code == 2
    assert f"argument {wrong[0]}: expected" in capsys.readouterr().err


def test_names_of_parts() -> None:
    assert part_names("stages,judge-float32") == ("stages", "judge-float32")
    with pytest.raises(ValueError):
        part_names("judge")


def test_a_measured_part_is_read_back(tmp_path: Path) -> None:
    file = Path(written(tmp_path, measurements()))
    assert read_measurements(file, report.NEEDED) == measurements()
