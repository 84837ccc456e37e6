"""Damages: what they change, what they keep, and that the ranges say it."""

import hashlib
import random
import time
from collections import Counter

import pytest
from damage import (
    CORRUPTIONS,
    DAMAGES,
    LONG_SENTENCE,
    MARGIN,
    SPLICE,
    SPLICE_ROOM,
    Damaged,
    corrupt,
    splice,
    split_sentences,
)

SENTENCES = [
    f"The {noun} of the {place} was {state} before the {time} came."
    for noun, place, state, time in zip(
        ["captain", "river", "garden", "lantern", "market", "bridge", "letter", "orchard", "winter", "harbour"] * 6,
        ["north", "valley", "old town", "island", "coast", "forest"] * 10,
        ["silent", "broken", "golden", "empty", "crowded", "frozen", "hidden"] * 9,
        ["morning", "storm", "soldiers", "harvest"] * 15,
        strict=False,
    )
]
TEXT = " ".join(SENTENCES[:20]) + "\n\n" + " ".join(SENTENCES[20:40])
OTHER = " ".join(f"Numbers such as {i} and {i * i} stand in this table." for i in range(40))


def damaged(kind: str, strength: float, seed: int = 1) -> Damaged:
    return corrupt(kind, random.Random(seed), TEXT, strength, [OTHER])


def words(text: str) -> Counter[str]:
    return Counter(text.split())


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("strength", [0.1, 0.5, 1.0])
def test_same_seed_same_text_and_ranges_in_order(kind: str, strength: float) -> None:
    result = damaged(kind, strength)
    assert result == damaged(kind, strength)
    assert result.text != TEXT
    assert result.rejected
    edges = [x for r in result.rejected for x in r]
    assert edges == sorted(edges)
    assert len(set(edges)) == len(edges)
    assert 0 <= edges[0] and edges[-1] <= len(result.text)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_stronger_covers_more(kind: str) -> None:
    covered = [
        sum(end - begin for seed in range(5) for begin, end in damaged(kind, strength, seed).rejected)
        for strength in (0.1, 0.5, 1.0)
    ]
    if kind in ("word_shuffle", "char_noise", "span_deletion"):  # one change reaches far: full already in the middle
        assert covered[0] < covered[1]
    else:
        assert covered[0] < covered[1] < covered[2]


@pytest.mark.parametrize("kind", ["word_shuffle", "nearby_word_shuffle"])
def test_word_shuffles_keep_words_and_gaps(kind: str) -> None:
    result = damaged(kind, 1.0)
    assert words(result.text) == words(TEXT)
    assert result.text.count("\n\n") == 1


def test_word_shuffle_strength_is_the_share_of_words() -> None:
    before, after = TEXT.split(), damaged("word_shuffle", 0.25).text.split()
    moved = sum(a != b for a, b in zip(before, after, strict=True))
    assert 0.12 * len(before) < moved <= 0.25 * len(before) + 1  # a word may land where the same word stood


def test_nearby_shuffle_moves_words_less_than_a_run() -> None:
    text = " ".join(f"w{i}" for i in range(300))
    after = DAMAGES["nearby_word_shuffle"](random.Random(3), text, 1.0).text.split()
    assert max(abs(i - int(word[1:])) for i, word in enumerate(after)) < 8


def test_sentence_shuffle_keeps_sentences() -> None:
    result = damaged("sentence_shuffle", 1.0)
    assert Counter(split_sentences(result.text)[0]) == Counter(split_sentences(TEXT)[0])
    assert split_sentences(result.text)[1] == split_sentences(TEXT)[1]


def test_char_noise_changes_letters_at_a_fifth_of_the_strength() -> None:
    letters = "abcdefghij" * 500
    result = DAMAGES["char_noise"](random.Random(5), letters, 0.5)
    # Dropped, doubled, replaced by itself once in 26, swapped in pairs: about one change in ten letters.
    assert abs(len(result.text) - len(letters)) < 60
    assert result.text[:30] != letters[:30]
    digits = "0123 4567 -- 89"
    assert DAMAGES["char_noise"](random.Random(5), digits, 1.0) == Damaged(digits, ())


def test_repetition_says_again_what_stood_before() -> None:
    text = " ".join(f"w{i}" for i in range(400))
    result = DAMAGES["repetition"](random.Random(2), text, 0.5)
    counts = Counter(result.text.split())
    repeated = sum(n - 1 for n in counts.values())
    assert 0.4 < repeated / len(result.text.split()) < 0.6
    assert len(result.text) < 1.2 * len(text)


