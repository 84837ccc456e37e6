"""Sampling: exact on a tiny model, patient with a server."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from http_post import RetryPolicy
from protocol_server import ServerProcess
from sampling import OpenAISampler, Request, SamplingError, open_sampler, without_cut_character
from tokenizers import Tokenizer
from transformers import Qwen2Config, Qwen2ForCausalLM
from transformers_sampler import TransformersSampler, _draws, _pick

Start = Callable[..., ServerProcess]

TOKENIZER = Path(__file__).resolve().parents[3] / "data" / "tiny-judge" / "tokenizer.json"
VOCABULARY = 4096
ADDED = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
PREFIX = "The whale was seen again, and all hands went to the boats. "


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model whose answers are far from uniform, so that mistakes show."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tiny") / "tiny-base"
    torch.manual_seed(1)
    config = Qwen2Config(
        vocab_size=VOCABULARY + 8,  # some rows more than the tokenizer has ids
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.4,
        bos_token_id=4091,
        eos_token_id=4091,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    shutil.copy(TOKENIZER, folder)
    return folder


@pytest.fixture(scope="session")
def exact(checkpoint: Path) -> TransformersSampler:
    return TransformersSampler(checkpoint, batch=8, bfloat16=False)


@pytest.fixture(scope="session")
def model(checkpoint: Path) -> Qwen2ForCausalLM:
    return Qwen2ForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(TOKENIZER))


def ids_of(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False).ids


def forbidden_ids() -> list[int]:
    return list(range(4091, VOCABULARY + 8))


def varied_requests(number: int) -> list[Request]:
    """Prefixes of no, few and many tokens, padded and not, with different lengths and temperatures."""
    long_text = PREFIX * 20
    prefixes = ["", "A", PREFIX, long_text, long_text[: 3 * len(PREFIX)]]
    return [Request(prefixes[i % 5], 5 + 7 * i % 30, 0.7 + 0.1 * (i % 8), 1000 + i) for i in range(number)]


@pytest.mark.parametrize("temperature", [0.0, 1e-6])
@pytest.mark.parametrize("prefix", ["", "A", PREFIX, PREFIX * 30])
def test_lowest_temperature_is_greedy(
    exact: TransformersSampler, model: Qwen2ForCausalLM, tokenizer: Tokenizer, prefix: str, temperature: float
) -> None:
    context = ids_of(tokenizer, prefix)[-192:] or [4091]
    ids = torch.tensor([context])
    expected = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=40,
        do_sample=False,
        suppress_tokens=forbidden_ids(),
        pad_token_id=4091,
    )[0, len(context) :]
    ((_, text),) = exact.sample([Request(prefix, 40, temperature, 1)])
    assert text == without_cut_character(tokenizer.decode(expected.tolist(), skip_special_tokens=False))
    assert len(text) > 20


@pytest.mark.parametrize("bfloat16", [False, True])
def test_same_text_alone_in_company_and_in_any_order(checkpoint: Path, bfloat16: bool) -> None:
    sampler = TransformersSampler(checkpoint, batch=8, bfloat16=bfloat16)
    requests = varied_requests(20)
    together = dict(sampler.sample(requests))
    assert sorted(together) == list(range(20))
    assert len(set(together.values())) == 20
    backwards = dict(sampler.sample(requests[::-1]))
    assert {19 - index: text for index, text in backwards.items()} == together
    for index in range(0, 20, 6):
        assert dict(sampler.sample([requests[index]])) == {0: together[index]}
    other_seed = dict(sampler.sample([replace(request, seed=request.seed + 7) for request in requests[:8]]))
    assert all(other_seed[index] != together[index] for index in other_seed)


def test_fewer_tokens_are_the_beginning(exact: TransformersSampler) -> None:
    (_, short), (_, long) = sorted(exact.sample([Request(PREFIX, 10, 1.0, 5), Request(PREFIX, 30, 1.0, 5)]))
    assert long.startswith(short) and len(long) > len(short)


def test_special_tokens_never_appear(checkpoint: Path) -> None:
    # A model that would say nothing else: their output rows are the only ones that are not small.
    sampler = TransformersSampler(checkpoint, batch=32, bfloat16=False)
    with torch.no_grad():
        weight = sampler._model.get_output_embeddings().weight
        weight[:4091] *= 0.01
        weight[4091:] *= 10
    for _, text in sampler.sample([Request(PREFIX, 40, 1.5, seed) for seed in range(32)]):
        assert text and not any(token in text for token in ADDED)


def test_distribution_is_the_softmax(exact: TransformersSampler, model: Qwen2ForCausalLM, tokenizer: Tokenizer) -> None:
    number = 1600
    for prefix, temperature in [(PREFIX, 1.0), ("A", 1.0), ("A", 1.6)]:
        with torch.inference_mode():
            logits = model(torch.tensor([ids_of(tokenizer, prefix)])).logits[0, -1].double() / temperature
            logits[forbidden_ids()] = float("-inf")
        # Characters that one token only begins decode to nothing: compared as texts.
        expected: Counter[str] = Counter()
        for id_, probability in enumerate(logits.softmax(-1).tolist()):
            expected[without_cut_character(tokenizer.decode([id_]))] += probability * number
        drawn = Counter(t for _, t in exact.sample([Request(prefix, 1, temperature, seed) for seed in range(number)]))
        cells = [text for text, mean in expected.most_common() if mean >= 8]
        assert len(cells) >= 5
        rest_drawn, rest_mean = number - sum(drawn[c] for c in cells), number - sum(expected[c] for c in cells)
        chi_square = sum((drawn[c] - expected[c]) ** 2 / expected[c] for c in cells)
        chi_square += (rest_drawn - rest_mean) ** 2 / max(rest_mean, 8)
        # Mean and standard deviation of the statistic: n and sqrt(2 n).
        assert chi_square < len(cells) + 5 * (2 * len(cells)) ** 0.5, (prefix, temperature, chi_square, len(cells))


def test_pick_never_takes_an_id_without_weight() -> None:
    logits = torch.full((5, 6), -40.0)
    logits[:, 3] = 2.0
    draws = torch.tensor([[0.0], [1e-300], [0.5], [1 - 2**-53], [1.0]], dtype=torch.float64)
    temperatures = torch.ones(5, 1)
    assert _pick(logits.clone(), temperatures, draws, torch.tensor([0, 4, 5])).flatten().tolist()[2] == 3
    for temperature in (1e-20, 0.01, 1.0):
        picked = _pick(logits.clone(), temperatures * temperature, draws, torch.tensor([0, 1, 2, 4, 5]))
        assert picked.flatten().tolist() == [3] * 5


def test_draws_are_uniform_and_their_own() -> None:
    draws = _draws(Request("", 1, 1.0, 3), 4000)
    assert 0 <= draws.min() and draws.max() < 1 and abs(draws.mean() - 0.5) < 0.03
    assert torch.equal(draws[:10], _draws(Request("other", 9, 0.5, 3), 10))
    assert not torch.equal(draws[:10], _draws(Request("", 1, 1.0, 4), 10))


def test_prefix_says_what_it_says(exact: TransformersSampler) -> None:
    # The text "<|endoftext|>" is no special token, and not the same as an empty prefix.
    (_, said), (_, empty) = sorted(exact.sample([Request("<|endoftext|>", 20, 0.0, 1), Request("", 20, 0.0, 1)]))
    assert said != empty


def test_only_the_end_of_a_long_prefix_counts(checkpoint: Path) -> None:
    sampler = TransformersSampler(checkpoint, batch=2, bfloat16=False, max_context_tokens=24)
    fronts = ["", "Once upon a time. " * 900]
    texts = dict(sampler.sample([Request(front + PREFIX * 9, 20, 1.0, 1) for front in fronts]))
    assert texts[0] == texts[1]


def test_context_leaves_room_in_the_model(exact: TransformersSampler) -> None:
    # 256 positions: 156 of context at most for 100 tokens.
    ((_, text),) = exact.sample([Request(PREFIX * 30, 100, 1.0, 1)])
    assert text and exact.max_tokens == 255
    message = "request 1: max_tokens: expected less than the model's 256 positions, found 256"
    with pytest.raises(ValueError, match=message):
        list(exact.sample([Request("", 255, 1.0, 1), Request("", 256, 1.0, 1)]))


@pytest.mark.parametrize("text", ["é", "x\ufffd", "x\ufffd\ufffd", "\ufffdx", ""])
def test_cut_characters(text: str) -> None:
    assert without_cut_character(text) == {"x\ufffd": "x", "x\ufffd\ufffd": "x"}.get(text, text)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request("", 0, 1.0, 1), "request 0: max_tokens: expected 1 or more, found 0"),
        (Request("", 1, -1.0, 1), "request 0: temperature: expected a number from 0 on, found -1.0"),
        (Request("", 1, float("nan"), 1), "request 0: temperature: .* found nan"),
    ],
)
def test_requests_that_make_no_sense(exact: TransformersSampler, request_: Request, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(exact.sample([request_]))
    with pytest.raises(ValueError, match=message):
        list(OpenAISampler("http://127.0.0.1:1/v1", "model").sample([request_]))


def test_checkpoint_without_a_configuration(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a checkpoint folder with config\.json, found none in it"):
        open_sampler(f"transformers:{tmp_path}")
    with pytest.raises(ValueError, match=r"expected a checkpoint folder with config\.json, found no such folder"):
        open_sampler(f"transformers:{tmp_path}/not-there")
    with pytest.raises(ValueError, match="threads: expected 1 or more, found 0"):
        TransformersSampler(tmp_path, threads=0)


def test_tokenizer_without_its_file(checkpoint: Path, tmp_path: Path, exact: TransformersSampler) -> None:
    """A tokenizer of another kind of file: read by AutoTokenizer."""
    shutil.copytree(checkpoint, tmp_path / "tiny-base")
    (tmp_path / "tiny-base" / "tokenizer.json").unlink()
    tokenizer = json.loads(TOKENIZER.read_text(encoding="utf-8"))
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in tokenizer["model"]["merges"]]
    (tmp_path / "tiny-base" / "vocab.json").write_text(json.dumps(tokenizer["model"]["vocab"]), encoding="utf-8")
    (tmp_path / "tiny-base" / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    shutil.copy(TOKENIZER.with_name("tokenizer_config.json"), tmp_path / "tiny-base")
    sampler = TransformersSampler(tmp_path / "tiny-base", batch=8, bfloat16=False)
    requests = varied_requests(5)
    assert dict(sampler.sample(requests)) == dict(exact.sample(requests))


def server_sampler(server: ServerProcess, policy: RetryPolicy, **options: object) -> OpenAISampler:
    return OpenAISampler(server.url + "/v1/", "some-model", policy=policy, **options)


def test_server_is_asked_as_the_protocol_says(
    start_server: Start, quick: RetryPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server = start_server()
    sampler = server_sampler(server, quick)
    assert sampler.name == "http:some-model"
    assert list(sampler.sample([Request("abc", 7, 0.9, 42)])) == [(0, " after 3, 7 tokens at 0.9, seed 42")]
    body = {"model": "some-model", "prompt": "abc", "max_tokens": 7, "temperature": 0.9, "top_p": 1, "seed": 42, "n": 1}
    more = {"top_k": -1, "min_p": 0, "repetition_penalty": 1, "ignore_eos": True, "min_tokens": 7}
    assert server.get("/last") == body | more | {"authorization": None}
    list(sampler.sample([Request("", 7, 0.9, 42)]))
    assert server.get("/last")["prompt"] == "<|endoftext|>"


def test_server_that_takes_openai_fields_only(
    start_server: Start, quick: RetryPolicy, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start_server("--strict")
    sampler = server_sampler(server, quick, concurrency=1)
    assert [text is None for _, text in sampler.sample([Request("[[id=a status=400 times=9]]", 7, 0.9, 42)])] == [True]
    requests = [Request(f"[[id=b times=0]] {i}", 7, 0.9, i) for i in range(5)]
    assert all(text for _, text in sampler.sample(requests))
    assert server.count("b") == 5 + 1 and "top_k" not in server.get("/last")  # asked with all the fields once
    assert "1 of 1 requests refused and left out" in capsys.readouterr().err


def test_only_the_end_of_a_long_prefix_is_sent(start_server: Start, quick: RetryPolicy) -> None:
    server = start_server()
    list(server_sampler(server, quick, max_context_tokens=5).sample([Request("x" * 99 + "y" * 20, 7, 0.9, 42)]))
    assert server.get("/last")["prompt"] == "y" * 20


def test_server_key(start_server: Start, quick: RetryPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start_server("--api-key", "right")
    monkeypatch.setenv("OPENAI_API_KEY", "right")
    assert len(list(server_sampler(server, quick).sample([Request("a", 1, 1.0, 1)]))) == 1
    with pytest.raises(SamplingError, match="status 401") as info:
        list(server_sampler(server, quick, api_key="a-wrong-key").sample([Request("a", 1, 1.0, 1)]))
    assert "a-wrong-key" not in str(info.value)


def test_server_faults_lose_no_other_request(start_server: Start, quick: RetryPolicy) -> None:
    server = start_server()
    requests = [Request(f"text {i}", 3, 1.0, i) for i in range(50)]
    requests[2] = replace(requests[2], prefix="[[id=passing status=500 times=2]]")
    requests[3] = replace(requests[3], prefix="[[id=lasting answer=null times=99]]")
    requests[4] = replace(requests[4], prefix="[[id=refused status=400 times=99]]")
    done = {}
    with pytest.raises(SamplingError, match=r"/v1/completions: expected a completion, found status .*1 of 50 requests"):
        for index, text in server_sampler(server, quick).sample(requests):
            done[index] = text
    assert sorted(done) == [i for i in range(50) if i != 3] and done[4] is None
    assert [server.count(id_) for id_ in ("passing", "lasting")] == [3, 4]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "sampler: expected transformers:PATH_OR_NAME or openai:URL#MODEL, found ''"),
        ("transformers:", "sampler: expected transformers:PATH_OR_NAME or openai:URL#MODEL"),
        ("vllm:http://host", "found 'vllm:http://host'"),
        ("openai:http://host/v1", "sampler: expected openai:URL#MODEL, found 'openai:http://host/v1'"),
        ("openai:#model", "sampler: expected openai:URL#MODEL"),
        ("openai:host:8000#model", "URL: expected http://HOST"),
    ],
)
def test_sampler_specs_that_are_none(spec: str, message: str) -> None:
    with pytest.raises(ValueError) as info:
        open_sampler(spec)
    assert message in str(info.value)


def test_sampler_specs(checkpoint: Path) -> None:
    assert open_sampler(f"transformers:{checkpoint}").name == "transformers:tiny-base"
    assert open_sampler("openai:http://127.0.0.1:8000/v1#org/model").name == "http:org/model"
