"""Translation there and back: Apertium as it is installed, and a server."""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from http_post import RetryPolicy
from protocol_server import ServerProcess
from translate import (
    BATCH_CHARS,
    ApertiumTranslator,
    LibreTranslateTranslator,
    TranslationError,
    _batches,
    _Paragraphs,
    decode_stream,
    divide,
    encode_stream,
    open_translator,
)

Start = Callable[..., ServerProcess]

SENTENCES = "I saw the red house yesterday. The children did not want to go to school, because it was raining."
HOSTILE = [
    *"[]{}^$/\\@<>*#+~_|%\"'`=-.,;:!?()\0",
    "[[t:b:x]]", "[[/]]", "[<STREAMCMD:FLUSH>]", "^a/b<n>$", "^house<n><sg>$", "\\n", "C#", "a+b", "@user", "*bold*",
    "~x~", "#tag", "é", "e\u0301", "\u00a0", "\u2028", "\x85", "\x1b[1m", "\U0001f600", "[]", ".[]", "[=3]", ".[=0]",
    "x[y]z", "a/b/c", "\u200b", "\ufeff", "\ufffd", "\ud800", "<br/>", "\n", "\n\n", "\t", "  ", "\r\n",
]  # fmt: skip
RESERVED = "[]{}^$/\\@<>*#+~_|\0\ud800"


def hostile_texts(number: int) -> list[str]:
    rng = random.Random(3)
    words = [word for word in SENTENCES.split() if word.isalpha()]
    spaced = [" ".join(rng.choice(words if rng.random() < 0.6 else HOSTILE) for _ in range(20)) for _ in range(number)]
    dense = ["".join(rng.choice([*words, *HOSTILE, " ", " "]) for _ in range(20)) for _ in range(number)]
    return [*HOSTILE, *(f"The {hostile} house{hostile} is red." for hostile in HOSTILE), *spaced, *dense]


@pytest.fixture(scope="session", params=ApertiumTranslator.PIVOTS)
def apertium(request: pytest.FixtureRequest) -> ApertiumTranslator:
    return open_apertium(request.param)


def open_apertium(pivot: str) -> ApertiumTranslator:
    try:
        return ApertiumTranslator(pivot)
    except TranslationError as error:
        if os.environ.get("PRM_SCORE_TEST_REQUIRE_APERTIUM") == "1" or "Debian packages" not in str(error):
            raise
        pytest.skip(str(error))


def test_stream_format_keeps_any_text() -> None:
    for text in hostile_texts(300):
        split = _Paragraphs.of(text)
        assert split.join(split.paragraphs) == text
        for paragraph in split.paragraphs:
            assert "\0" not in paragraph
            assert decode_stream(encode_stream(paragraph, 12)) == (paragraph, 12)


def test_paragraphs() -> None:
    assert _Paragraphs.of("a b\nc\n \n d\n\n").paragraphs == ["a b\nc", "d"]
    assert _Paragraphs.of("a b\nc\n \n d\n\n").gaps == ["", "\n \n ", "\n\n"]
    assert _Paragraphs.of("  \n") == _Paragraphs([], ["  \n"])
    assert _Paragraphs.of("") == _Paragraphs([], [""])


def test_dropped_words_leave_no_trace() -> None:
    assert decode_stream(" saw  it   [\n]there[\n][\n]and .[=4]") == ("saw it\nthere\nand", 4)
    assert decode_stream("two[  ]blanks.[=0]") == ("two  blanks", 0)
    assert decode_stream("no mark") == ("no mark", None)
    assert decode_stream("a.[=1]b.[=2]")[1] is None


def test_apertium_translates(apertium: ApertiumTranslator) -> None:
    ((_, text),) = apertium.there_and_back([SENTENCES])
    assert text != SENTENCES and ("house" in text or "home" in text)
    assert "red" in text and text.endswith("rained.") and "  " not in text
    assert apertium.name in ("apertium:eng-spa-eng", "apertium:eng-cat-eng")


def test_apertium_leaves_no_mark_on_unknown_words(apertium: ApertiumTranslator) -> None:
    ((_, text),) = apertium.there_and_back(["The quibberish blorfs the house in Grzegorzewo."])
    assert "quibberish" in text and "Grzegorzewo" in text and not set("*@#") & set(text)


def test_apertium_keeps_hostile_text(apertium: ApertiumTranslator) -> None:
    texts = hostile_texts(40)
    done = dict(apertium.there_and_back(texts))
    assert sorted(done) == list(range(len(texts)))
    for index, text in enumerate(texts):
        for char in RESERVED:
            assert done[index].count(char) == text.count(char), (char, text, done[index])


