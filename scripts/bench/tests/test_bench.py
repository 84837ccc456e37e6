"""The parts of the benchmark that measure nothing, and a worker that is given something to do."""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from array import array
from functools import partial
from math import prod
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(REPOSITORY / "scripts"))

from bench import documents, prefixes, profile, ratios, report, rounds, safetensors_file, work  # noqa: E402
from bench.child import Child  # noqa: E402
from bench.documents import DocumentSet  # noqa: E402
from bench.errors import BenchError, RivalError  # noqa: E402
from bench.lanes import Lane, Workload, group_by_memory, make_lane  # noqa: E402
from bench.make_checkpoint import SHAPES, tensors_of  # noqa: E402
from bench.participants import Input, Machine, Scored  # noqa: E402
from bench.prompts import read_prompts  # noqa: E402
from bench.rivals import DEFAULT_RIVALS, KINDS, RivalName, parse_rivals  # noqa: E402


def ids(*values: int) -> array:
    return array("i", values)


# Documents


def test_cut_keeps_the_white_space_between_words() -> None:
    assert documents.cut("  one\n\ntwo   three four", 3) == "one\n\ntwo   three"


def test_cut_says_how_many_words_there_are() -> None:
    with pytest.raises(BenchError, match="expected at least 4 words, found 3"):
        documents.cut("one two three", 4)


def test_documents_start_in_different_addresses_and_go_on_in_the_next() -> None:
    made = documents.make_documents(["a b c", "d e f", "g h i", "j k l"], DocumentSet(num_words=5, count=2))
    assert made == ["a b c\n\nd e", "g h i\n\nj k"]


def test_sets_are_sorted_by_length() -> None:
    assert documents.parse_sets("850:4,200:8,20000") == (
        DocumentSet(200, 8),
        DocumentSet(850, 4),
        DocumentSet(20000, 1),
    )


@pytest.mark.parametrize("text", ["", "x", "200:0", "0:3", "200:"])
def test_wrong_sets(text: str) -> None:
    if text == "200:":
        assert documents.parse_sets(text) == (DocumentSet(200, 1),)
    else:
        with pytest.raises(ValueError):
            documents.parse_sets(text)


