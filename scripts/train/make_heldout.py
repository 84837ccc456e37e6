"""Makes the held-out documents: excerpts of the held-out addresses, each real, sampled and damaged in every way.

One JSON object a line: {"id", "document", "kind", "text"}; the versions of one excerpt share `document`. With --examples
the result is the small fixed set `data/examples/docs.jsonl` instead.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import torch
from corpus import DEFAULT_CORPUS, SENTENCE_START, held_out_sources
from damage import DAMAGES, splice_texts
from make_data import CHARS_PER_TOKEN, REAL, SAMPLED, SPLICE, forbidden_ids
from prompt import CHUNK_SIZE, decode, encode
from sampling import TEMPERATURES, Request, Sampler
from tokenizers import Tokenizer
from train_tokenizer import END_OF_TEXT
from transformers import AutoModelForCausalLM

NON_ASCII_TEXT = (
    "The café on the Königstraße opened at six, and by seven the smell of crêpes and strong coffee had reached the "
    "harbour. Señora Núñez counted 48 € into the till, wrote “paid” in her ledger – she never trusted the machine – "
    "and called to the cook: «Два кофе, пожалуйста!» A tourist from 東京 photographed the menu, laughed, and asked for "
    "jalapeños with everything. Outside it was −3 °C; the thermometer, an old Réaumur scale, claimed less. “Naïve,” "
    "said the cook, “to believe a thermometer before Αύγουστος.” Nobody answered him 🙂, for the ferry had just come "
    "in, and forty people wanted breakfast at once."
)
"""Written for this file: letters of several scripts, an emoji, typographic quotes."""


def excerpt(tokenizer: Tokenizer, text: str, begin: int, num_tokens: int) -> str:
    """About `num_tokens` tokens from the first sentence start at or after `begin`, whole sentences if it can."""
    match = SENTENCE_START.search(text, begin) if begin else None
    begin = match.end() if match else begin
    ids = encode(tokenizer, text[begin : begin + num_tokens * CHARS_PER_TOKEN])[:num_tokens]
    cut = decode(tokenizer, ids)
    ends = [m.start() for m in SENTENCE_START.finditer(cut, len(cut) * 3 // 4)]
    return cut[: ends[-1]].strip() if ends else cut.strip()


class VersionMaker:
    """Makes the versions of one excerpt."""

    def __init__(self, tokenizer: Tokenizer, base: Path, seed: int, num_real_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._rng = random.Random(seed)
        self._sampler = Sampler(
            AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), forbidden_ids(tokenizer), seed
        )
        self._num_real_tokens = num_real_tokens

    def sampled(self, texts: list[str]) -> list[str]:
        """Per text: its first tokens, then what the base model says next, up to the length of the text."""
        ids = [encode(self._tokenizer, text) for text in texts]
        end = self._tokenizer.token_to_id(END_OF_TEXT)
        most = max(len(x) for x in ids) - self._num_real_tokens
        context = [tuple([end, *x[: self._num_real_tokens]]) for x in ids]
        requests = [Request(c, most, self._rng.uniform(*TEMPERATURES)) for c in context]
        samples = self._sampler.sample(requests)
        return [
            decode(self._tokenizer, (x[: self._num_real_tokens] + sample)[: len(x)])
            for x, sample in zip(ids, samples, strict=True)
        ]

    def damaged(self, kind: str, text: str, others: list[str]) -> str:
        return splice_texts(self._rng, [text, *others]) if kind == SPLICE else DAMAGES[kind](self._rng, text)


def held_out_rows(args: argparse.Namespace, tokenizer: Tokenizer, maker: VersionMaker) -> list[dict[str, str]]:
    rng = random.Random(args.seed)
    names, texts = [], []
    for source in held_out_sources(args.corpus):
        for place in range(args.excerpts):
            begin = len(source.text) * place // args.excerpts
            text = excerpt(tokenizer, source.text, begin, rng.randint(args.min_tokens, args.max_tokens))
            if len(encode(tokenizer, text)) >= args.min_tokens * 3 // 4:
                names.append(f"{source.name}-{place}")
                texts.append(text)
    if args.documents < len(texts):
        spread = [i * len(texts) // args.documents for i in range(args.documents)]
        names, texts = [names[i] for i in spread], [texts[i] for i in spread]
    rows = []
    samples = maker.sampled(texts) if SAMPLED in args.kinds else texts
    for i, (name, text) in enumerate(zip(names, texts, strict=True)):
        others = [texts[(i + step) % len(texts)] for step in (5, 11)]
        for kind in args.kinds:
            if kind in (REAL, SAMPLED):
                version = text if kind == REAL else samples[i]
            else:
                version = maker.damaged(kind, text, others)
            rows.append({"id": f"{name}-{kind}", "document": name, "kind": kind, "text": version})
    return rows


def example_rows(args: argparse.Namespace, tokenizer: Tokenizer, maker: VersionMaker) -> list[dict[str, str]]:
    """Four excerpts of different times, in 14 rows, and one text with letters beyond ASCII."""
    rng = random.Random(args.seed)
    sources = held_out_sources(args.corpus)
    chosen = [sources[i] for i in (1, 8, 14, 20)]
    texts = [excerpt(tokenizer, s.text, len(s.text) // 3, rng.randint(180, 300)) for s in chosen]
    samples = maker.sampled(texts)
    damages = [
        ("word_shuffle", "nearby_word_shuffle"),
        ("word_shuffle", "char_noise"),
        ("repetition", SPLICE),
        ("span_deletion", "sentence_shuffle"),
    ]
    rows = []
    for i, (source, text) in enumerate(zip(chosen, texts, strict=True)):
        name = source.name.split("_")[0]
        rows.append({"id": f"{name}-{REAL}", "kind": REAL, "text": text})
        if i < 2:
            rows.append({"id": f"{name}-{SAMPLED}", "kind": SAMPLED, "text": samples[i]})
        for kind in damages[i]:
            rows.append({"id": f"{name}-{kind}", "kind": kind, "text": maker.damaged(kind, text, [texts[(i + 1) % 4]])})
    rows.append({"id": "non-ascii", "kind": REAL, "text": NON_ASCII_TEXT})
    return rows


def main() -> None:
    all_kinds = [REAL, SAMPLED, *DAMAGES, SPLICE]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=DEFAULT_CORPUS, help="folder with sotu/*.txt")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder with tokenizer.json")
    parser.add_argument("--base", type=Path, required=True, help="base checkpoint to sample from")
    parser.add_argument("--out", type=Path, required=True, help="documents, one JSON object a line")
    parser.add_argument("--examples", action="store_true", help="write the small set of examples instead")
    parser.add_argument("--excerpts", type=int, default=1, help="excerpts of each address (default: 1)")
    parser.add_argument("--documents", type=int, default=1000, help="excerpts at most, evenly spread (default: 1000)")
    parser.add_argument("--min-tokens", type=int, default=600, help="tokens of the shortest excerpt (default: 600)")
    parser.add_argument("--max-tokens", type=int, default=1000, help="tokens of the longest excerpt (default: 1000)")
    parser.add_argument("--kinds", nargs="+", choices=all_kinds, default=all_kinds, help="versions (default: all)")
    parser.add_argument("--seed", type=int, default=4, help="seed of lengths, damages and samples (default: 4)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    tokenizer = Tokenizer.from_file(str(args.tokenizer / "tokenizer.json"))
    maker = VersionMaker(tokenizer, args.base, args.seed, num_real_tokens=CHUNK_SIZE)
    rows = (example_rows if args.examples else held_out_rows)(args, tokenizer, maker)
    with args.out.open("w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"{len(rows)} documents, {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