def test_apertium_keeps_paragraphs(apertium: ApertiumTranslator) -> None:
    text = f"\n{SENTENCES}\n\n  {SENTENCES}\r\n\r\n\r\n{SENTENCES}\nA new line\n\n"
    ((_, back),) = apertium.there_and_back([text])
    assert _Paragraphs.of(back).gaps == _Paragraphs.of(text).gaps
    assert back.rstrip().count("\n") == text.rstrip().count("\n")


def test_apertium_texts_do_not_depend_on_their_neighbours(apertium: ApertiumTranslator) -> None:
    texts = [SENTENCES, "", "and then", "He", SENTENCES[:40], " \n\n ", "[", "Is it? Yes. No", "the.", "\0", SENTENCES]
    together = dict(apertium.there_and_back(texts))
    assert together[1] == "" and together[5] == " \n\n " and together[9] == "\0"
    for index in (2, 6, 7, 10):
        assert dict(apertium.there_and_back([texts[index]])) == {0: together[index]}
    assert together[0] == together[10]


def test_apertium_several_batches(apertium: ApertiumTranslator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("translate.BATCH_CHARS", 250)
    done = dict(apertium.there_and_back([SENTENCES] * 4))
    assert sorted(done) == list(range(4)) and len(set(done.values())) == 1
    assert dict(apertium.there_and_back([])) == {}


CRASHES_CAT = [
    '"This is not behaving well by the absent," said she. "Here are not women enough."',
    "that there be no breaking in, nor going out; that there be no complaining in our streets.",
]
"""From Mansfield Park and the Psalms: apertium-postchunk of eng-cat 1.0.1 dies of "be behaving", "be complaining"."""


def test_apertium_paragraphs_that_crash_a_stage() -> None:
    translator = open_apertium("cat")
    behaving, complaining = CRASHES_CAT
    texts = [
        SENTENCES,
        behaving,
        f"He slept.\n\n{complaining}\n\nHe woke.",
        SENTENCES,
        complaining,
        behaving,
        "A house.",
    ]
    done = dict(translator.there_and_back(texts))
    good = dict(translator.there_and_back([SENTENCES, "A house."]))
    assert sorted(done) == list(range(len(texts)))
    assert good[0] and good[1] and [done[0], done[3], done[6]] == [good[0], good[0], good[1]]
    if None not in done.values():
        pytest.skip("this version of apertium-eng-cat translates what crashed version 1.0.1")
    assert [index for index, text in done.items() if text is None] == [1, 2, 4, 5]
    assert None not in dict(open_apertium("spa").there_and_back(texts)).values()


def test_batches() -> None:
    texts = ["x" * (BATCH_CHARS // 2)] * 3 + ["x" * 3 * BATCH_CHARS, "x"]
    assert list(_batches(texts)) == [[0, 1], [2], [3], [4]]


# --- A program in Apertium's place that fails as it is told.

FAKE = """#!{python}
import os, sys, time
if "-l" in sys.argv:
    print("  eng-spa\\n  spa-eng")
    sys.exit(0)
records = sys.stdin.buffer.read().split(b"\\0")[:-1]
with open(__file__ + ".log", "a") as log:
    log.write(f"{{len(records)}}\\n")
out = sys.stdout.buffer
for number, record in enumerate(records):
    if b"{trigger}" in record:
        out.flush()
        {fault}
    out.write(record + b"\\0")
"""


def fake_apertium(folder: Path, fault: str, trigger: str = "boom", timeout_s: float = 30.0) -> ApertiumTranslator:
    program = folder / "apertium"
    program.write_text(FAKE.format(python=sys.executable, trigger=trigger, fault=fault), encoding="utf-8")
    program.chmod(0o755)
    return ApertiumTranslator("spa", program=str(program), timeout_s=timeout_s)


def runs(folder: Path) -> list[int]:
    """How many paragraphs each process got so far."""
    return [int(line) for line in (folder / "apertium.log").read_text(encoding="utf-8").split()]


def outcome(
    translator: ApertiumTranslator | LibreTranslateTranslator, texts: list[str]
) -> tuple[dict[int, str | None], str]:
    done: dict[int, str | None] = {}
    try:
        done.update(translator.there_and_back(texts))
    except TranslationError as error:
        return done, str(error)
    return done, ""


def test_program_that_fails_keeps_what_was_done(tmp_path: Path) -> None:
    translator = fake_apertium(tmp_path, 'print("one\\nno dictionary", file=sys.stderr); sys.exit(3)')
    done, error = outcome(translator, ["a", "b", "first\n\nboom", "c"])
    assert done == {0: "a", 1: "b"}
    assert error == "apertium -f none -z -u eng-spa: exit code 3; last line of its errors: no dictionary"


def test_program_that_hangs_keeps_what_was_done(tmp_path: Path) -> None:
    fault = 'print("loading", file=sys.stderr, flush=True); os.system("sleep 60")'
    translator = fake_apertium(tmp_path, fault, timeout_s=2.0)
    began = time.monotonic()
    done, error = outcome(translator, ["a", "boom", "c"])
    assert done == {0: "a"} and time.monotonic() - began < 10
    assert error == "apertium -f none -z -u eng-spa: no end within 2 s; last line of its errors: loading"


@pytest.mark.parametrize(
    "fault", ["continue", "os._exit(0)", "out.write(record)\n        continue", "record += b' ' + record"]
)
def test_paragraph_that_mixes_texts_up_costs_its_own_text_alone(tmp_path: Path, fault: str) -> None:
    texts = ["a", "boom", "c", "one\n\nboom\n\nthree", "e", "boom"]
    done, error = outcome(fake_apertium(tmp_path, fault), texts)
    assert done == {0: "a", 1: None, 2: "c", 3: None, 4: "e", 5: None} and not error


def test_paragraph_that_fails_only_on_the_way_back(tmp_path: Path) -> None:
    translator = fake_apertium(tmp_path, 'if sys.argv[-1] == "spa-eng": continue')
    assert outcome(translator, ["a", "boom", "c"]) == ({0: "a", 1: None, 2: "c"}, "")


def test_paragraph_that_fails_only_in_company_is_translated(tmp_path: Path) -> None:
    translator = fake_apertium(tmp_path, "if len(records) > 1: continue")
    assert outcome(translator, ["a", "boom", "c"]) == ({0: "a", 1: "boom", 2: "c"}, "")


def test_paragraphs_that_all_fail_in_company_are_translated(tmp_path: Path) -> None:
    texts = [f"text {i}" for i in range(9)]
    done, error = outcome(fake_apertium(tmp_path, "if len(records) > 1: continue", trigger=""), texts)
    assert done == dict(enumerate(texts)) and not error


def test_one_bad_paragraph_costs_two_more_processes_and_a_probe(tmp_path: Path) -> None:
    texts = ["a"] * 60 + ["boom"] + ["a"] * 39
    done, error = outcome(fake_apertium(tmp_path, "os._exit(0)"), texts)
    assert done == {i: None if text == "boom" else "a" for i, text in enumerate(texts)} and not error
    # There: all, the bad one, a probe, the rest. Back: what there is.
    assert runs(tmp_path) == [100, 1, 1, 39, 99]


@pytest.mark.parametrize("period", [1, 2, 5])
def test_many_bad_paragraphs_cost_a_few_times_the_work(tmp_path: Path, period: int) -> None:
    texts = ["a" if i % period else "boom" for i in range(20)]
    done, error = outcome(fake_apertium(tmp_path, "os._exit(0)"), texts)
    assert done == {i: "a" if i % period else None for i in range(20)} and not error
    bad = sum(text is None for text in done.values())
    assert len(runs(tmp_path)) <= 4 * bad + 2 and sum(runs(tmp_path)) <= 5 * 20


def test_failure_after_an_untranslatable_text_keeps_what_was_done(tmp_path: Path) -> None:
    fault = 'if b"hard" not in record or len(records) == 5: continue\n        sys.exit(3)'
    done, error = outcome(fake_apertium(tmp_path, fault), ["a", "boom", "c", "hard boom", "e"])
    assert done == {0: "a", 1: None, 2: "c"}
    assert error == "apertium -f none -z -u eng-spa: exit code 3; it said nothing"


def test_program_that_never_answers_is_a_broken_installation(tmp_path: Path) -> None:
    fault = 'print("cannot open the dictionary", file=sys.stderr); sys.exit(0)'
    done, error = outcome(fake_apertium(tmp_path, fault, trigger=""), ["a", "b", "c"])
    assert not done and runs(tmp_path) == [3, 1, 1]
    expected = (
        "exit code 0, but expected a translation of 'Good.', found none; last line of its errors: cannot open the"
    )
    assert expected in error


def test_missing_program_names_the_packages() -> None:
    with pytest.raises(TranslationError) as info:
        ApertiumTranslator("cat", program="apertium-that-is-not-there")
    assert str(info.value).endswith(
        "program not found on PATH; it comes with the Debian packages apertium and apertium-eng-cat"
    )


def test_missing_pair_names_the_packages(tmp_path: Path) -> None:
    fake_apertium(tmp_path, "pass")
    with pytest.raises(TranslationError) as info:
        ApertiumTranslator("cat", program=str(tmp_path / "apertium"))
    expected = "no mode eng-cat and cat-eng; they come with the Debian packages apertium and apertium-eng-cat"
    assert expected in str(info.value)


def libre(server: ServerProcess, policy: RetryPolicy, **options: object) -> LibreTranslateTranslator:
    return LibreTranslateTranslator(server.url, "es", policy=policy, **options)


def test_libretranslate_is_asked_as_the_protocol_says(start_server: Start, quick: RetryPolicy) -> None:
    server = start_server("--api-key", "right")
    translator = libre(server, quick, api_key="right")
    assert translator.name == "http:en-es-en"
    assert list(translator.there_and_back(["  a\n\nb\n"])) == [(0, "  a (es) (en)\n\nb (es) (en)\n")]
    body = {"q": "a (es)\n\nb (es)", "source": "es", "target": "en", "format": "text", "api_key": "right"}
    assert server.get("/last") == body | {"authorization": None}
    done, error = outcome(libre(server, quick), ["a"])
    assert not done and "/translate: expected a translation from en to es, found status 401" in error


def test_libretranslate_blank_texts_need_no_server(quick: RetryPolicy) -> None:
    translator = LibreTranslateTranslator("http://127.0.0.1:1", policy=quick)
    assert dict(translator.there_and_back(["", " \n\n"])) == {0: "", 1: " \n\n"}


def test_libretranslate_faults_lose_no_other_text(start_server: Start, quick: RetryPolicy) -> None:
    server = start_server()
    texts = [f"text {i}" for i in range(30)]
    texts[1] = "[[id=passing close=yes times=2]]"
    texts[2] = "[[id=lasting answer=missing times=99]]"
    done, error = outcome(libre(server, quick), texts)
    assert sorted(done) == [i for i in range(30) if i != 2]
    assert "after 4 tries (1 of 30 requests failed, 29 done)" in error


@pytest.mark.parametrize("told", [True, False])
def test_libretranslate_divides_long_texts(start_server: Start, quick: RetryPolicy, told: bool) -> None:
    server = start_server("--max-chars", "60")
    translator = libre(server, quick, **({"max_chars": 40} if told else {}))
    text = "\n\n".join(["First paragraph of it.", "Second one. With two sentences.", "word " * 30, "end"])
    done, error = outcome(translator, [text])
    assert not error
    back = done[0].replace(" (es)", "").replace(" (en)", "")
    assert back == text
    assert "First paragraph of it. (es) (en)\n\n" in done[0]


def test_libretranslate_a_word_beyond_all_bounds_is_left_out(start_server: Start, quick: RetryPolicy) -> None:
    server = start_server("--max-chars", "50")
    done, error = outcome(libre(server, quick), ["x" * 200, "b"])
    assert done == {0: None, 1: "b (es) (en)"} and not error


def test_divide() -> None:
    text = "One. Two three.\n\nFour five six seven.\nEight\n\n\nNine"
    for max_chars in range(1, len(text) + 2):
        parts = divide(text, max_chars)
        assert "".join(parts) == text and all(parts)
        assert all(len(part.strip()) <= max(max_chars, 6) for part in parts), (max_chars, parts)
    assert divide(text, 25) == ["One. Two three.\n\n", "Four five six seven.\n", "Eight\n\n\n", "Nine"]
    assert divide("a" * 9, 3) == ["a" * 9]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "translator: expected apertium:spa, apertium:cat or libretranslate:URL#LANGUAGE, found ''"),
        ("apertium", "translator: expected apertium:spa or apertium:cat, found 'apertium'"),
        ("apertium:fra", "translator: expected apertium:spa or apertium:cat, found 'apertium:fra'"),
        ("libretranslate:http://host", "translator: expected libretranslate:URL#LANGUAGE"),
        ("libretranslate:host#es", "URL: expected http://HOST"),
    ],
)
def test_translator_specs_that_are_none(spec: str, message: str) -> None:
    with pytest.raises(ValueError) as info:
        open_translator(spec)
    assert message in str(info.value)


def test_translator_specs() -> None:
    assert open_translator("libretranslate:http://127.0.0.1:5000#es").name == "http:en-es-en"
    if shutil.which("apertium"):
        assert open_translator("apertium:spa").name == "apertium:eng-spa-eng"


def test_argument_errors() -> None:
    with pytest.raises(ValueError, match="pivot: expected spa or cat, found 'fra'"):
        ApertiumTranslator("fra")
    with pytest.raises(ValueError, match="timeout_s: expected more than 0, found 0"):
        ApertiumTranslator("spa", timeout_s=0)
    with pytest.raises(ValueError, match="max_chars: expected 1 or more, found 0"):
        LibreTranslateTranslator("http://host", max_chars=0)
