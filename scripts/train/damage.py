"""Ways to make real text worse, each with a strength between 0 and 1.

A damage gives the new text and the ranges of it that were made worse. Strengths are comparable within a kind only; 0.5
is the middle one of each:

    word_shuffle         the share of all words that change places among themselves
    nearby_word_shuffle  the share of runs of 3 to 8 words whose words are shuffled
    sentence_shuffle     the share of sentences that change places among themselves
    char_noise           a fifth of it is the share of letters dropped, doubled, swapped or replaced
    repetition           the share of the text that says again what stood just before
    span_deletion        six tenths of it is the share of words left out, in runs of 1 to 6
    splice               the share of sentences replaced, in runs of 1 to 3, by those of other texts; the text grows to
                         about twice its length at most
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from versions import Range, merged

_OTHER_ENDS, _CLOSING = "。！？｡।॥", "」』”’）〉》"
EDITION = 2
"""Another one damages the same text otherwise: no run goes on across it."""
SENTENCE_START = re.compile(
    r"(?:(?<=[.!?;:])|(?<=[.!?][\"')”’]))\s+(?=[\"'“‘(]?[A-Z])|\n{2,}|\n(?=- )"
    rf"|(?:(?<=[{_OTHER_ENDS}])|(?<=[{_OTHER_ENDS}][{_CLOSING}]))\s*(?=[^\s{_OTHER_ENDS}{_CLOSING}])"
)
"""Chinese, Japanese and Hindi sentences end without a space or a capital letter behind them."""
LONG_SENTENCE = 600
"""Longer than nearly all sentences of prose: what has more characters and line ends, code say, is cut at these."""
LONGEST_SPLICED = 1000
"""Characters of a sentence that a splice takes whole."""
SPLICE_ROOM = 500
"""Characters that splices may add to a text beyond its own number."""
MARGIN = 40
"""A change is felt around its place: this many characters before and after it count as made worse, too."""

_WORDS = re.compile(r"\S+")
_MAX_NOISE = 0.2
_MAX_DELETED = 0.6


@dataclass(frozen=True)
class Damaged:
    """`rejected`: half-open code-point ranges of `text` in order, apart from each other."""

    text: str
    rejected: tuple[Range, ...]


Damage = Callable[[random.Random, str, float], Damaged]


class _Writer:
    """Puts the new text together and remembers which parts of it were changed."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._changed: list[Range] = []

    def __len__(self) -> int:
        return self._length

    def keep(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)

    def change(self, text: str = "") -> None:
        """With no text: something is missing here."""
        begin = self._length
        self.keep(text)
        self._changed.append((begin, self._length))

    def finish(self, margin: int = MARGIN) -> Damaged:
        text = "".join(self._parts)
        felt = [(max(0, begin - margin), min(len(text), end + margin)) for begin, end in self._changed]
        return Damaged(text, merged(felt))


def split_sentences(text: str) -> tuple[list[str], list[str]]:
    """Sentences (headings and list items, too) and the white space behind each of them."""
    sentences, gaps, begin = [], [], 0
    for match in SENTENCE_START.finditer(text):
        sentences.append(text[begin : match.start()])
        gaps.append(match.group())
        begin = match.end()
    return _split_long([*sentences, text[begin:]], [*gaps, ""])