def test_prompts_are_grouped_by_document(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    rows = [{"line": 1, "input_ids": [1, 2]}, {"line": 1, "input_ids": [3]}, {"line": 4, "input_ids": [5]}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert read_prompts(file) == [[ids(1, 2), ids(3)], [ids(5)]]


def test_a_bad_row_among_the_prompts_is_named(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"line":1,"reward":null,"error":"no tokens"}\n', encoding="utf-8")
    with pytest.raises(BenchError, match=r"prompts\.jsonl:1: expected input_ids, found no tokens"):
        read_prompts(file)


# What prompts share


@pytest.mark.parametrize(
    ("a", "b", "expected"), [([], [1], 0), ([1, 2, 3], [1, 2, 3], 3), ([1, 2, 3], [1, 2, 4, 5], 2), ([1], [2], 0)]
)
def test_common_prefix(a: list[int], b: list[int], expected: int) -> None:
    assert prefixes.common_prefix(ids(*a), ids(*b)) == expected


def rebuilt(trunks: list[prefixes.Trunk]) -> list[array]:
    found = {b.index: trunk.ids[: b.shared] + b.ids for trunk in trunks for b in trunk.branches}
    return [found[i] for i in range(len(found))]


def test_trunk_and_branches_are_the_prompts() -> None:
    # 9 is the template. In the third prompt the context's last token merged with it (7).
    prompts = [ids(9, 1, 9), ids(1, 2, 9, 3, 9), ids(1, 2, 3, 7, 5, 9)]
    (trunk,) = prefixes.make_trunks(prompts)
    assert trunk.ids == ids(1, 2)
    assert [(b.index, b.shared, list(b.ids)) for b in trunk.branches] == [
        (0, 0, [9, 1, 9]),
        (1, 2, [9, 3, 9]),
        (2, 2, [3, 7, 5, 9]),
    ]
    assert rebuilt([trunk]) == prompts
    assert trunk.num_rows == 2 + 3 + 3 + 4


def test_a_prompt_is_never_shared_as_a_whole() -> None:
    prompts = [ids(1, 2), ids(1, 2, 3)]
    trunks = prefixes.make_trunks(prompts)
    assert all(len(branch.ids) > 0 for trunk in trunks for branch in trunk.branches)
    assert rebuilt(trunks) == prompts


def test_contexts_that_lost_their_beginning_have_a_trunk_of_their_own() -> None:
    first, second = array("i", range(1000)), array("i", range(5000, 6000))
    prompts = [first[:800] + ids(9), first + ids(9), second[:900] + ids(9), second + ids(9)]
    trunks = prefixes.make_trunks(prompts)
    assert [len(trunk.branches) for trunk in trunks] == [2, 2]
    assert rebuilt(trunks) == prompts
    assert sum(trunk.num_rows for trunk in trunks) < 2400


# Work


def test_work_of_a_layer() -> None:
    shape = SHAPES["qwen2.5-0.5b"]
    assert shape.layer_parameters == 896 * (896 + 256) + 896 * 896 + 3 * 896 * 4864
    assert shape.num_parameters == pytest.approx(494e6, rel=0.001)
    tensors = sum(prod(tensor.shape) for tensor in tensors_of(shape))
    assert tensors == pytest.approx(shape.num_parameters, rel=0.001)  # biases and norms


def test_last_layer_counts_only_what_is_needed() -> None:
    shape = work.ModelShape(8, 16, 1, 2, 1, 10, True)
    keys_and_values = 2 * 8 * 4
    assert work.needed_flops(shape, 100, 0) == 2 * 100 * keys_and_values
    assert work.needed_flops(shape, 100, 100) == 2 * 100 * shape.layer_parameters


def test_attention_counts_what_each_row_sees() -> None:
    shape = work.ModelShape(8, 16, 3, 2, 1, 10, True)
    prompts = [ids(9, 1, 9), ids(1, 2, 9, 3, 9), ids(1, 2, 3, 7, 5, 9)]
    computed = {tuple(prompt[: end + 1]) for prompt in prompts for end in range(len(prompt))}  # what is shared, once
    in_a_layer = 2 * 2 * 8 * sum(len(row) for row in computed)  # 8 numbers, multiplied and added, in two products
    answering = 2 * 2 * 8 * sum(len(prompt) for prompt in prompts)
    assert work.attention_flops(shape, [prompts]) == 2 * in_a_layer + answering
    assert work.attention_flops(shape, [prompts, prompts]) == 2 * (2 * in_a_layer + answering)


def test_attention_is_counted_in_a_row_of_its_own() -> None:
    found = results()
    without = report.share_of_ceiling(found["checkpoints"][0], found["checkpoints"][0]["sets"][0], "float32")
    assert "attention's" not in report.speed_table(found)  # results of a time before it was counted
    plan = found["checkpoints"][0]["sets"][0]["plan"]
    plan["attention_flops"] = 2 * 10**9  # in 4 seconds, of 1 GFLOP/s
    assert f"| the same, attention's products counted as well | {without + 0.5:.0%} |" in report.speed_table(found)
    assert f" {without + 0.5:.1%} |" in report.ceiling_table(found)


def test_sharing_saves_work() -> None:
    shape = SHAPES["tiny"]
    prompts = [array("i", [*range(64 * i), -1, -2, *range(64)]) for i in range(1, 9)]
    assert work.estimated_flops(shape, [prompts], True) < work.estimated_flops(shape, [prompts], False) / 2


def test_groups_fit_into_memory() -> None:
    lanes = [make_lane(name, "float32") for name in parse_rivals("transformers-one,llama-bf16,llama-q8_0")]
    assert [len(group) for group in group_by_memory(lanes, 10**9, 1e12)] == [3]
    assert [len(group) for group in group_by_memory(lanes, 10**9, 7e9)] == [1, 2]
    assert [len(group) for group in group_by_memory(lanes, 10**9, 1)] == [1, 1, 1]


# Rivals and rounds


def test_rival_names() -> None:
    assert parse_rivals("vllm,prm-score@bfloat16") == (RivalName("vllm", ""), RivalName("prm-score", "bfloat16"))
    assert parse_rivals("prm-score@int8,ctranslate2@int8")[1] == RivalName("ctranslate2", "int8")
    assert {name.name for name in parse_rivals(DEFAULT_RIVALS)} <= {"prm-score", *KINDS}
    with pytest.raises(ValueError):
        parse_rivals("sglang")
    with pytest.raises(ValueError):
        parse_rivals("vllm@int8")


def test_only_the_same_computation_is_held_to_the_tolerance() -> None:
    held = {
        name.text: make_lane(name, "float32").held_to_tolerance
        for name in parse_rivals("transformers-one,transformers-one@bfloat16,llama-f32,llama-q8_0,prm-score@bfloat16")
    }
    assert held == {
        "transformers-one@": True,
        "transformers-one@bfloat16": False,
        "llama-f32@": True,
        "llama-q8_0@": False,
        "prm-score@bfloat16": False,
    }


class Steady:
    """A participant that needs the same time for each document, and fails after some turns."""

    def __init__(self, seconds: float, offset: float = 0.0, turns: int = 1000):
        self.seconds, self.offset, self.turns = seconds, offset, turns
        self.counts: list[int] = []

    def score(self, documents: Input, deadline: float) -> Scored:
        assert deadline > time.monotonic()
        if len(self.counts) == self.turns:
            raise RivalError("out of memory")
        self.counts.append(documents.count)
        log_odds = [[1.0 + self.offset] for _ in range(documents.count)]
        return Scored(self.seconds * documents.count, log_odds)

    def kill(self) -> None:
        pass


def lane(name: str, participant: Steady) -> Lane:
    made = make_lane(RivalName(name, ""), "float32")
    made.participant = participant  # type: ignore[assignment]
    made.seconds_per_flop = participant.seconds
    return made


def workload(count: int) -> Workload:
    plan = {"chunks": count, "rows": 10 * count, "rows_without_sharing": 20 * count}
    no_file = Path("documents.jsonl")
    return Workload("some", 5, Input(no_file, no_file, count), 10, plan, (1.0,) * count, (1.0,) * count)


def test_rounds_compare_equal_work() -> None:
    base, fast, slow, hopeless = Steady(1.0), Steady(0.5), Steady(6.0, offset=0.01), Steady(100.0)
    rivals = [lane("transformers-prefix", fast), lane("transformers-one", slow), lane("transformers-batch", hopeless)]
    found = rounds.measure_set(lane("prm-score", base), rivals, workload(4), rounds.Limits(3, 40.0))
    assert found["rivals"]["transformers-prefix@float32"]["ratio"]["median"] == pytest.approx(0.5)
    slow_result = found["rivals"]["transformers-one@float32"]
    assert slow_result["documents"] == 2  # 2 documents x 6 s x 3 rounds are within 40 s, 3 are not
    assert slow_result["ratio"]["median"] == pytest.approx(6.0)
    assert slow_result["largest_difference"] == pytest.approx(0.01)
    assert found["rivals"]["transformers-batch@float32"]["reason"] == "too slow: about 100 s for one document"
    assert hopeless.counts == []
    assert sorted(base.counts) == [2, 2, 2, 4, 4, 4]


def test_a_rival_that_fails_leaves_its_reason() -> None:
    failing = lane("transformers-one", Steady(1.0, turns=1))
    found = rounds.measure_set(lane("prm-score", Steady(1.0)), [failing], workload(2), rounds.Limits(3, 100.0))
    assert found["rivals"]["transformers-one@float32"] == {"reason": "out of memory"}
    assert failing.participant is None


def test_prm_score_itself_must_not_fail() -> None:
    with pytest.raises(BenchError, match="out of memory"):
        rounds.measure_set(lane("prm-score", Steady(1.0, turns=1)), [], workload(2), rounds.Limits(3, 100.0))


def test_curves_end_where_it_takes_too_long() -> None:
    lanes = [lane("prm-score", Steady(1.0)), lane("transformers-one", Steady(6.0))]
    curves = rounds.measure_growth(lanes, [workload(1), workload(2), workload(4)], max_seconds=20.0, repeats=2)
    assert {name: [point["documents"] for point in curve] for name, curve in curves.items()} == {
        "prm-score@float32": [1, 2, 4],
        "transformers-one@float32": [1],
    }


def test_median_of_ratios_is_not_the_ratio_of_medians() -> None:
    # The machine was three times as slow in the second round, for both.
    assert ratios.ratio_of([2.0, 6.0, 2.2], [1.0, 3.0, 1.0]) == ratios.Ratio(2.0, 2.0, 2.2)
    with pytest.raises(ValueError):
        ratios.ratio_of([1.0], [1.0, 2.0])


def test_differences_need_the_same_chunks() -> None:
    assert ratios.largest_difference([[1.0, 2.0], [3.0]], [[1.0, 2.5], [3.1]]) == 0.5
    with pytest.raises(ValueError):
        ratios.largest_difference([[1.0]], [[1.0, 2.0]])


# Report


def result(ratio: float, difference: float, held: bool = True, count: int = 4) -> dict:
    spread = {"median": ratio, "lowest": ratio - 0.1, "highest": ratio + 0.1}
    return {
        "reason": None,
        "documents": count,
        "seconds": [1.0],
        "ratio": spread,
        "largest_difference": difference,
        "held_to_tolerance": held,
    }


def results() -> dict:
    rivals = {
        "one@float32": result(3.456, 2e-5, count=1),
        "wrong@float32": result(1.5, 0.25),
        "reduced@bfloat16": result(0.91, 0.25, held=False),
        "absent@float32": {"reason": "not installed | no wheel"},
    }
    measured = {
        "set": "4 x 200 words",
        "documents": 4,
        "plan": {"chunks": 20, "rows": 3000, "rows_without_sharing": 9000, "tokens": 50},
        "prm_score_seconds": {"1": [1.0], "4": [4.0, 5.0, 4.0]},
        "rivals": rivals,
    }
    shape = {
        name: getattr(SHAPES["tiny"], name)
        for name in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    } | {"num_key_value_heads": 2, "vocab_size": 100, "tie_word_embeddings": True}
    checkpoint = {
        "name": "random",
        "shape": shape,
        "ceiling": {"float32": {"gflops": 1.0}},
        "sets": [measured],
        "memory_bytes": {"prm-score@float32": 2**30, "one@float32": 3 * 2**30},
    }
    return {
        "run": {
            "date": "2026-01-02T03:04:05+00:00",
            "commit": "0123456789abcdef",
            "changed_since_commit": False,
            "load_before": 1.5,
        },
        "machine": {"cpu": "Some CPU", "gpu": []},
        "prm_score_version": ["prm-score 0.1.0", "libtorch 1.2.3"],
        "settings": {"dtype": "float32", "device": "cpu", "threads": 2},
        "titles": {"one@float32": "one", "wrong@float32": "wrong", "reduced@bfloat16": "bf", "absent@float32": "gone"},
        "checkpoints": [checkpoint],
        "start_up": {"seconds_to_first_row": [0.5, 0.4, 0.6], "peak_bytes": [2**20, 2**21], "num_words": 300},
    }


def test_table() -> None:
    lines = report.speed_table(results()).splitlines()
    assert lines[0] == "|  | random: 4 x 200 words | log-odds off by | GiB |"
    assert lines[2] == "| **prm-score, float32**, chunks/s | 5 | 0 | 1.0 |"
    assert lines[4] == "| faster than one | 3.46 x (1 of 4) | 2.0e-05 | 3.0 |"
    assert lines[5] == "| faster than wrong | 1.5 x | **2.5e-01: computes something else** | - |"
    assert lines[6] == "| faster than bf | 0.91 x | 2.5e-01 | - |"
    assert lines[7] == "| faster than gone | - | - | - |"
    assert "3.46 x [3.36, 3.56] (1 of 4)" in report.speed_table(results(), with_spread=True)


def test_nan_is_not_within_the_tolerance() -> None:
    assert "computes something else" in report.difference_cell([result(1.0, float("nan"))])


def test_report_says_why_a_cell_is_empty_and_when_it_was_measured() -> None:
    text = report.full_report(results(), "growth.svg")
    assert "- gone: not installed | no wheel" in text
    assert "- the machine was not idle: load 1.5 before the run" in text
    assert "on 2026-01-02 (commit 012345678): Some CPU, 2 threads, libtorch 1.2.3" in text
    assert "first row 0.50 s after its start and takes 2 MiB" in text
    assert "](growth.svg)" in text


BEGIN, END = report.marks("cpu")
GPU_BEGIN, GPU_END = report.marks("cuda")


def test_readme_block_is_replaced_and_nothing_else() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nbetween\n{GPU_BEGIN}\nother\n{GPU_END}\nafter"
    once = report.replace_block(text, "cpu", "new \\1", "README.md")
    assert once == f"before\n{BEGIN}\nnew \\1\n{END}\nbetween\n{GPU_BEGIN}\nother\n{GPU_END}\nafter"
    assert report.replace_block(once, "cpu", "new \\1", "README.md") == once
    both = report.replace_block(once, "cuda", "fast", "README.md")
    assert both == f"before\n{BEGIN}\nnew \\1\n{END}\nbetween\n{GPU_BEGIN}\nfast\n{GPU_END}\nafter"


@pytest.mark.parametrize("text", ["nothing", f"{END} {BEGIN}", f"{BEGIN}{BEGIN}{END}", f"{GPU_BEGIN}{GPU_END}"])
def test_readme_without_its_marks(text: str) -> None:
    with pytest.raises(BenchError, match=r"README\.md: expected <!-- bench cpu:begin --> and <!-- bench cpu:end -->"):
        report.replace_block(text, "cpu", "new", "README.md")


NCU = """==PROF== Connected
"ID","Process ID","Kernel Name","Grid Size","Metric Name","Metric Unit","Metric Value"
"1","7","nvjet_sm90_tst_320x128_64x3_1x2_h_bz_coopB_TNT","(2, 66, 1)","gpu__time_duration.sum","us","6,000"
"2","7","void pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits<128, 128, 64, 4>>(Params)","(1)","t","ms","1.5"
"3","7","add_rms_norm","(4096, 1, 1)","gpu__time_duration.sum","ns","500000"
"4","7","nvjet_other","(2, 66, 1)","gpu__time_duration.sum","us","2000"
"""


def test_kernels_of_a_gpu_are_added_up_by_what_they_do() -> None:
    assert profile.parse_kernels(NCU) == [
        {"share": 0.8, "library": "cuBLAS", "symbol": "matrix products"},
        {"share": 0.15, "library": "libtorch", "symbol": "pytorch_flash::flash_fwd_kernel"},
        {"share": 0.05, "library": "prm-score", "symbol": "add_rms_norm"},
    ]
    assert profile.parse_kernels("==ERROR== no driver\n") == []


# Files and processes


def _data_of(encoded: dict[str, bytes], tensor: safetensors_file.TensorInfo) -> bytes:
    return encoded[tensor.name]


def test_safetensors_round_trip(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    tensors = [safetensors_file.TensorInfo("a", (2, 3)), safetensors_file.TensorInfo("b", (4,))]
    values = {"a": numpy.arange(6, dtype="<f4").reshape(2, 3) / 4, "b": numpy.array([1, -2, 0.5, 3e5], dtype="<f4")}
    bfloat16 = {name: (value.view("<u4") >> 16).astype("<u2") for name, value in values.items()}
    for dtype, data in (("F32", values), ("BF16", bfloat16)):
        folder = tmp_path / dtype
        folder.mkdir()
        encoded = {name: value.tobytes() for name, value in data.items()}
        write = safetensors_file.write_safetensors
        write(folder / "model.safetensors", dtype, tensors, partial(_data_of, encoded))
        reader = safetensors_file.SafetensorsReader(folder)
        assert list(reader.names()) == ["a", "b"]
        assert (reader.read("a") == values["a"]).all()
        assert numpy.allclose(reader.read("b"), values["b"], rtol=2**-8)


def tiny_checkpoint(folder: Path) -> work.ModelShape:
    """Written without torch; sizes that Q8_0's blocks of 32 fit into."""
    import numpy

    from bench.make_checkpoint import config_of

    shape = work.ModelShape(64, 96, 2, 4, 2, 50, True)
    generator = numpy.random.default_rng(0)
    safetensors_file.write_safetensors(
        folder / "model.safetensors",
        "F32",
        tensors_of(shape),
        lambda tensor: generator.standard_normal(tensor.shape).astype("<f4").tobytes(),
    )
    (folder / "config.json").write_text(json.dumps(config_of(shape, "float32")), encoding="utf-8")
    return shape


@pytest.mark.parametrize(("kind", "tolerance"), [("F32", 0), ("BF16", 2**-7), ("Q8_0", 0.03)])
def test_gguf_round_trip(tmp_path: Path, kind: str, tolerance: float) -> None:
    gguf = pytest.importorskip("gguf")
    import numpy

    from bench.gguf_converter import convert, gguf_name

    shape = tiny_checkpoint(tmp_path)
    convert(tmp_path, tmp_path / "model.gguf", kind)
    read = gguf.GGUFReader(tmp_path / "model.gguf")
    found = {tensor.name: tensor for tensor in read.tensors}
    original = safetensors_file.SafetensorsReader(tmp_path)
    assert set(found) == {gguf_name(name) for name in original.names()}
    for name in original.names():
        tensor, expected = found[gguf_name(name)], original.read(name)
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(expected.shape)
        assert numpy.abs(values - expected).max() <= tolerance * numpy.abs(expected).max()
        if expected.ndim == 1:
            assert (values == expected).all()
    assert read.fields["qwen2.block_count"].contents() == shape.num_hidden_layers
    assert read.fields["qwen2.attention.head_count_kv"].contents() == shape.num_key_value_heads
    assert read.fields["qwen2.rope.freq_base"].contents() == shape.rope_theta


def test_names_of_other_models_are_refused() -> None:
    from bench.gguf_converter import gguf_name

    assert gguf_name("model.layers.12.self_attn.k_proj.bias") == "blk.12.attn_k.bias"
    with pytest.raises(ValueError, match=r"model\.layers\.0\.self_attn\.q_norm\.weight: expected"):
        gguf_name("model.layers.0.self_attn.q_norm.weight")


def python_child(tmp_path: Path, code: str) -> Child:
    return Child("child", [sys.executable, "-c", code], os.environ, tmp_path / "child.log")


def test_a_child_answers_and_its_memory_is_known(tmp_path: Path) -> None:
    child = python_child(tmp_path, "import sys\nfor line in sys.stdin: print(len(line), flush=True)")
    lines = [b"x" * 200_000, b"y" * 300_000]  # more than a pipe holds
    child.send(lines)
    assert [child.receive(time.monotonic() + 60) for _ in lines] == [b"200001", b"300001"]
    ending = child.finish()
    assert ending.exit_code == 0
    assert ending.peak_bytes > 1 << 20


def test_a_child_that_dies_says_why(tmp_path: Path) -> None:
    child = python_child(tmp_path, "import sys; sys.exit('no such model')")
    with pytest.raises(RivalError, match="ended with exit code 1: no such model"):
        child.receive(time.monotonic() + 60)
    child.kill()


def test_a_child_that_hangs_is_stopped(tmp_path: Path) -> None:
    child = python_child(tmp_path, "import time; time.sleep(600)")
    with pytest.raises(RivalError, match="time limit"):
        child.receive(time.monotonic() + 0.2)
    assert child.finish().exit_code == -9


def test_a_header_is_aligned(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    safetensors_file.write_safetensors(path, "F32", [safetensors_file.TensorInfo("a", (1,))], lambda _: b"\0" * 4)
    (length,) = struct.unpack("<Q", path.read_bytes()[:8])
    assert length % 8 == 0


PERF_REPORT = """
# Total Lost Samples: 0
#
# Overhead  Shared Object      Symbol
    70.25%  libtorch_cpu.so    [.] mkl_blas_avx512_sgemm_kernel
    10.50%  prm-score          [.] void prm_score::(anonymous namespace)::attend<float, 2>(prm_score::Queries const&)
     4.00%  prm-score          [.] prm_score::(anonymous namespace)::attend<c10::BFloat16>(int)
     3.25%  [kernel.kallsyms]  [k] clear_page_erms
"""


def test_places_of_a_profile() -> None:
    places = profile.parse_report(PERF_REPORT)
    assert places == [
        {"share": 0.7025, "library": "libtorch_cpu.so", "symbol": "mkl_blas_avx512_sgemm_kernel"},
        {"share": 0.145, "library": "prm-score", "symbol": "attend"},
        {"share": 0.0325, "library": "[kernel.kallsyms]", "symbol": "clear_page_erms"},
    ]


def test_code_made_at_run_time_is_one_place() -> None:
    line = "     {share}%  [JIT] tid 12409       [.] 0x00007f790b2bf374\n"
    text = line.format(share=0.47) + line.format(share=0.46)
    assert profile.parse_report(text) == [{"share": 0.0093, "library": "[JIT]", "symbol": "oneDNN's matrix kernels"}]


def test_profile_in_the_report() -> None:
    found = results()
    found["checkpoints"][0]["profile"] = {"set": "a set", "reason": None, "places": profile.parse_report(PERF_REPORT)}
    assert "| `attend` | prm-score | 14.5% |" in report.full_report(found, None)
    found["checkpoints"][0]["profile"] = {"set": "a set", "reason": "perf is not installed", "places": []}
    assert "a set**, model loading included. Not measured: perf is not installed." in report.full_report(found, None)


def test_a_profile_that_cannot_be_made_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    perf = tmp_path / "perf"
    perf.write_text("#!/bin/sh\necho first >&2\necho no permission >&2\nexit 255\n")
    perf.chmod(0o755)
    arguments = (tmp_path / "prm-score", tmp_path, tmp_path / "docs.jsonl", "float32", Machine("cpu", 1), tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert profile.profile(*arguments) == {"reason": "perf: no permission", "places": []}
    perf.unlink()
    assert profile.profile(*arguments)["reason"].startswith("perf is not installed")


def test_converted_checkpoints_are_known_by_their_content(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"weights")
        (folder / "config.json").write_text("{}")
    known = safetensors_file.fingerprint(first)
    assert safetensors_file.fingerprint(second) == known
    (second / "model.safetensors").write_bytes(b"Weights")
    assert safetensors_file.fingerprint(second) != known
    (first / "config.json").write_text("{ }")
    assert safetensors_file.fingerprint(first) != known
