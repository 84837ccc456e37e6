"""Ways to make real text worse. Each takes text and gives damaged text of about the same length."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable

from corpus import SENTENCE_START

Damage = Callable[[random.Random, str], str]

_WORDS_AND_GAPS = re.compile(r"(\s+)")


def _map_words(text: str, change: Callable[[list[str]], list[str]]) -> str:
    """Replaces the words and leaves the white space between them where it was, as far as there are words for it."""
    parts = _WORDS_AND_GAPS.split(text)
    places = [i for i in range(0, len(parts), 2) if parts[i]]
    words = change([parts[i] for i in places])
    for place, word in zip(places, words):  # noqa: B905 - both may be the shorter
        parts[place] = word
    if len(words) < len(places):
        return "".join(parts[: places[len(words)]]).rstrip()
    return "".join(parts) + "".join(f" {word}" for word in words[len(places) :])


def shuffle_words(rng: random.Random, text: str) -> str:
    """All words in random order."""
    return _map_words(text, lambda words: rng.sample(words, len(words)))


def shuffle_nearby_words(rng: random.Random, text: str) -> str:
    """Words in random order within short runs."""

    def change(words: list[str]) -> list[str]:
        run = rng.randint(3, 8)
        return [w for i in range(0, len(words), run) for w in rng.sample(words[i : i + run], len(words[i : i + run]))]

    return _map_words(text, change)


def shuffle_sentences(rng: random.Random, text: str) -> str:
    """Sentences in random order."""
    sentences = SENTENCE_START.split(text)
    return " ".join(rng.sample(sentences, len(sentences)))


def char_noise(rng: random.Random, text: str) -> str:
    """Letters dropped, doubled, swapped or replaced, at a rate between 2 % and 15 %."""
    rate = rng.uniform(0.02, 0.15)
    chars = list(text)
    for i, char in enumerate(chars):
        if not char.isalpha() or rng.random() >= rate:
            continue
        how = rng.randrange(4)
        if how == 0:
            chars[i] = ""
        elif how == 1:
            chars[i] = char * 2
        elif how == 2 and i + 1 < len(chars):
            chars[i], chars[i + 1] = chars[i + 1], char
        else:
            chars[i] = rng.choice(string.ascii_lowercase)
    return "".join(chars)


def repeat_spans(rng: random.Random, text: str) -> str:
    """A run of words said again and again in place of what followed it."""

    def change(words: list[str]) -> list[str]:
        out: list[str] = []
        while len(out) < len(words):
            out += words[len(out) : len(out) + rng.randint(0, 12)]
            span = words[len(out) : len(out) + rng.choice([1, 2, 3, 5, 8, 13])]
            out += span * rng.randint(2, 6)
        return out[: len(words)]

    return _map_words(text, change)


def delete_spans(rng: random.Random, text: str) -> str:
    """Runs of one to four words left out, every few words."""

    def change(words: list[str]) -> list[str]:
        kept, i = [], 0
        while i < len(words):
            keep = rng.randint(2, 9)
            kept += words[i : i + keep]
            i += keep + rng.randint(1, 4)
        return kept

    return _map_words(text, change)


DAMAGES: dict[str, Damage] = {
    "word_shuffle": shuffle_words,
    "nearby_word_shuffle": shuffle_nearby_words,
    "sentence_shuffle": shuffle_sentences,
    "char_noise": char_noise,
    "repetition": repeat_spans,
    "span_deletion": delete_spans,
}
"""Damages of one text alone. `splice_texts` is the one that needs another text, too."""


def splice_texts(rng: random.Random, texts: list[str]) -> str:
    """Runs of 25 to 60 words from each of the texts in turn, up to the length of the first."""
    words = [text.split() for text in texts]
    at, out = [0] * len(words), []
    while all(at[i] < len(words[i]) for i in range(len(words))):
        for i, source in enumerate(words):
            run = rng.randint(25, 60)
            out += source[at[i] : at[i] + run]
            at[i] += run
    return " ".join(out[: len(words[0])])


def rewrap(rng: random.Random, text: str) -> str:
    """The same words in lines of a random width or in short paragraphs: no damage, only another layout."""
    if rng.random() < 0.5:
        return SENTENCE_START.sub(lambda m: "\n\n" if rng.random() < 0.4 else m.group(), text)
    width, column, out = rng.randint(50, 90), 0, []
    for word in text.split():
        gap = "" if not out else "\n" if column + len(word) >= width else " "
        column = len(word) if gap != " " else column + 1 + len(word)
        out.append(gap + word)
    return "".join(out)
