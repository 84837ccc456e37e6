#!/usr/bin/env python3
"""Writes src/text/unicode_tables.cpp: the Unicode data of the `tokenizers` package, found by asking it.

The package holds two Unicode versions: that of its regex engine (Oniguruma: \\p{..}, \\s, case) and that of its
normaliser (NFC, NFD), which is older. No published data file would give the same ids, so every code point is put to it:

  general category   the split pattern \\p{Lu}, \\p{Ll}, .. over a text of all code points
  white space, words the split patterns \\s, \\w
  case               the split patterns (?i:a), .. (?i:z) over the same text
  decomposition      NFD of each code point
  composition        NFC of each pair that a decomposition names
  combining class    whether NFD moves the code point past marks of the other classes

Usage: pip install tokenizers==0.23.3, then scripts/make_unicode_tables.py (from anywhere; takes about two minutes).
"""

import argparse
import pathlib
import string

from train import required_packages  # noqa: F401

# isort: split
import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

TARGET = pathlib.Path(__file__).resolve().parent.parent / "src" / "text" / "unicode_tables.cpp"
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn".split()
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]  # a text holds no surrogates
HANGUL_SYLLABLES = range(0xAC00, 0xD7A4)
HANGUL_LATER_JAMO = [*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)]  # vowels and trailing consonants

# A code point that a version added, which tells the versions apart: any character, and a mark with a combining class.
FIRST_CHARACTERS = {"12.0": 0x0C77, "13.0": 0x08BE, "14.0": 0x0870, "15.0": 0x0CF3, "15.1": 0x2FFC, "16.0": 0x1C89,
                    "17.0": 0x16EA0}
FIRST_MARKS = {"8.0": 0x08E3, "9.0": 0x08D4, "10.0": 0x1DF6, "11.0": 0x08D3, "12.0": 0x0EBA, "13.0": 0x1ABF,
               "14.0": 0x0898, "15.0": 0x10EFD, "16.0": 0x0897}

# One mark per combining class, of Unicode 3.2 or before; 0 stands for the letter that keeps them apart.
MARK_OF_CLASS = {
    1: 0x0334, 7: 0x093C, 8: 0x3099, 9: 0x094D, 10: 0x05B0, 11: 0x05B1, 12: 0x05B2, 13: 0x05B3, 14: 0x05B4, 15: 0x05B5,
    16: 0x05B6, 17: 0x05B7, 18: 0x05B8, 19: 0x05B9, 20: 0x05BB, 21: 0x05BC, 22: 0x05BD, 23: 0x05BF, 24: 0x05C1,
    25: 0x05C2, 26: 0xFB1E, 27: 0x064B, 28: 0x064C, 29: 0x064D, 30: 0x064E, 31: 0x064F, 32: 0x0650, 33: 0x0651,
    34: 0x0652, 35: 0x0670, 36: 0x0711, 84: 0x0C55, 91: 0x0C56, 103: 0x0E38, 107: 0x0E48, 118: 0x0EB8, 122: 0x0EC8,
    129: 0x0F71, 130: 0x0F72, 132: 0x0F74, 202: 0x0321, 214: 0x1DCE, 216: 0x031B, 218: 0x302A, 220: 0x0316,
    222: 0x059A, 224: 0x302E, 226: 0x1D16D, 228: 0x05AE, 230: 0x0300, 232: 0x0315, 233: 0x035C, 234: 0x035D,
    240: 0x0345}

nfd = normalizers.NFD().normalize_str
nfc = normalizers.NFC().normalize_str


def matches(pattern, text):
    """The set of characters of `text` that `pattern`, which matches single characters, matches."""
    pieces = pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str(text)
    return set(text) - set().union(*(set(piece) for piece, _ in pieces))


def general_categories(text):
    category = {}
    for name in CATEGORIES:
        if name == "Cs":
            continue
        for char in matches(rf"\p{{{name}}}", text):
            assert char not in category, f"U+{ord(char):04X}: both {category[char]} and {name}"
            category[char] = name
    assert len(category) == len(text), "a code point without general category"
    return {ord(char): name for char, name in category.items()}


def check_shorthands(text, category):
    """split_pattern.cpp builds \\d and . itself; this is where that is known to be right."""
    assert matches(r"\d", text) == {c for c in text if category[ord(c)] == "Nd"}
    assert matches(r".", text) == set(text) - {"\n"}


def combining_classes(decompositions):
    """Class of every code point that is its own decomposition."""
    def comes_after(mark, code_point):  # whether NFD swaps them, i.e. class of mark > class of code_point > 0
        text = "a" + chr(mark) + chr(code_point)
        return nfd(text) != text

    def is_after(code_point, mark):  # whether NFD swaps them, i.e. class of code_point > class of mark > 0
        text = "a" + chr(code_point) + chr(mark)
        return nfd(text) != text

    known = sorted(MARK_OF_CLASS.items())
    for (_, low), (_, high) in zip(known, known[1:]):
        assert comes_after(high, low), f"U+{low:04X}, U+{high:04X}: not in this order"
    classes = {}
    for code_point in CODE_POINTS:
        if code_point in decompositions or code_point in HANGUL_SYLLABLES:
            continue
        if not comes_after(known[-1][1], code_point) and not is_after(code_point, known[0][1]):
            continue  # a starter: it moves past nothing
        same = [cls for cls, mark in known if not comes_after(mark, code_point) and not is_after(code_point, mark)]
        assert len(same) == 1, f"U+{code_point:04X}: classes {same}"
        classes[code_point] = same[0]
    return classes