def _split_long(sentences: Sequence[str], gaps: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those of more than LONG_SENTENCE characters at their line ends. Prose that is wrapped keeps its sentences."""
    out: tuple[list[str], list[str]] = [], []
    for sentence, gap in zip(sentences, gaps, strict=True):
        parts = re.split(r"(\n\s*)", sentence) if len(sentence) > LONG_SENTENCE else [sentence]
        if len(parts) > 1 and not parts[-1]:  # it ends with a line end: no empty sentence behind it
            *parts, last, _ = parts
            gap = last + gap
        out[0].extend(parts[::2])
        out[1].extend([*parts[1::2], gap])
    return out


def _words_and_gaps(text: str) -> tuple[list[str], list[str]]:
    """Words, and the white space before each of them; one more gap at the end."""
    words, gaps, end = [], [], 0
    for match in _WORDS.finditer(text):
        gaps.append(text[end : match.start()])
        words.append(match.group())
        end = match.end()
    return words, [*gaps, text[end:]]


def _some(rng: random.Random, count: int, share: float, least: int = 1) -> list[int]:
    """A random `share` of the numbers below `count`, in order; `least` if there are so many."""
    chosen = max(min(least, count), round(count * share))
    return sorted(rng.sample(range(count), min(count, chosen)))


def _permute(rng: random.Random, places: Sequence[int], items: Sequence[str]) -> list[str]:
    """The items at `places` change places in one random round, so that each of them moves."""
    out, round_ = list(items), rng.sample(list(places), len(places))
    for place, other in zip(round_, round_[1:] + round_[:1], strict=True):
        out[place] = items[other]
    return out


def _write_changed(before: Sequence[str], after: Sequence[str], gaps: Sequence[str], gap_first: bool) -> Damaged:
    writer = _Writer()
    for old, new, gap in zip(before, after, gaps, strict=False):
        if gap_first:
            writer.keep(gap)
        (writer.keep if old == new else writer.change)(new)
        if not gap_first:
            writer.keep(gap)
    if gap_first:
        writer.keep(gaps[-1])
    return writer.finish()


def shuffle_words(rng: random.Random, text: str, strength: float) -> Damaged:
    words, gaps = _words_and_gaps(text)
    after = _permute(rng, _some(rng, len(words), strength, least=2), words)
    return _write_changed(words, after, gaps, gap_first=True)


def shuffle_nearby_words(rng: random.Random, text: str, strength: float) -> Damaged:
    words, gaps = _words_and_gaps(text)
    after, begin = list(words), 0
    while begin < len(words):
        run = range(begin, min(len(words), begin + rng.randint(3, 8)))
        if rng.random() < strength:
            after[run.start : run.stop] = _permute(rng, run, words)[run.start : run.stop]
        begin = run.stop
    return _write_changed(words, after, gaps, gap_first=True)


def shuffle_sentences(rng: random.Random, text: str, strength: float) -> Damaged:
    sentences, gaps = split_sentences(text)
    after = _permute(rng, _some(rng, len(sentences), strength, least=2), sentences)
    return _write_changed(sentences, after, gaps, gap_first=False)


def char_noise(rng: random.Random, text: str, strength: float) -> Damaged:
    writer, rate, skip = _Writer(), strength * _MAX_NOISE, False
    for i, char in enumerate(text):
        if skip:
            skip = False
            continue
        if not char.isalpha() or rng.random() >= rate:
            writer.keep(char)
            continue
        how = rng.randrange(4)
        if how == 0:
            writer.change()
        elif how == 1:
            writer.change(char * 2)
        elif how == 2 and i + 1 < len(text):
            writer.change(text[i + 1] + char)
            skip = True
        else:
            writer.change(rng.choice(string.ascii_lowercase))
    return writer.finish()


def repeat_spans(rng: random.Random, text: str, strength: float) -> Damaged:
    """The result has the length of the text: what the repetitions displace falls off its end."""
    words, gaps = _words_and_gaps(text)
    writer, at, repeated = _Writer(), 0, 0
    longest = max(1, min(25, len(words) // 4))
    while at < len(words) and len(writer) < len(text):
        run = min(rng.randint(1, longest), len(words) - at)
        for i in range(at, at + run):
            writer.keep(gaps[i] + words[i])
        at += run
        # Repetitions so far are kept at their share of what is written.
        while repeated + run <= strength * (len(writer) / max(1, len(text)) * len(words)) and len(writer) < len(text):
            again = zip(gaps[at - run : at], words[at - run : at], strict=True)
            writer.change("".join((gap or " ") + word for gap, word in again))
            repeated += run
    return writer.finish()


def delete_spans(rng: random.Random, text: str, strength: float) -> Damaged:
    words, gaps = _words_and_gaps(text)
    share, writer, at = strength * _MAX_DELETED, _Writer(), 0
    while at < len(words):
        gone = rng.randint(1, 6)
        kept = max(1, round(gone * (1 - share) / max(share, 1e-6) * rng.uniform(0.5, 1.5)))
        for i in range(at, min(len(words), at + kept)):
            writer.keep(gaps[i] + words[i])
        at += kept
        if at < len(words):
            writer.change()
        at += gone
    return writer.finish()


def splice(rng: random.Random, text: str, strength: float, others: Sequence[str]) -> Damaged:
    """Each run that is put in comes from another place of one of `others` (at least one text, not empty). A sentence
    without an end in sight, or for which there is no room any more, is cut to the length of the one that it replaces.
    """
    sentences, gaps = split_sentences(text)
    replaced = set(_some(rng, len(sentences), strength))
    foreign = [[s for s in split_sentences(other)[0] if s.strip()] for other in others]
    foreign = [s for s in foreign if s]
    if not foreign:
        raise ValueError("splice: expected at least one other text with words in it, found none")
    writer, run, at = _Writer(), 0, 0
    source: list[str] = []
    room = len(text) + SPLICE_ROOM
    for i, (sentence, gap) in enumerate(zip(sentences, gaps, strict=True)):
        if i not in replaced:
            writer.keep(sentence + gap)
            run = 0
            continue
        if run == 0:
            source = rng.choice(foreign)
            run, at = rng.randint(1, 3), rng.randrange(len(source))
        foreign_sentence = source[at % len(source)]
        if len(foreign_sentence) > LONGEST_SPLICED or len(foreign_sentence) - len(sentence) > room:
            foreign_sentence = _beginning(foreign_sentence, max(1, len(sentence)))
        room -= len(foreign_sentence) - len(sentence)
        writer.change(foreign_sentence)
        writer.keep(gap)
        run, at = run - 1, at + 1
    return writer.finish(margin=0)


def _beginning(text: str, length: int) -> str:
    """At most `length` characters, whole words where it has words."""
    if len(text) <= length:
        return text
    end = max(text.rfind(space, 0, length + 1) for space in " \n")
    return text[: end if end > length // 2 else length]


DAMAGES: dict[str, Damage] = {
    "word_shuffle": shuffle_words,
    "nearby_word_shuffle": shuffle_nearby_words,
    "sentence_shuffle": shuffle_sentences,
    "char_noise": char_noise,
    "repetition": repeat_spans,
    "span_deletion": delete_spans,
}
"""Damages of one text alone; `splice` needs other texts, too."""
SPLICE = "splice"
CORRUPTIONS = (*DAMAGES, SPLICE)


def corrupt(kind: str, rng: random.Random, text: str, strength: float, others: Sequence[str]) -> Damaged:
    """One of CORRUPTIONS; `others` serve the splice."""
    return splice(rng, text, strength, others) if kind == SPLICE else DAMAGES[kind](rng, text, strength)
