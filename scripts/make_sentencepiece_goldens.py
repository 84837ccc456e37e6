#!/usr/bin/env python3
"""Writes data/golden/sentencepiece/: four small `tokenizer.model` files and what the `sentencepiece` package does with
them, for tests/text/sentencepiece_tokenizer_test.cpp.

    scripts/make_sentencepiece_goldens.py            goldens of the models that are there, missing ones are trained
    scripts/make_sentencepiece_goldens.py --train    trains all models anew first

Training need not give the same bytes twice; the goldens always belong to the models beside them (`model_sha256`).

goldens.json: {"versions", "texts", "random", "models": {NAME: {"model_sha256", "cases", "decode", "files", "random"}}}
  texts   {"parts": [[string, count], ..]}: the strings, repeated; or
          {"step", "separator"}: the code points 0, step, 2 step, .. without surrogates, each followed by separator
  cases   one per text: {"ids", "decoded", "prefixes": [decode(ids[0:0]), decode(ids[0:1]), ..]},
          {"num_ids", "ids_sha256"} where the text is long
  decode  {"ids", "decoded"}: ids that no text gives
  random  texts from a generator that the test repeats (see `random_text`), one hash of the ids of each `batch` texts
A hash is SHA-256 over the ids as little-endian int32.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import platform
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

from train import required_packages  # noqa: F401

# isort: split
import sentencepiece

DATA = Path(__file__).resolve().parents[1] / "data"
GOLDEN = DATA / "golden" / "sentencepiece"
CORPUS_FILES = ["corpus/moby-dick.txt", "corpus/sotu/1790_george_washington_n.txt"]
SPACE_MARK = "\u2581"

COMMON = dict(vocab_size=1000, num_threads=1, minloglevel=2, split_digits=True, hard_vocab_limit=False)
LLAMA_LIKE = dict(
    COMMON,
    model_type="bpe",
    byte_fallback=True,
    normalization_rule_name="identity",
    remove_extra_whitespaces=False,
    allow_whitespace_only_pieces=True,
    required_chars="AB",
)

# A few rules in the manner of NFKC: one to many, many to one, dropped, turned into a space.
NORMALIZATION_RULES = {
    "\u00bd": "1\u20442",
    "\ufb01": "fi",
    "\ufdfa": "\u0635\u0644\u0649 \u0627\u0644\u0644\u0647",
    "e\u0301": "\u00e9",
    "\u200b": "",
    "\t": " ",
    "\n": " ",
    "\u00a0": " ",
    "\u3000": " ",
    "\u2026": "...",
    **{chr(0xFF01 + i): chr(0x21 + i) for i in range(94)},
}

MODELS: dict[str, dict] = {
    "llama": dict(LLAMA_LIKE),
    "mistral": dict(
        LLAMA_LIKE,
        user_defined_symbols=["[INST]", "[/INST]", "<|im_start|>", "abab", "ab[", f"{SPACE_MARK}{SPACE_MARK}!", "th"],
        control_symbols=["[TOOL_CALLS]", "[CONTROL_1]"],
    ),
    "gemma": dict(
        LLAMA_LIKE,
        add_dummy_prefix=False,
        user_defined_symbols=["\n", "\n\n", "\n\n\n", SPACE_MARK * 2, SPACE_MARK * 3, "<start_of_turn>"],
    ),
    "unigram": dict(
        COMMON,
        model_type="unigram",
        remove_extra_whitespaces=True,
        user_defined_symbols=["<mask>", "ab", "abc", "cab", "bcabc"],
        required_chars="AB",
    ),
}
# What tokenizer_config.json of each folder says; None = no such file.
CONFIGS: dict[str, dict | None] = {
    "llama": {"add_bos_token": True, "add_eos_token": True},
    "mistral": {"add_bos_token": False},
    "gemma": None,
    "unigram": {"add_bos_token": None, "model_max_length": 512},
}


def training_lines() -> Iterator[str]:
    for name in CORPUS_FILES:
        yield from (line for line in (DATA / name).read_text(encoding="utf-8").splitlines() if line)


def train(name: str) -> None:
    options = dict(MODELS[name])
    model = io.BytesIO()
    lines = training_lines()
    # The model keeps the name of the rules' file: a bare one, in a folder of its own.
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        if options["model_type"] == "unigram":
            rules = sorted(NORMALIZATION_RULES.items())
            Path("rules.tsv").write_text("".join(f"{_hex(source)}\t{_hex(target)}\n" for source, target in rules))
            options["normalization_rule_tsv"] = "rules.tsv"
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=lines, model_writer=model, **options)
    folder = GOLDEN / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    if CONFIGS[name] is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(CONFIGS[name]) + "\n")


def _hex(text: str) -> str:
    return " ".join(f"{ord(c):X}" for c in text)


def torture_texts() -> list[dict]:
    """As `texts` of goldens.json."""
    texts = [
        "", " ", "  ", "   ", " a", "a ", "  a  b  ", "A", "B", " A", "AB", "Hello world", "Hello  world.\n\nHow are you?",
        "tab\tand\r\nCRLF\rand\u2028line\u2029end\u0085", "trailing newline\n", "\n", "\n\n\n\n\n", "\t\t",
        "caf\u00e9 cafe\u0301 \u1ea4 A\u0302\u0301", "\u1112\u1161\u11ab\u1100\u1173\u11af \ud55c\uae00",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f1e9\U0001f1ea \U0001f44d\U0001f3fd",
        "\u0301\u0308 lone marks \u0300", "\ufffd\ufffd and \ufffd", "a\0b\0\0", "\0", "\ufeffBOM \ufffe\uffff",
        "\u0660\u0661\u0662 \u0967\u0968 \uff11\uff12 12345 3.14159 \u00bd\u2155", "don't DON'T I'll I'LL we've WE'VE",
        "<s>", "</s>", "<unk>", "<s> Hello</s><pad>", "<0x41><0xE2>", "[INST] hi [/INST]", "[TOOL_CALLS][CONTROL_1]",
        "<|im_start|>user\nabababab[INST]ab[", "<start_of_turn>user\n\n\n\nx", "<mask>ababcabcabcab<mask", "[INS", "<|im_sta",
        "\u2581", "\u2581\u2581 \u2581", "a\u2581b \u2581c\u2581 d", " \u2581", "\u2581 ", "   !", "x  ! y",
        "\u4e2d\u6587\u5b57\u7b26\u4e32\u3002\u65e5\u672c\u8a9e\u3002", "\u0633\u0644\u0627\u0645 \u05e9\u05dc\u05d5\u05dd",
        "\ufb01ne \uff21\uff22\uff23 \u2026 x\u200by \ufdfa\u3000\u00a0end", "\u200b\u200b", " \u3000 ", "x\u00bd", "\u00bdx",
        "\U00010348 \U0010ffff \U000e0001", "\u20ac\u20ac\u20ac\u20ac", "a\u20ac\U0001f600\u00e9z",
        "\n\n<<JUDGEMENT_REGION>>\nchunk\n<</JUDGEMENT_REGION>>\n\n<<JUDGEMENT>>", "Call me Ishmael. Some years ago--never mind",
        "The quick brown fox jumps over the lazy dog 1234567890 times, didn't it?", "ends inside a wor", "the" * 30, "ab" * 41,
    ]  # fmt: skip
    runs = ["a", " ", "\n", "\u2581", "\u20ac", "ab", "a ", "\U0001f600", "th", "1", "\0"]
    return [
        *({"parts": [[text, 1]]} for text in texts),
        *({"parts": [[run, 100_000]]} for run in runs),
        {"parts": [["x", 1], [" ", 50_000], ["y", 1]]},
        {"step": 0x35, "separator": ""},
        {"step": 0x35, "separator": " "},
    ]


def expand(text: dict) -> str:
    if "parts" in text:
        return "".join(string * count for string, count in text["parts"])
    code_points = (c for c in range(0, 0x110000, text["step"]) if not 0xD800 <= c < 0xE000)
    return "".join(chr(c) + text["separator"] for c in code_points)


def hash_ids(ids: list[int]) -> str:
    return hashlib.sha256(struct.pack(f"<{len(ids)}i", *ids)).hexdigest()


def case(processor: sentencepiece.SentencePieceProcessor, text: str) -> dict:
    ids = processor.encode(text, out_type=int)
    if len(text) > 2_000:
        return {"num_ids": len(ids), "ids_sha256": hash_ids(ids)}
    prefixes = [processor.decode(ids[:n]) for n in range(min(len(ids), 40))]
    return {"ids": ids, "decoded": processor.decode(ids), "prefixes": prefixes}


def decode_only_cases(processor: sentencepiece.SentencePieceProcessor) -> list[dict]:
    """Ids that Encode does not give in this order: reserved pieces, marks at the front, bytes that are no characters."""
    find = processor.piece_to_id
    mark, bos, eos, unk = find(SPACE_MARK), processor.bos_id(), processor.eos_id(), processor.unk_id()
    the = find(SPACE_MARK + "the")
    lists = [[bos], [eos, mark], [mark, mark], [bos, the], [mark, bos, the], [unk], [unk, the], [the, unk, unk], [mark, the]]
    lists += [[the, bos, the], [mark, eos, mark, the], [bos, mark, eos, mark, mark, the], [eos, bos, mark], [find("A"), mark]]
    if find("<0x00>") != unk:
        byte_lists = ["E2", "E296", "E29681", "C080", "EDA080", "F4908080", "FF41", "00", "E282", "82ACE2", "F09F98", "20", "E220"]
        for hex_bytes in byte_lists:
            byte_ids = [find(f"<0x{byte:02X}>") for byte in bytes.fromhex(hex_bytes)]
            lists += [byte_ids, [the, *byte_ids, the], [mark, *byte_ids], [*byte_ids, mark], [bos, *byte_ids, the]]
            lists += [[*byte_ids[:1], bos, *byte_ids[1:]], [*byte_ids, *byte_ids]]
    lists.append(list(range(processor.get_piece_size())))
    return [{"ids": ids, "decoded": processor.decode(ids)} for ids in lists]


RANDOM = {
    "seed": 20_250_101,
    "count": 20_000,
    "batch": 500,
    "max_pieces": 24,
    "alphabet": [
        " ", " ", "  ", "\n", "\n\n", "\t", "\r\n", "\u2581", "\u2581\u2581", "\0", "a", "b", "ab", "abc", "cab", "t", "th", "the",
        "he", "in", "ing", "whale", "Ahab", "A", "B", "1", "23", ".", ",", "!", "'s", "\u00e9", "e\u0301", "\u20ac", "\U0001f600",
        "\u4e2d", "\u0301", "\ufffd", "\u200b", "\u00bd", "\uff21", "\u3000", "[INST]", "[/INST]", "[", "<|im_start|>", "<mask>",
        "<start_of_turn>", "<s>", "</s>", "<unk>", "<0x41>", "<<JUDGEMENT_REGION>>", "<</JUDGEMENT_REGION>>", "<<JUDGEMENT>>",
    ],  # fmt: skip
}


def random_text(state: int) -> tuple[str, int]:
    """A text of up to max_pieces strings of the alphabet, and the next state of the generator (Knuth's MMIX LCG)."""

    def draw(bound: int) -> int:
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (state >> 33) % bound

    num_pieces = draw(RANDOM["max_pieces"] + 1)
    return "".join(RANDOM["alphabet"][draw(len(RANDOM["alphabet"]))] for _ in range(num_pieces)), state


def random_hashes(processor: sentencepiece.SentencePieceProcessor) -> list[str]:
    state, hashes = RANDOM["seed"], []
    for _ in range(RANDOM["count"] // RANDOM["batch"]):
        ids: list[int] = []
        for _ in range(RANDOM["batch"]):
            text, state = random_text(state)
            ids += processor.encode(text, out_type=int)
        hashes.append(hash_ids(ids))
    return hashes


def goldens_of(name: str) -> dict:
    path = GOLDEN / name / "tokenizer.model"
    processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
    files = {}
    for file in CORPUS_FILES:
        ids = processor.encode((DATA / file).read_text(encoding="utf-8"), out_type=int)
        files[file] = {"num_ids": len(ids), "ids_sha256": hash_ids(ids)}
    return {
        "model_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "vocab_size": processor.get_piece_size(),
        "bos_id": processor.bos_id(),
        "labels": {label: processor.piece_to_id(label) for label in ("A", "B")},
        "cases": [case(processor, expand(text)) for text in torture_texts()],
        "decode": decode_only_cases(processor),
        "files": files,
        "random": random_hashes(processor),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", action="store_true", help="train all models anew")
    arguments = parser.parse_args()
    for name in MODELS:
        if arguments.train or not (GOLDEN / name / "tokenizer.model").exists():
            train(name)
    goldens = {
        "versions": {"sentencepiece": sentencepiece.__version__, "python": platform.python_version()},
        "texts": torture_texts(),
        "random": RANDOM,
        "models": {name: goldens_of(name) for name in MODELS},
    }
    # Newlines between cases keep the diffs readable.
    text = json.dumps(goldens, ensure_ascii=True, separators=(",", ":")).replace('},{"', '},\n{"')
    (GOLDEN / "goldens.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
