"""The score's definition, written as plainly as possible: what the program is held against.

Nothing here is fast or shared with the C++ code: each prompt is built as text from scratch and tokenised as one string
by the reference package (`tokenizers` for tokenizer.json, `sentencepiece` for tokenizer.model).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

BEFORE_CHUNK = "\n\n<<JUDGEMENT_REGION>>\n"
AFTER_CHUNK = "\n<</JUDGEMENT_REGION>>\n\n<<JUDGEMENT>>"


class JsonTokenizer:
    """tokenizer.json, by the `tokenizers` package."""

    def __init__(self, folder: Path, special_tokens: str = "parse"):
        import tokenizers

        self.tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_truncation()  # of the file; never of a document
        self.tokenizer.no_padding()
        self.tokenizer.encode_special_tokens = special_tokens == "text"
        self.bos = self._bos(folder)

    def _bos(self, folder: Path) -> list[int]:
        # What the post-processor puts before a text, if anything; never what it puts behind it.
        with_specials = self.tokenizer.encode("x", add_special_tokens=True).ids
        without = self.tokenizer.encode("x", add_special_tokens=False).ids
        if with_specials[:1] != without[:1]:
            return with_specials[:1]
        config_file = folder / "tokenizer_config.json"
        config = json.loads(config_file.read_text()) if config_file.exists() else {}
        if not config.get("add_bos_token"):
            return []
        bos = config["bos_token"]
        return [self.tokenizer.token_to_id(bos if isinstance(bos, str) else bos["content"])]

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int]) -> str:
        return self.tokenizer.decoder.decode([self.tokenizer.id_to_token(i) for i in ids]) if ids else ""

    def label_id(self, label: str) -> int:
        (label_id,) = self.encode(label)
        return label_id


class SentencePieceTokenizer:
    """tokenizer.model, by the `sentencepiece` package."""

    def __init__(self, folder: Path):
        import sentencepiece

        self.processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
        config_file = folder / "tokenizer_config.json"
        config = json.loads(config_file.read_text()) if config_file.exists() else {}
        self.bos = [self.processor.bos_id()] if config.get("add_bos_token") else []

    def encode(self, text: str) -> list[int]:
        return self.processor.encode(text)

    def decode(self, ids: list[int]) -> str:
        return self.processor.decode(ids) if ids else ""

    def label_id(self, label: str) -> int:
        return self.processor.piece_to_id(label)


def load_tokenizer(folder: Path, special_tokens: str = "parse") -> JsonTokenizer | SentencePieceTokenizer:
    if (folder / "tokenizer.json").exists():
        return JsonTokenizer(folder, special_tokens)
    return SentencePieceTokenizer(folder)


@dataclass(frozen=True)
class Options:
    chunk_size: int = 64
    stride: int | None = None
    first_chunk: str = "score"
    last_chunk: str = "score"
    join: str = "text"
    max_context: int | None = None


@dataclass(frozen=True)
class Prompt:
    chunk: int
    start: int
    end: int
    text: str
    input_ids: list[int]


@dataclass(frozen=True)
class Prompts:
    num_tokens: int
    num_chunks: int
    prompts: list[Prompt]
    context_cut: bool
    fits: bool  # False: some prompt is longer than the positions even with an empty context


def windows(num_tokens: int, options: Options) -> list[tuple[int, int]]:
    stride = options.stride or options.chunk_size
    found: list[tuple[int, int]] = []
    start = 0
    while num_tokens > 0:
        found.append((start, min(start + options.chunk_size, num_tokens)))
        if found[-1][1] == num_tokens:
            break
        start += stride
    return found


def default_max_context(tokenizer, options: Options, max_positions: int) -> int:
    template = len(tokenizer.encode(BEFORE_CHUNK)) + len(tokenizer.encode(AFTER_CHUNK)) + len(tokenizer.bos)
    room = max_positions - options.chunk_size - template - 16
    return max(0, room // options.chunk_size * options.chunk_size)


def build_prompt(tokenizer, options: Options, field: str, ids: list[int], window: tuple[int, int], first_unit: int):
    """The prompt of one window whose context starts at unit `first_unit`; also the number of context tokens."""
    size = options.chunk_size
    start, end = window
    field_ids = tokenizer.encode(field) if field else []
    field_units = [field_ids[i : i + size] for i in range(0, len(field_ids), size)]
    if first_unit == 0:
        field_text, field_rest, begin = field, field_ids, 0
    elif first_unit < len(field_units):
        field_rest = [i for unit in field_units[first_unit:] for i in unit]
        field_text, begin = tokenizer.decode(field_rest), 0
    else:
        field_text, field_rest, begin = "", [], (first_unit - len(field_units)) * size
    before = ids[begin:start] if begin < start else []
    chunk = ids[start:end]
    text = field_text + tokenizer.decode(before) + BEFORE_CHUNK + tokenizer.decode(chunk) + AFTER_CHUNK
    if options.join == "text":
        input_ids = tokenizer.encode(text)
    else:
        template = tokenizer.encode(BEFORE_CHUNK), tokenizer.encode(AFTER_CHUNK)
        input_ids = field_rest + before + template[0] + chunk + template[1]
    return text, tokenizer.bos + input_ids, len(field_rest) + len(before)


def reference_prompts(tokenizer, options: Options, text: str, field: str, max_positions: int) -> Prompts:
    ids = tokenizer.encode(text)
    chunks = windows(len(ids), options)
    max_context = options.max_context
    if max_context is None:
        max_context = default_max_context(tokenizer, options, max_positions)
    step = max(1, max_context // 2 // options.chunk_size)
    first_unit = 0
    prompts: list[Prompt] = []
    for index, (start, end) in enumerate(chunks):
        is_short_last = index + 1 == len(chunks) and end - start < options.chunk_size
        if (index == 0 and options.first_chunk == "skip") or (is_short_last and options.last_chunk == "drop"):
            continue
        while True:
            prompt, input_ids, num_context = build_prompt(tokenizer, options, field, ids, (start, end), first_unit)
            if num_context <= max_context and len(input_ids) <= max_positions:
                break
            if num_context == 0:
                return Prompts(len(ids), len(chunks), [], first_unit > 0, False)
            first_unit += step
        prompts.append(Prompt(index, start, end, prompt, input_ids))
    return Prompts(len(ids), len(chunks), prompts, first_unit > 0, True)


def reference_reward(log_odds: list[float | None], chunks: list[tuple[int, int]], last_chunk: str) -> float | None:
    scored = [(o, e - s) for o, (s, e) in zip(log_odds, chunks, strict=True) if o is not None]
    if not scored:
        return None
    if last_chunk == "weight":
        return sum(o * n for o, n in scored) / sum(n for _, n in scored)
    return sum(o for o, _ in scored) / len(scored)
