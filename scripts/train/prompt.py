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
