"""Small tokenizers with the components and flags of real ones, trained on the corpus."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

DATA = Path(__file__).resolve().parent.parent / "data"
FOLDER = DATA / "golden" / "tokenizers"
QWEN25_FOLDER = DATA / "qwen2.5-tokenizer"
TRAINING_FILES = ["sotu/1862_abraham_lincoln_r.txt", "sotu/1963_john_f_kennedy_d.txt", "sotu/2015_barack_obama_d.txt"]
# Scripts of which the corpus has nothing: so that some of their merges are there, and cut characters too.
TRAINING_LINES = ["été déjà señor größe über façade", "日本語の日本 世界 日本語", "привет мир, привет", "한글 한국어 한글",
                  "😀😀 👍👍", "        \t\t\t\n\n\n\n", "======== -------- ////", "aaaa aaaaaaaa aaaaaaaaaaaaaaaa"] * 40

QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+")
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
          r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def split(pattern: str, kind: str = "Regex") -> dict:
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": "Isolated", "invert": False}


def byte_level(use_regex: bool, **flags) -> dict:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": use_regex} | flags


def sequence(key: str, *steps: dict) -> dict:
    return {"type": "Sequence", key: list(steps)}


def template(bos: str, bos_id: int) -> dict:
    special = {"SpecialToken": {"id": bos, "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [special, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [special, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {bos: {"id": bos, "ids": [bos_id], "tokens": [bos]}},
    }


def token(content: str, special: bool = False, **flags) -> dict:
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": special} | flags


CHAT = [token(t, special=True) for t in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")]
TOOLS = [token(t) for t in ("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_suffix|>", "<think>", "</think>")]
# Tokens that begin, hold and touch each other, take white space, and are looked for in the normalised text.
ODD = [
    token("<|im_end|>", special=True), token("<a>"), token("<a><b>"), token("<b>"), token("<b><a><a>"),
    token("<l>", lstrip=True), token("<r>", rstrip=True, special=True), token("<lr>", lstrip=True, rstrip=True),
    token(" <sp>"), token("[sp]", lstrip=True, normalized=True), token("cafe\u0301", normalized=True),
    token("<n\u00e9>", normalized=True), token("\u1112\u1161\u11ab", normalized=True, special=False),
    token("<|", special=True), token("|>x"), token("\u00e9\u00e8"),
]
NFC = {"type": "NFC"}
NFC_SEQUENCE = {"type": "Sequence", "normalizers": [NFC]}

# Parts of each kind that differ; `legacy_merges`: "a b" in place of ["a", "b"]; `in_vocab`: added tokens come first, in
# the vocabulary; `extra`: tokens that no merge makes; `all_bytes` false: bytes the training texts lack have no token.
KINDS = {
    "qwen3": {"normalizer": NFC, "pre_tokenizer": sequence("pretokenizers", split(QWEN), byte_level(False)),
              "post_processor": byte_level(False), "added": CHAT + TOOLS},
    "llama3": {"pre_tokenizer": sequence("pretokenizers", split(LLAMA3), byte_level(False)),
               "added": [token("<|begin_of_text|>", special=True), token("<|eot_id|>", special=True)],
               "bos": "<|begin_of_text|>", "ignore_merges": True,
               "extra": ["Ġconstitutionally", "zzzzqqqq", "constitution", "ab", "ĠÃ©tÃ©", "777", "æĹ¥æľ¬èªŀ"]},
    "mistral_nemo": {"pre_tokenizer": sequence("pretokenizers", split(TEKKEN), byte_level(False)), "in_vocab": True,
                     "added": [token(t, special=True)
                               for t in ("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "<SPECIAL_9>")],
                     "bos": "<s>", "ignore_merges": True, "legacy_merges": True},
    "gpt2": {"pre_tokenizer": byte_level(True, trim_offsets=True), "post_processor": byte_level(True),
             "added": [token("<|endoftext|>", special=True)], "legacy_merges": True,
             "model": {"continuing_subword_prefix": "", "end_of_word_suffix": ""}},
    "no_pattern": {"normalizer": NFC_SEQUENCE, "pre_tokenizer": sequence("pretokenizers", byte_level(False)),
                   "added": CHAT, "decoder": sequence("decoders", byte_level(True))},
    "two_splits": {"normalizer": NFC, "added": CHAT,
                   "pre_tokenizer": sequence("pretokenizers", split("::", "String"), split(r"\p{N}{1,3}"),
                                             split("|>", "String"), byte_level(True))},
    "odd_tokens": {"normalizer": NFC, "added": ODD,
                   "pre_tokenizer": sequence("pretokenizers", split(QWEN), byte_level(False))},
    "odd_words": {"normalizer": NFC,
                  "added": ODD + [token("word", single_word=True), token("w\u00f6rd", single_word=True, normalized=True),
                                  token("<n\u00e8>", normalized=True, special=True)],
                  "pre_tokenizer": sequence("pretokenizers", split(QWEN), byte_level(False))},
    "some_bytes": {"normalizer": None, "added": CHAT, "all_bytes": False,
                   "pre_tokenizer": sequence("pretokenizers", split(QWEN), byte_level(False))},
}


def train_model(pre_tokenizer: dict, vocab_size: int, all_bytes: bool) -> dict:
    """A BPE model as in tokenizer.json; the longest merges are those of the most frequent words."""
    tokenizer = Tokenizer(models.BPE())
    stub = json.loads(tokenizer.to_str()) | {"pre_tokenizer": pre_tokenizer}
    tokenizer = Tokenizer.from_str(json.dumps(stub))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet()) if all_bytes else []
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    texts = [(DATA / "corpus" / name).read_text(encoding="utf-8") for name in TRAINING_FILES] if all_bytes else []
    lines = [line for text in texts for line in text.splitlines(keepends=True)]
    tokenizer.train_from_iterator(lines + TRAINING_LINES if all_bytes else ["the nation of the nations"] * 9, trainer)
    return json.loads(tokenizer.to_str())["model"]


def number_tokens(model: dict, kind: dict) -> list[dict]:
    """Puts added and extra tokens into the vocabulary or behind it; returns `added_tokens` with their ids."""
    added = [t["content"] for t in kind["added"]]
    spelled = sorted(model["vocab"], key=model["vocab"].get) + kind.get("extra", [])
    spelled = list(dict.fromkeys(spelled))
    order = added + spelled if kind.get("in_vocab") else spelled
    model["vocab"] = {content: i for i, content in enumerate(order)}
    ids = model["vocab"] if kind.get("in_vocab") else {content: len(order) + i for i, content in enumerate(added)}
    return [{"id": ids[t["content"]]} | t for t in kind["added"]]


def make_tokenizer(kind: dict) -> dict:
    """The tokenizer.json of one kind."""
    model = train_model(kind["pre_tokenizer"], vocab_size=900, all_bytes=kind.get("all_bytes", True))
    added_tokens = number_tokens(model, kind)
    if kind.get("legacy_merges"):
        model["merges"] = [" ".join(pair) for pair in model["merges"]]
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
             "ignore_merges": kind.get("ignore_merges", False), "vocab": model["vocab"],
             "merges": model["merges"]} | kind.get("model", {})
    post_processor = kind.get("post_processor")
    if "bos" in kind:
        bos_id = next(t["id"] for t in added_tokens if t["content"] == kind["bos"])
        post_processor = sequence("processors", byte_level(True, add_prefix_space=True), template(kind["bos"], bos_id))
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added_tokens,
            "normalizer": kind.get("normalizer"), "pre_tokenizer": kind["pre_tokenizer"],
            "post_processor": post_processor, "decoder": kind.get("decoder", byte_level(True)), "model": model}


def kind_folders() -> dict[str, Path]:
    """Name of each kind -> folder with its tokenizer.json."""
    return {"qwen2.5": QWEN25_FOLDER} | {name: FOLDER / name for name in KINDS}
