"""The judge's prompt, and how a document is cut into chunks: the same text that `prm-score` builds.

    {context}\\n\\n<<JUDGEMENT_REGION>>\\n{chunk}\\n<</JUDGEMENT_REGION>>\\n\\n<<JUDGEMENT>>

The two newlines stay in front of the first chunk, whose context is empty. The judge answers A (chosen) or B (rejected)
at the last position.
"""

from __future__ import annotations

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


def label_ids(tokenizer: Tokenizer) -> tuple[int, int]:
    """Ids of the letters A and B."""
    chosen, rejected = tokenizer.token_to_id(CHOSEN), tokenizer.token_to_id(REJECTED)
    if chosen is None or rejected is None:
        raise ValueError("tokenizer: no single token for A or B")
    return chosen, rejected