def test_span_deletion_leaves_a_subsequence() -> None:
    before, after = TEXT.split(), damaged("span_deletion", 0.5).text.split()
    rest = iter(before)
    assert all(word in rest for word in after)
    assert 0.55 < len(after) / len(before) < 0.85  # three tenths are gone


def test_splice_ranges_are_the_foreign_sentences() -> None:
    result = damaged(SPLICE, 0.5)
    outside, end = [], 0
    for begin, stop in result.rejected:
        outside.append(result.text[end:begin])
        assert "Numbers such as" in result.text[begin:stop]
        end = stop
    outside.append(result.text[end:])
    assert not any("Numbers" in part for part in outside)
    foreign = sum("Numbers" in s for s in split_sentences(result.text)[0])
    assert foreign == 20


@pytest.mark.parametrize(
    "other",
    [
        "人工知能は多くの分野で使われている、" * 160,
        "😀🎉🚀" * 1000,
        "one two three " * 200,
        "\n".join(f"    value_{i} = compute(value_{i}, {i})" for i in range(80)),
    ],
)
def test_spliced_texts_without_sentence_ends_are_as_long_as_what_they_replace(other: str) -> None:
    text = " ".join(SENTENCES[:9])
    for strength in (0.1, 0.5, 1.0):
        for seed in range(5):
            result = splice(random.Random(seed), text, strength, [other])
            assert 0.5 * len(text) < len(result.text) <= 1.1 * len(text)
            assert result.rejected


def test_splices_add_a_bounded_number_of_characters() -> None:
    """Of a list, say, in whose place long sentences come."""
    text, other = "\n".join(f"- item {i}" for i in range(60)), " ".join(["So " + "very " * 150 + "long."] * 5)
    result = splice(random.Random(1), text, 1.0, [other])
    assert len(text) < len(result.text) <= 2 * len(text) + SPLICE_ROOM


def test_splices_of_prose_are_those_of_the_shipped_judge() -> None:
    texts = [splice(random.Random(seed), TEXT, 0.1 * seed, [OTHER, TEXT]).text for seed in range(1, 11)]
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    assert digest == "7cba3b6c1dc4829019c9bc22a78625770ba88bbf48f923f857df2c1d9c43634b"


@pytest.mark.parametrize(
    ("text", "sentences", "gaps"),
    [
        (
            "今日は晴れ。「そうだ！」と言った。 本当？",
            ["今日は晴れ。", "「そうだ！」", "と言った。", "本当？"],
            ["", "", " ", ""],
        ),
        ("यह एक है। यह दो है।", ["यह एक है।", "यह दो है।"], [" ", ""]),
        ("何！？本当。。。\n", ["何！？", "本当。。。\n"], ["", ""]),
    ],
)
def test_sentence_ends_of_other_scripts(text: str, sentences: list[str], gaps: list[str]) -> None:
    assert split_sentences(text) == (sentences, gaps)


def test_white_space_takes_no_time() -> None:
    text = "word " * 200 + "\n " * 5000 + "\n\nMore. " + " " * 20_000
    began = time.process_time()
    sentences, gaps = split_sentences(text)
    assert time.process_time() - began < 2
    assert "".join(s + gap for s, gap in zip(sentences, gaps, strict=True)) == text
    assert all(sentences[:-1])


def test_line_ends_part_only_what_is_no_sentence() -> None:
    lines = [f"x[{i}] = y[{i}]" for i in range(60)]
    assert split_sentences("\n  ".join(lines)) == (lines, ["\n  "] * 59 + [""])
    wrapped = "\n".join(["A sentence of prose that is wrapped"] * (LONG_SENTENCE // 40))
    assert split_sentences(wrapped)[0] == [wrapped]


def test_splice_needs_other_texts() -> None:
    with pytest.raises(ValueError, match="other text"):
        splice(random.Random(1), TEXT, 0.5, ["  "])


def test_a_change_is_felt_around_its_place() -> None:
    text = "x" * 300 + " y z " + "x" * 300
    result = DAMAGES["word_shuffle"](random.Random(4), text, 0.0)  # two words at least
    assert all(e - b > MARGIN for b, e in result.rejected)


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("text", ["a", "one two", "\n\n", "Ünïcode 😀 wörds. Ähnlich!", " leading and trailing "])
def test_tiny_texts(kind: str, text: str) -> None:
    for strength in (0.0, 0.5, 1.0):
        result = corrupt(kind, random.Random(1), text, strength, [OTHER])
        assert all(0 <= b < e <= len(result.text) for b, e in result.rejected)
