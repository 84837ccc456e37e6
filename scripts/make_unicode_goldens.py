#!/usr/bin/env python3
"""Writes data/golden/unicode/: what the `tokenizers` package makes of split patterns and of NFC.

  splits.json        pieces of tricky texts, for the known patterns and for each construct split_pattern.h supports
  code_points.json   per block of code points the CRC-32 of piece lengths, each code point put into the same phrase
  nfc.json           NFC of random strings of tricky characters; CRC-32 of NFC over all code points, and over pairs

Usage: pip install tokenizers==0.23.3 unicodedata2, then scripts/make_unicode_goldens.py (takes about two minutes).
"""

import argparse
import json
import pathlib
import random
import zlib

from train import required_packages  # noqa: F401

# isort: split
import tokenizers
import unicodedata2
from tokenizers import Regex, normalizers, pre_tokenizers

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "data" / "golden" / "unicode"
BLOCK = 4096
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn".split()

KNOWN_PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
             r"|\s+(?!\S)|\s+",
    "llama3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
              r"|\s+(?!\S)|\s+",
    "tekken": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
              r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}"
              r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}

# The length of the first piece of code point + digits tells which set it is in.
DIGITS = "".join(str(i % 10) for i in range(32))
CATEGORY_PATTERN = "|".join(rf"\p{{{name}}}{DIGITS[:i]}" for i, name in enumerate(CATEGORIES))
SHORTHAND_PATTERN = rf"\s|\d{DIGITS[:1]}|\w{DIGITS[:2]}|.{DIGITS[:3]}|[^\p{{^P}}]|\n{DIGITS[:5]}"

TEXTS = [
    "Hello, world! It's a test.", "it's IT'S I'LL we'Ve they'RE you'D i'M 'tis o'clock 'ſ 'S 'lx 'l", "'s", "'", "''s",
    "x'll y'l l z'", "1234567890 12 123 1234 ٣٤٥٦ Ⅷ½ ½½½½", "a1b22c333d4444", "  two  spaces   three    four ", " ",
    "   ",
    "\n", "\n\n\n", " \n", "\n ", "  \n\n  x", "a \n b\r\n\r\nc\rd", "\t\tx\t y", "end  ", "end\n", "end \n ",
    "x\u00a0\u00a0y",
    "\u3000\u3000全角", "a\u2028b\u2029c\u0085d\u000bd\u000ce", "漢字かな交じり文。ABC漢abc", "한국어 텍스트",
    "\u1112\u1161\u11ab\u1100\u1173\u11af",
    "e\u0301 a\u0323\u0307 \u0301x \u0301", "HELLOWorld helloWORLD HeLLo ǅx ʰA ªB", "A漢BB 1", "A漢BBx", "A漢B\u0301B!",
    "ABCdefGHI",
    "/path/to\n/file //\n\n//x", "!!\n/\n/a", "?!... ---\n\n\n", "$100.00 100% #tag @user a_b",
    "👩\u200d👩\u200d👧 🇩🇪🏳️\u200d🌈 ❤️",
    "\ufffd\ufffd x", "a\0b\0\0", "\u200b\u200bx\u200dy\ufeffz", "नमस्ते दुनिया", "สวัสดีชาวโลก", "مرحبا بالعالم ١٢٣",
    "שָׁלוֹם", "Ελληνικά Кириллица",
    "\U0001e4ec\u1c89\U00016ea0\U00032473\ue000", "    def f(x):\n        return x  # y\n\n\n",
    "<|im_start|>user\nHi<|im_end|>\n",
    "\n\n<<JUDGEMENT_REGION>>\nchunk\n<</JUDGEMENT_REGION>>\n\n<<JUDGEMENT>>", "a" * 300, " " * 300 + "x", "1" * 100,
]

CONSTRUCTS = [
    ("x*", "abxxc"), ("x*", ""), ("(?=b)", "abb"), ("b|", "abbé"), ("(?!a)", "bab"), ("$", "ab\ncd\n"), ("^",
    "\na\nb\n"),
    ("^", "\n\n"), ("a$", "a\na"), (r"\Aa", "aa\na"), (r"a\z", "a\na"), (".", "a\nb\r\u2028"), ("a.c", "abc a\nc"),
    ("a{,2}", "baaab"),
    ("a{2,}", "baaab"), ("a{2}", "baaaab"), ("a{1,2}?", "aaax"), ("a++b", "aab"), ("a?+a", "aa"), ("a*+b", "aaab"),
    ("a+?", "aaa"),
    ("a??b", "aab"), ("a*?b", "aab"), ("(?<!a)b", "abb"), ("(?<=a)b", "abb"), ("(?<=a|bc)b", "abcb"), ("(?>a+)ab|a",
    "aab"),
    ("(a|b)+", "abcba"), (r"[a\-b]+", "a-b"), ("[a-]+", "x-a-"), ("[-a]+", "x-a-"), ("[^-a]+", "x-a-"), (r"[\]a\[]+",
    "x]a["), (r"\/\.\'", "a/.'b"),
    (r"[^\S\n]+", "a  \n b"), (r"[^\p{^L}]+", "a1-"), (r"\P{L}+", "ab12c"), (r"\P{^L}+", "ab12c"), (r"\p{^L}+",
    "ab12c"), (r"[\s\S]", "a\n"),
    ("x]}", "ax]}b"), ("(?i:[sdmt]|ll|ve|re)+", "ſDLLveRElKx"), ("(?i:[^s])+", "sabSſc"), ("(?i:k)", "kK\u212a"),
    ("(?i:'s(?:x|T))", "'sx'ST"),
    (r"\w+", "a_1é\u0301\u24b6\u203f-\u1d2c"), (r"\W+", "a_1-- b"), (r"\d+", "1٣a½"), (r"\D+", "1٣a½"), (r"\t|\r|\n",
    "a\tb\rc\nd"), ("[a-zé-ü]+", "abcéüþ"),
    ("一|[ぁ-ん]+", "一二あいう"), ("[一-龥ࠀ-一가-퟿]+", "漢字 한"), ("(?:a|)b", "abb"), ("[a&b]+", "xa&b"), ("[a^]+", "xa^"),
]


