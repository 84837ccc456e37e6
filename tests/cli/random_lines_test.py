"""Holds the reading of lines against Python's json on random lines. Needs the program as first argument.

No line has a text, so none is scored: every row is an error row, and says whether the line was JSON, what its id was
and which fields were kept.
"""

import json
import random
import re

import program
from program import ProgramTest, run

SEED = 20250101
NUM_LINES = 20_000
CHARACTERS = ["a", "Z", "0", " ", '"', "\\", "/", "\n", "\t", "\0", "\x7f", "\u00e9", "\u2028", "\u0085", "\ufeff",
              "\U0001f600"]
DAMAGE = b'\0",.0:[\\]e{}\x80\xc3\xed\xff'


def random_string(rng):
    """A string's JSON text, each character in one of the ways it may be written."""
    text = ""
    for character in rng.choices(CHARACTERS, k=rng.randrange(6)):
        escaped = json.dumps(character)[1:-1]
        if character in '"\\' or character < " " or rng.random() < 0.3:
            is_hexadecimal = escaped.startswith("\\u")
            text += escaped.upper().replace("\\U", "\\u") if is_hexadecimal and rng.random() < 0.5 else escaped
        else:
            text += character
    return f'"{text}"'


def random_number(rng):
    digits = str(rng.randrange(10 ** rng.choice([1, 3, 25, 330])))
    fraction = "." + str(rng.randrange(1000)).zfill(3) if rng.random() < 0.4 else ""
    exponent = rng.choice("eE") + rng.choice(["", "+", "-"]) + str(rng.randrange(500)) if rng.random() < 0.3 else ""
    return rng.choice(["", "-"]) + digits + fraction + exponent


def random_value(rng, depth=0):
    space = lambda: rng.choice(["", "", "", " ", "\t ", "\r"])
    kind = rng.randrange(7 if depth < 4 else 5)
    if kind == 5:
        return "[" + ",".join(space() + random_value(rng, depth + 1) + space() for _ in range(rng.randrange(4))) + "]"
    if kind == 6:
        return random_object(rng, depth + 1)
    return [random_string, random_number, lambda _: "true", lambda _: "false", lambda _: "null"][kind](rng)


def random_object(rng, depth=0):
    space = lambda: rng.choice(["", "", "", " ", "\t", "  "])
    field = lambda: (space() + rng.choice([random_string(rng), '"id"', '"a"']) + space() + ":" + space() +
                     random_value(rng, depth) + space())
    return "{" + ",".join(field() for _ in range(rng.randrange(5))) + "}"


def damaged(rng, data):
    """One byte less, more or other."""
    at = rng.randrange(len(data))
    byte = bytes([rng.choice([*DAMAGE, rng.randrange(256)])])
    result = data[:at] + rng.choice([b"", byte, byte + data[at:at + 1]]) + data[at + 1:]
    return result.replace(b"\n", b" ")


def refuse(name):
    raise ValueError(name)


def checked(pairs):
    """The object; lone surrogates are refused also in a value that a later duplicate key hides."""
    json.dumps(pairs, ensure_ascii=False).encode()
    return dict(pairs)


def reference(data):
    """What Python makes of a line; None if it is no JSON. Numbers stay text, so that all their digits are compared."""
    try:
        value = json.loads(data.decode(), parse_constant=refuse, parse_int=lambda text: ("number", text),
                           parse_float=lambda text: ("number", text), object_pairs_hook=checked)
        json.dumps(value, ensure_ascii=False).encode()
        return value
    except ValueError:
        return None


class RandomLines(ProgramTest):
    def test_validity_ids_and_kept_fields_are_those_of_python(self):
        rng = random.Random(SEED)
        lines = []
        while len(lines) < NUM_LINES:
            data = random_object(rng).encode()
            if rng.random() < 0.4:
                data = damaged(rng, data)
            if data.strip(b" \t\r"):
                lines.append(data)
        process = run("--keep-all", "--text-field", "no such field", stdin=b"\n".join(lines))
        self.assert_exit(process, 3)
        rows = process.stdout.split(b"\n")[:-1]
        self.assertEqual(len(rows), len(lines))
        num_json = sum(self.check(data, row) for data, row in zip(lines, rows))
        self.assertTrue(NUM_LINES * 0.5 < num_json < NUM_LINES * 0.9, num_json)

    def check(self, data, row_json):
        value, row = reference(data), reference(row_json)
        self.assertIsNotNone(row, (data, row_json))
        if value is None:
            self.assertTrue(row["error"].startswith("not JSON: "), (data, row_json))
            self.assertNotIn("input", row)
            return False
        if isinstance(value, dict):
            self.assertEqual(row["error"], 'no such field: missing field "no such field"', data)
            self.assertEqual(row["input"], value, data)
            self.assertEqual(list(row["input"]), list(value), data)
            self.assertEqual(row.get("id", "none"), value.get("id", "none"), data)
            kept = row_json[row_json.index(b'"input":') + 8:row_json.index(b',"reward":null,"error"')]
            for text in re.findall(rb'"(?:[^"\\]|\\.)*"|[-+.0-9eE]{3,}', kept):
                self.assertIn(text, data)  # not only equal, but written alike
        return True


if __name__ == "__main__":
    program.main()
