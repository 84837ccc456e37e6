"""Texts that tokenizers get wrong: a list for the goldens, and random strings for comparisons.

A long text is stored as a recipe, so that data files stay small:
  {"unit": "ab", "times": 3}                ababab
  {"every_code_point_then": "x"}            U+0000 x U+0001 x .. for the planes that hold characters (SWEPT_RANGES)
"""

from __future__ import annotations

import random

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
SWEPT_RANGES = [(0x0, 0xD800), (0xE000, 0x33480), (0xE0000, 0xE0200), (0x10FFF0, 0x110000)]  # half-open
MARKERS = ["\n\n<<JUDGEMENT_REGION>>\n", "\n<</JUDGEMENT_REGION>>\n\n<<JUDGEMENT>>", "<<JUDGEMENT>>"]

TEXTS = {
    "empty": "",
    "one letter": "A",
    "space": " ",
    "plain": "The Senate, which met in 1841, didn't adjourn.",
    "contractions": "I'm you're he's we'll they'd I've don't I'M YOU'RE HE'S WE'LL THEY'D I'VE DON'T 's'S 'ſ’s it'ſ 'lL 'rE",
    "digits": "1 12 123 1234 12345 1234567890 3.14 1,000,000 ٣٤٥ १२३४ ５６７ ⅷ ¾ ² 𝟙𝟚𝟛 ௧௨ Ⅻ 一二",
    "white space": "a b  c   d\te\t\tf \t g\u00a0h\u2003i\u3000j\u200bk\u202fl\u205fm\u1680n\x0bo\x0cp\x1cq\x85r",
    "newlines": "a\nb\r\nc\rd\n\ne\r\n\r\nf \n g \r\n h\n \n \n\n  i\u2028j\u2029k\x85l\n",
    "trailing space": "end   ",
    "trailing newlines": "end \n\n \n",
    "only white space": " \t\n \r\n\u2028 \u3000 ",
    "leading space": "   begin",
    "punctuation": "!!! ??? ... --- (a) [b] {c} <d> \"e\" 'f' `g` ~h~ @i #j $k %l ^m &n *o _p_ +q =r |s \\t /u ;v :w\n//\n/*x*/",
    "NFD": "e\u0301te\u0301 a\u0308o\u0308u\u0308 n\u0303 A\u030a \u0041\u0328\u0301 s\u0323\u0307 q\u0307\u0323 \u1e9b\u0323",
    "NFC": "été äöü ñ Å Ą́ ṩ q\u0323\u0307 ẛ\u0323",
    "singletons": "\u212b \u2126 \u212a \u0340\u0341\u0343\u0374\u037e\u0387 \uf900 \ufa10 \u2329\u232a \U0002f800",
    "jamo": "\u1112\u1161\u11ab\u1100\u1173\u11af \u1112\u1161 \u1161\u11ab \u11ab \ud55c\uae00 \uac00\u11a8 \uac01\u11a8",
    "lone marks": "\u0301 \u0301\u0301a \u0327\u0301e \u3099\u304b\u3099 \u093c \u0f71\u0f72\u0f74 \u0345 x\u20dd\u200d",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪🇫🇷 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ❤️ ☺︎ 1️⃣ 🤷🏿‍♀️😀😀😀",
    "replacement character": "a\ufffdb \ufffd\ufffd \ufffd",
    "NUL": "a\x00b\x00\x00 \x00 c",
    "controls": "".join(map(chr, range(32))) + "\x7f\x80\x9f\xad\ufeff\u200e\u202e",
    "noncharacters": "\ufdd0\ufffe\uffff\U0001fffe\U0010ffff",
    "private use": "\ue000\uf8ff\U000f0000\U00100000",
    "scripts": "Привет мир Γειά σου שלום עולם مرحبا بالعالم नमस्ते दुनिया สวัสดีชาวโลก 你好，世界 こんにちは世界 안녕하세요 გამარჯობა ՀԱՅ አማርኛ ᏣᎳᎩ 𐍈𐌰 𒀀𒁀 𓀀𓁐",
    "mixed case": "HTMLParser iPhone McDonald ǅungla ǄUNGLA ǆungla ŉ ßẞ İıIi ﬁﬂ ªº ʰʷ Ⓐⓑ 🅰🄰",
    "joined scripts": "abcабв123１２３日本abcאבג",
    "code": "for (int i = 0; i < n; ++i) {\n\tsum += a[i];  // add\n}\n\n\n\treturn sum;\n",
    "path": "https://www.example.org/a/b?c=d&e=f#g //x\n/y/\r\n///",
    "special tokens": "a<|endoftext|>b <|im_start|>user\nhi<|im_end|>\n<|im_end|><|im_end|> <s></s>[INST] x [/INST]<|begin_of_text|><|eot_id|>",
    "special tokens in part": "<|endoftext <|im_ <|im_start|<|im_start|> |endoftext|> <|<|endoftext|>|> <s <s>> [INS [INST][INST]T]",
    "special tokens and spaces": "a  <|im_start|>  b \n<|im_end|>\n c\t<s>\t</s> \u3000<|endoftext|>\u3000 \n",
    "added tokens": "<tool_call>x</tool_call><think>\n</think> <|fim_prefix|>a<|fim_suffix|> <a><b><a><a><b>c <a ><bb> ",
    "added tokens that strip": "x  <l>  y <r>  z  <l><r>  <lr>  \n <lr>\u3000<r> \n<l> a<r><l> b <r> [sp] <r>  [sp]  <l>",
    "added tokens as words": "word words word, sword word-word wordé éword word\u0301 word_ _word 1word word1 word\u200d ⓦword word.",
    "added tokens, normalised": "caf\u00e9 cafe\u0301 CAF\u00c9 \u65e5\u672c \ud55c \u1112\u1161\u11ab <n\u00e9> <ne\u0301> cafe\u0301\u0301",
    "template": MARKERS[0] + "a chunk" + MARKERS[1],
    "markers in text": "".join(MARKERS) + " <<JUDGEMENT_REGION>> <</JUDGEMENT_REGION >> <<<JUDGEMENT>>>",
    "byte alphabet": "Ġ Ċ ĉ č Ā ā ŀ Ń ł ń ġ ¡ÿ ĠtheĠ",
    "nonsense": "constitutionallyness antidisestablishmentarianism zzzzqqqqxxxx Pneumonoultramicroscopic",
    "run of letters": {"unit": "a", "times": 100_000},
    "run of capitals": {"unit": "Z", "times": 100_000},
    "run of spaces": {"unit": " ", "times": 100_000},
    "run of tabs": {"unit": "\t", "times": 100_000},
    "run of newlines": {"unit": "\n", "times": 100_000},
    "run of CRLF": {"unit": "\r\n", "times": 50_000},
    "run of digits": {"unit": "7", "times": 100_000},
    "run of punctuation": {"unit": "=", "times": 100_000},
    "run of ideographs": {"unit": "日", "times": 100_000},
    "run of emoji": {"unit": "😀", "times": 100_000},
    "run of marks": {"unit": "\u0301", "times": 10_000},
    "run of NFD": {"unit": "e\u0301", "times": 50_000},
    "run of jamo": {"unit": "\u1112\u1161\u11ab", "times": 30_000},
    "run of two letters": {"unit": "ab", "times": 50_000},
    "run of three letters": {"unit": "the", "times": 33_333},
    "run of NUL": {"unit": "\x00", "times": 100_000},
    "run of special tokens": {"unit": "<|im_end|>", "times": 10_000},
    "long word": {"unit": "constitutionalgovernmentoftheunitedstatesofamerica", "times": 2_000},
    "code points": {"every_code_point_then": ""},
    "code points between letters": {"every_code_point_then": "a"},
}