def pieces(splitter, text):
    return [piece for piece, _ in splitter.pre_tokenize_str(text)]


def split_on(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def phrase(char):
    return f"a{char}b1{char}2 {char}{char}'{char} \n{char}A{char}!{char}"


def crc_of_blocks(bytes_of):
    crcs = []
    for begin in range(0, 0x110000, BLOCK):
        crc = 0
        for code_point in range(begin, begin + BLOCK):
            if not 0xD800 <= code_point <= 0xDFFF:
                crc = zlib.crc32(bytes_of(chr(code_point)), crc)
        crcs.append(crc)
    return crcs


def code_point_golden(pattern, text_of):
    splitter = split_on(pattern)
    return crc_of_blocks(lambda char: bytes(len(piece.encode()) for piece in pieces(splitter, text_of(char))))


def nfc_golden():
    nfc = normalizers.NFC().normalize_str
    marks = [c for c in CODE_POINTS if unicodedata2.combining(chr(c))]
    decomposing = [c for c in CODE_POINTS if unicodedata2.normalize("NFD", chr(c)) != chr(c) and not 0xAC00 <= c <= 0xD7A3]
    seconds = sorted({ord(unicodedata2.normalize("NFD", chr(c))[-1]) for c in decomposing} | set(marks)
                     | set(range(0x1160, 0x1177)) | set(range(0x11A7, 0x11C4)))
    bases = sorted({ord(unicodedata2.normalize("NFD", chr(c))[0]) for c in decomposing} | set(range(0x1100, 0x1113))
                   | set(range(0xAC00, 0xD7A4, 97)) | {0xAC00, 0xD7A3, 0x1113, 0x1175})
    rng = random.Random(20250101)
    kinds = [marks, decomposing, bases, seconds, [*map(ord, "aeouAK \n")], [*range(0x300, 0x345)]]
    strings = ["".join(chr(rng.choice(rng.choice(kinds))) for _ in range(rng.randint(1, 10))) for _ in range(600)]
    return {
        "strings": [[string, nfc(string)] for string in strings],
        "block_size": BLOCK,
        "code_points": crc_of_blocks(lambda char: nfc(char).encode()),
        "between_marks": crc_of_blocks(lambda char: nfc(f"q\u0345{char}\u0334").encode()),
        "bases": bases,
        "seconds": seconds,
        "pairs": [zlib.crc32("".join(nfc(chr(base) + chr(second)) + "\n" for second in seconds).encode())
                  for base in bases],
    }


def write(name, value):
    FOLDER.mkdir(parents=True, exist_ok=True)
    versions = {"tokenizers": tokenizers.__version__, "unicodedata2": unicodedata2.unidata_version}
    text = json.dumps({"made_by": "scripts/make_unicode_goldens.py", "versions": versions, **value},
                      ensure_ascii=True, separators=(",", ":"))
    (FOLDER / name).write_text(text + "\n")
    print(f"{name}: {len(text)} bytes")


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    known = [(pattern, text) for pattern in KNOWN_PATTERNS.values() for text in TEXTS]
    write("splits.json", {
        "known_patterns": KNOWN_PATTERNS,
        "splits": [{"pattern": pattern, "text": text, "pieces": pieces(split_on(pattern), text)}
                   for pattern, text in known + CONSTRUCTS],
    })
    write("nfc.json", nfc_golden())
    write("code_points.json", {
        "block_size": BLOCK,
        "phrases": [{"name": name, "pattern": pattern, "crcs": code_point_golden(pattern, phrase)}
                    for name, pattern in KNOWN_PATTERNS.items()],
        "digits": DIGITS,
        "before_digits": [{"name": name, "pattern": pattern,
                           "crcs": code_point_golden(pattern, lambda char: char + DIGITS)}
                          for name, pattern in (("category", CATEGORY_PATTERN), ("shorthand", SHORTHAND_PATTERN))],
    })


if __name__ == "__main__":
    main()