def find_compositions(decompositions):
    pairs = []
    for code_point, decomposed in sorted(decompositions.items()):
        if nfc(decomposed) != chr(code_point):
            continue  # composition exclusion or singleton
        first, second = nfc(decomposed[:-1]), decomposed[-1]
        assert len(first) == 1 and nfc(first + second) == chr(code_point), f"U+{code_point:04X}: not a pair"
        pairs.append((ord(first), ord(second), code_point))
    return sorted(pairs)


def find_changes_before(classes, decompositions, compositions):
    changes = set(classes) | {second for _, second, _ in compositions} | set(HANGUL_LATER_JAMO)
    changes |= {c for c in CODE_POINTS if nfc(chr(c)) != chr(c)}
    changes |= {c for c, decomposed in decompositions.items() if ord(decomposed[0]) in changes}
    return changes


def runs(value_of, default):
    """[(first code point, value)] of the runs of equal values that cover all code points."""
    result = []
    for code_point in range(0x110000):
        value = value_of.get(code_point, default)
        if not result or result[-1][1] != value:
            result.append((code_point, value))
    return result


def array(declaration, items):
    lines = [f"const {declaration}[] = {{"]
    line = "   "
    for item in items:
        if len(line) + len(item) + 2 > 120:
            lines.append(line)
            line = "   "
        line += f" {item},"
    return "\n".join([*lines, line, "};"])


def run_array(name, table):
    return array(f"uint32_t {name}", [f"{first << 8 | value:#x}" for first, value in table])


def newest(versions, is_known):
    return [version for version, code_point in versions.items() if is_known(code_point)][-1]


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    text = "".join(map(chr, CODE_POINTS))
    category = general_categories(text)
    check_shorthands(text, category)
    white_space = {ord(c): 1 for c in matches(r"\s", text)}
    words = {ord(c): 1 for c in matches(r"\w", text)}
    variants = [(ord(letter), ord(c)) for letter in string.ascii_lowercase
                for c in sorted(matches(f"(?i:{letter})", text)) if c.lower() != letter or ord(c) > 127]

    decompositions = {c: nfd(chr(c)) for c in CODE_POINTS if c not in HANGUL_SYLLABLES and nfd(chr(c)) != chr(c)}
    classes = combining_classes(decompositions)
    compositions = find_compositions(decompositions)
    changes = find_changes_before(classes, decompositions, compositions)

    pool, entries = [], []
    for code_point, decomposed in sorted(decompositions.items()):
        entries.append(f"{{{code_point:#x}, {len(pool)}, {len(decomposed)}}}")
        pool += map(ord, decomposed)
    regex_version = newest(FIRST_CHARACTERS, lambda c: category[c] != "Cn")
    normalizer_version = newest(FIRST_MARKS, lambda c: c in classes)
    version = f"{regex_version}, NFC {normalizer_version} (tokenizers {tokenizers.__version__})"
    category_runs = runs({c: CATEGORIES.index(name) for c, name in category.items()}, CATEGORIES.index("Cs"))

    parts = [
        f"// Made by scripts/make_unicode_tables.py with tokenizers {tokenizers.__version__}, whose regex engine knows\n"
        f"// Unicode {regex_version} and whose normaliser knows Unicode {normalizer_version}. Do not edit.\n"
        '#include "unicode_tables.h"\n\n'
        "namespace prm_score::unicode_tables {\nnamespace {\n\n// clang-format off",
        run_array("kCategoryRuns", category_runs),
        run_array("kWhiteSpaceRuns", runs(white_space, 0)),
        run_array("kWordRuns", runs(words, 0)),
        array("CaseVariant kCaseVariants", [f"{{'{chr(a)}', {b:#x}}}" for a, b in variants]),
        run_array("kCombiningClassRuns", runs(classes, 0)),
        run_array("kChangesBeforeRuns", runs({c: 1 for c in changes}, 0)),
        array("Decomposition kDecompositions", entries),
        array("char32_t kDecompositionPool", [f"{c:#x}" for c in pool]),
        array("Composition kCompositions", [f"{{{a:#x}, {b:#x}, {c:#x}}}" for a, b, c in compositions]),
        "// clang-format on\n\n}  // namespace\n",
        f'std::string_view version() {{ return "{version}"; }}',
        "std::span<const uint32_t> category_runs() { return kCategoryRuns; }",
        "std::span<const uint32_t> white_space_runs() { return kWhiteSpaceRuns; }",
        "std::span<const uint32_t> word_runs() { return kWordRuns; }",
        "std::span<const CaseVariant> case_variants() { return kCaseVariants; }",
        "std::span<const uint32_t> combining_class_runs() { return kCombiningClassRuns; }",
        "std::span<const uint32_t> changes_before_runs() { return kChangesBeforeRuns; }",
        "std::span<const Decomposition> decompositions() { return kDecompositions; }",
        "std::span<const char32_t> decomposition_pool() { return kDecompositionPool; }",
        "std::span<const Composition> compositions() { return kCompositions; }\n",
        "}  // namespace prm_score::unicode_tables\n",
    ]
    TARGET.write_text("\n".join(parts))
    print(f"{TARGET}: {version}, {len(category_runs)} category runs, {len(classes)} marks, {len(entries)} "
          f"decompositions, {len(compositions)} compositions")


if __name__ == "__main__":
    main()