def expand(text: str | dict) -> str:
    """The text of a recipe; a text as it is."""
    if isinstance(text, str):
        return text
    if "unit" in text:
        return text["unit"] * text["times"]
    return "".join(chr(c) + text["every_code_point_then"] for begin, end in SWEPT_RANGES for c in range(begin, end))


def cut_texts() -> dict[str, str]:
    """Every beginning of a text that has something of everything."""
    whole = "I'm 12 e\u0301\ud55c\u1112\u1161 <|im_start|>x\r\n\n  👍🏽 <r>  \u2028word."
    return {f"cut at {i}": whole[:i] for i in range(len(whole))}


# What random strings are made of, with how often each is drawn.
HOSTILE_PIECES: list[tuple[int, list[str]]] = [
    (8, list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")),
    (3, list("0123456789٣४５Ⅷ²¾")),
    (8, [" ", " ", " ", "  ", "   ", "\t", "\n", "\n\n", "\r", "\r\n", "\u00a0", "\u2003", "\u3000", "\u2028", "\x0b", "\x85"]),
    (3, ["'", "'s", "'S", "'ſ", "'t", "'re", "'VE", "'m", "'ll", "'D", "’s"]),
    (4, list(".,;:!?-_/\\()[]{}<>|\"`~@#$%^&*+=")),
    (3, ["\u0301", "\u0308", "\u0323", "\u0327", "\u0345", "\u093c", "\u3099", "\u0300", "\u20dd"]),
    (3, list("éäñÅßÉĄşİıſǅʰªⒶ")),
    (3, ["\u1112", "\u1161", "\u11ab", "\ud55c", "\uac00", "\u1100", "\u11a8"]),
    (3, list("日本語你好かがパプжЖΣσςאבعमक्षिไทย")),
    (3, ["😀", "👍", "🏽", "\u200d", "❤", "\ufe0f", "🇩", "🇪", "1\u20e3", "\U000e0067"]),
    (1, ["\x00", "\ufffd", "\ufeff", "\u200b", "\xad", "\uffff", "\ue000", "\U0010ffff"]),
    (3, ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<s>", "</s>", "[INST]", "<|begin_of_text|>", "<tool_call>", "<think>"]),
    (3, ["<a>", "<b>", "<a><b>", "<l>", "<r>", "<lr>", "word", "caf\u00e9", "cafe\u0301", "<n\u00e9>", "<ne\u0301>", "[sp]", " <sp>"]),
    (2, ["<|", "|>", "<", ">", "im_", "end", "start|>", "<|im_st", "art|>", "<a", "<s", "[IN", "ST]"]),
    (2, ["<<JUDGEMENT_REGION>>", "<</JUDGEMENT_REGION>>", "<<JUDGEMENT>>", "<<", ">>"]),
    (3, [" the", " of", "ing", "tion", " nation", " Congress", "ment", " and", "er"]),
]
WEIGHTS = [weight for weight, _ in HOSTILE_PIECES]


def random_text(rng: random.Random) -> str:
    """A string of hostile pieces; now and then one of any code points, or with long runs."""
    kind = rng.random()
    length = rng.choice([1, 2, 3, 5, 8, 13, 21, 34, 55, 89])
    if kind < 0.1:
        return "".join(chr(rng.choice(CODE_POINTS)) for _ in range(length))
    groups = HOSTILE_PIECES
    weights = WEIGHTS
    if kind < 0.5:  # of few groups, so that their members meet often
        groups = rng.sample(HOSTILE_PIECES, 3)
        weights = [1, 1, 1]
    pieces = [rng.choice(group[1]) for group in rng.choices(groups, weights, k=length)]
    if kind > 0.95:
        pieces = [piece * rng.choice([1, 1, 1, 2, 3, 50]) for piece in pieces]
    return "".join(pieces)
