"""The judge's prompt, and how a document is cut into chunks: the same text that `prm-score` builds.

    {context}\\n\\n<<JUDGEMENT_REGION>>\\n{chunk}\\n<</JUDGEMENT_REGION>>\\n\\n<<JUDGEMENT>>

The two newlines stay in front of the first chunk, whose context is empty. The judge answers A (chosen) or B (rejected)
at the last position.
"""

from __future__ import annotations

from pathlib import Path

from errors import InputError
from tokenizers import Tokenizer

CHUNK_SIZE = 64
TEMPLATE_HEAD = "\n\n<<JUDGEMENT_REGION>>\n"
TEMPLATE_TAIL = "\n<</JUDGEMENT_REGION>>\n\n<<JUDGEMENT>>"
CHOSEN, REJECTED = "A", "B"
END_OF_TEXT = "<|endoftext|>"
"""What a text begins after, where a model has no other token for it."""


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """Ids of `text`, with nothing added in front or behind."""
    return tokenizer.encode(text, add_special_tokens=False).ids


def prompt_text(context: str, chunk: str) -> str:
    return context + TEMPLATE_HEAD + chunk + TEMPLATE_TAIL


def open_tokenizer(folder: Path) -> Tokenizer:
    """Of a checkpoint's or a tokenizer's folder. Throws InputError."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        found = "no such file" if folder.is_dir() else "no such folder"
        raise InputError(f"{path}: expected a tokenizer, found {found}")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the only type that the library throws
        raise InputError(f"{path}: expected a tokenizer: {error}") from error


def letter_ids(checkpoint: Path) -> tuple[int, int]:
    """Ids of A and B. Throws InputError if the tokenizer has no single token for one of them."""
    tokenizer = open_tokenizer(checkpoint)
    ids = []
    for letter in (CHOSEN, REJECTED):
        found = encode(tokenizer, letter)
        if len(found) != 1:
            tokens = [tokenizer.id_to_token(i) for i in found]
            path = checkpoint / "tokenizer.json"
            raise InputError(f"{path}: expected a single token for the letter {letter}, found {tokens or 'no token'}")
        ids.append(found[0])
    return ids[0], ids[1]
