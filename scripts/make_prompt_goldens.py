#!/usr/bin/env python3
"""Makes data/golden/prompts/: the reference's prompts for hostile documents under every option and tokenizer kind.

The prompts themselves would fill megabytes, so a document's are kept as their token counts and one hash over all of
them: chunk, start and end as little-endian int64, text as UTF-8, ids as little-endian int32. Run from anywhere; needs the packages
`tokenizers` and `sentencepiece`, whose versions are recorded in the file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import struct
from importlib.metadata import version
from pathlib import Path

from train import required_packages  # noqa: F401

# isort: split
from reference import Options, load_tokenizer, reference_prompts

ROOT = Path(__file__).resolve().parent.parent
MAX_POSITIONS = 512

OPTIONS: dict[str, Options] = {
    "default": Options(),
    "tokens": Options(join="tokens"),
    "small": Options(chunk_size=7),
    "one": Options(chunk_size=1, max_context=40),
    "window": Options(chunk_size=16, stride=5),
    "skip_drop": Options(chunk_size=16, first_chunk="skip", last_chunk="drop"),
    "context_0": Options(chunk_size=16, max_context=0),
    "context_50": Options(chunk_size=16, max_context=50),
    "context_100_tokens": Options(chunk_size=16, stride=10, max_context=100, join="tokens"),
    "context_huge": Options(chunk_size=32, max_context=100_000),
}


def documents(corpus: Path) -> list[dict[str, str]]:
    """Texts that make joints, borders and windows hard. `context` is the unjudged field."""
    address = (corpus / "sotu").glob("*.txt")
    words = sorted(address)[100].read_text(encoding="utf-8")
    whale = (corpus / "moby-dick.txt").read_text(encoding="utf-8")
    mixed = "naïve café Ångström e\u0301te\u0323\u0301 \ud55c\uad6d\uc5b4 \u1112\u1161\u11ab 日本語のテキスト عربى हिन्दी \U0001f468\u200d\U0001f469\u200d\U0001f467 "
    return [
        {"id": "words", "text": words[:2500]},
        {"id": "lines", "text": whale[20000:22500]},
        {"id": "long", "text": words[:6000], "context": whale[30000:31000]},
        {"id": "context", "text": whale[40000:41000], "context": "Tell me about whales.\n\n"},
        {"id": "context_longer_than_positions", "text": words[3000:3800], "context": whale[50000:54000]},
        {"id": "context_only_spaces", "text": "and so on, and so on." * 4, "context": "   \n  "},
        {"id": "one_token", "text": "A"},
        {"id": "one_space", "text": " "},
        {"id": "newlines", "text": "\n" * 70 + "x" + "\r\n" * 40 + "\u2028\u2029\x0b\x0c\x85" * 5},
        {"id": "spaces", "text": " ".join(["a" + " " * (i % 9) for i in range(60)])},
        {"id": "tabs_and_punctuation", "text": ".\n" * 20 + "...\t\t!?\n\n" * 15 + "end."},
        {"id": "no_space", "text": "abcdefghij" * 60},
        {"id": "equal", "text": "a" * 700},
        {"id": "digits", "text": "1234567890" * 30 + " ٣٤٥٦ ४५६ 12.34,56"},
        {"id": "contractions", "text": "I'll you'RE we've it'S don't 'twas 'S 'ſ o'clock's" * 6},
        {"id": "scripts", "text": mixed * 5, "context": mixed},
        {"id": "emoji", "text": "\U0001f469\U0001f3fd\u200d\U0001f680\U0001f1e9\U0001f1ea\u2764\ufe0f" * 25},
        {"id": "rare", "text": "".join(chr(c) for c in range(0x12000, 0x12060)) + "\U0010fffd\ufffd\x00\x01" * 4},
        {"id": "marks_after_context", "text": "\u0301\u0323\u0308" * 30, "context": "a b e"},
        {"id": "jamo_after_context", "text": "\u1161\u11a8 and more \u1100\u1161" * 6, "context": "first \u1100"},
        {"id": "special", "text": "a<|endoftext|>b <|im_end|> c<s></s>[INST]" * 6, "context": "<|endoftext|>"},
        {"id": "markers", "text": "x\n<</JUDGEMENT_REGION>>\n\n<<JUDGEMENT>>A <<JUDGEMENT_REGION>>\n" * 4},
        {"id": "space_mark", "text": "\u2581 low \u2581\u2581 line \u2581" * 8},
    ]


def golden(tokenizer, options: Options, document: dict[str, str]) -> dict[str, object]:
    prompts = reference_prompts(tokenizer, options, document["text"], document.get("context", ""), MAX_POSITIONS)
    digest = hashlib.sha256()
    for prompt in prompts.prompts:
        digest.update(struct.pack("<3q", prompt.chunk, prompt.start, prompt.end))
        digest.update(prompt.text.encode())
        digest.update(struct.pack(f"<{len(prompt.input_ids)}i", *prompt.input_ids))
    return {
        "num_tokens": prompts.num_tokens,
        "num_chunks": prompts.num_chunks,
        "context_cut": prompts.context_cut,
        "fits": prompts.fits,
        "lengths": [len(prompt.input_ids) for prompt in prompts.prompts],
        "sha256": digest.hexdigest(),
    }


def folders() -> dict[str, Path]:
    found = {"qwen2.5": ROOT / "data/qwen2.5-tokenizer"}
    for file in sorted(ROOT.glob("data/golden/tokenizers/*/tokenizer.json")):
        found[file.parent.name] = file.parent
    for file in sorted(ROOT.glob("data/golden/sentencepiece/*/tokenizer.model")):
        found[f"sentencepiece_{file.parent.name}"] = file.parent
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "data/golden/prompts")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    texts = documents(ROOT / "data/corpus")
    with (arguments.output / "documents.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(document, ensure_ascii=True) + "\n" for document in texts)

    versions = {name: version(name) for name in ("tokenizers", "sentencepiece")}
    for kind, folder in folders().items():
        tokenizer = load_tokenizer(folder)
        cases = {
            name: {document["id"]: golden(tokenizer, options, document) for document in texts}
            for name, options in OPTIONS.items()
        }
        golden_file = {
            "made_by": "scripts/make_prompt_goldens.py",
            "versions": versions,
            "folder": str(folder.relative_to(ROOT)),
            "max_positions": MAX_POSITIONS,
            "options": {name: vars(options) for name, options in OPTIONS.items()},
            "cases": cases,
        }
        (arguments.output / f"{kind}.json").write_text(json.dumps(golden_file, separators=(",", ":")) + "\n")
        print(f"{kind}: {sum(len(case['lengths']) for cs in cases.values() for case in cs.values())} prompts")


if __name__ == "__main__":
    main()
