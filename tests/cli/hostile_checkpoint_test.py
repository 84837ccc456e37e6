"""Checkpoints that somebody has damaged, by accident or on purpose: the program ends with an error that names the file,
within seconds and in bounded memory."""

import json
import os
import resource
import shutil
import struct
import time

import program
from program import MODEL, line, run

MAX_BYTES = 3 << 30
MAX_SECONDS = 60  # of a machine that does other things, too; alone each takes about one

HUGE = 2**63 - 1


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))


def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


class HostileCheckpoint(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.model = self.folder / "judge"
        shutil.copytree(MODEL, self.model)

    def expect_error(self, *words, stdin=None, exit_code=1):
        start = time.monotonic()
        done = run(stdin=stdin or line(), model=self.model, preexec_fn=limit_memory)
        self.assertLess(time.monotonic() - start, MAX_SECONDS)
        said = done.stderr.decode(errors="replace")
        self.assertEqual(done.returncode, exit_code, said)
        for word in words:
            self.assertIn(word, said + done.stdout.decode())
        return done

    def change_json(self, name, change):
        path = self.model / name
        shutil.copy(MODEL / name, path)
        contents = json.loads(path.read_text())
        change(contents)
        path.write_text(json.dumps(contents))

    # ---- config.json

    def test_absurd_sizes(self):
        for key in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size",
                    "num_key_value_heads", "max_position_embeddings"):
            for value in (0, -1, HUGE, 2**40, 2**64, 10**400, "7"):
                if key == "max_position_embeddings" and value in (HUGE, 2**40):
                    continue  # no more than it says
                with self.subTest(key=key, value=str(value)[:30]):
                    self.change_json("config.json", lambda config: config.__setitem__(key, value))  # noqa: B023
                    self.expect_error("prm-score: ", "config.json" if value not in (HUGE, 2**40) else "")

    def test_absurd_numbers_of_rope_and_norm(self):
        for text in ("0", "-1", "1e400", "NaN", '"x"'):
            for key in ("rope_theta", "rms_norm_eps"):
                if key == "rms_norm_eps" and text == "0":
                    continue  # as the reference
                with self.subTest(key=key, value=text):
                    config = (MODEL / "config.json").read_text()
                    old = '"rope_theta": 10000.0' if key == "rope_theta" else '"rms_norm_eps": 1e-06'
                    (self.model / "config.json").write_text(config.replace(old, f'"{key}": {text}'))
                    self.expect_error("config.json")

    def test_json_that_is_none_or_deep(self):
        for name in ("config.json", "tokenizer.json"):
            for text in (b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000, b"\0" * 1000):
                with self.subTest(name=name, text=text[:10]):
                    shutil.copytree(MODEL, self.model, dirs_exist_ok=True)
                    (self.model / name).write_bytes(text)
                    self.expect_error(name)

    # ---- safetensors

    def test_weights_that_are_cut_short(self):
        whole = (MODEL / "model.safetensors").read_bytes()
        for size in (0, 1, 7, 8, 9, 500, len(whole) // 2, len(whole) - 1):
            with self.subTest(size=size):
                (self.model / "model.safetensors").write_bytes(whole[:size])
                self.expect_error("model.safetensors")
        (self.model / "model.safetensors").write_bytes(whole + b"\0")
        self.expect_error("model.safetensors")

    def test_headers_that_lie(self):
        tensor = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
        for header in (
            {"a": {**tensor, "data_offsets": [0, 2**62]}},
            {"a": {**tensor, "data_offsets": [2**64 - 4, 2**64]}},
            {"a": {**tensor, "data_offsets": [-4, 0]}},
            {"a": {**tensor, "data_offsets": [4, 0]}},
            {"a": {**tensor, "shape": [2**32, 2**32]}},
            {"a": {**tensor, "shape": [2**62, 4, 0]}},
            {"a": {**tensor, "shape": [-1]}},
            {"a": {**tensor, "shape": [1] * 100_000}},
            {"a": tensor, "b": tensor},
            {"a": {**tensor, "dtype": "F33"}},
            {f"t{i}": tensor for i in range(100_000)},
            b"[" * 200_000,
            b"{" + b" " * 100,
        ):
            with self.subTest(header=str(header)[:60]):
                (self.model / "model.safetensors").write_bytes(safetensors(header, b"\0" * 4))
                self.expect_error("model.safetensors")
        for length in (2**63, 2**64 - 1, 2**40):
            with self.subTest(length=length):
                (self.model / "model.safetensors").write_bytes(struct.pack("<Q", length) + b"{}")
                self.expect_error("model.safetensors")

    def test_indexes_that_lead_elsewhere(self):
        index = self.model / "model.safetensors.index.json"
        (self.model / "model.safetensors").rename(self.model / "shard.safetensors")
        for name in ("../judge/shard.safetensors", "/dev/zero", "..", ".", "", "a/b", "shard.safetensors\0", "missing"):
            with self.subTest(name=name):
                index.write_text(json.dumps({"weight_map": {"model.norm.weight": name}}))
                self.expect_error("missing" if name == "missing" else "model.safetensors.index.json")

    def test_links_and_special_files(self):
        for name in ("config.json", "tokenizer.json", "model.safetensors"):
            path = self.model / name
            for kind in ("loop", "device", "fifo", "folder", "dangling"):
                with self.subTest(name=name, kind=kind):
                    if path.is_dir() and not path.is_symlink():
                        path.rmdir()
                    else:
                        path.unlink()
                    if kind == "loop":
                        path.symlink_to(name)
                    elif kind == "device":
                        path.symlink_to("/dev/zero")
                    elif kind == "fifo":
                        os.mkfifo(path)
                    elif kind == "folder":
                        path.mkdir()
                    else:
                        path.symlink_to("nowhere")
                    self.expect_error(name if kind not in ("dangling", "loop") else "prm-score: ")
            path.unlink()
            shutil.copy(MODEL / name, path)

    # ---- tokenizer.json

    def change_tokenizer(self, change):
        self.change_json("tokenizer.json", change)

    def test_merges_that_do_not_fit(self):
        def with_merges(merges):
            return lambda tokenizer: tokenizer["model"].__setitem__("merges", merges)

        for merges in ([["a", "nowhere"]], [["a"]], [["a", "b", "c"]], ["a"], ["a b c"], [7], "a b", [["", ""]],
                       [["\u0120", "t"]] * 1_000_000 + [["nowhere", "x"]]):
            with self.subTest(merges=str(merges)[:40]):
                self.change_tokenizer(with_merges(merges))
                self.expect_error("tokenizer.json")

    def test_ids_that_do_not_fit(self):
        for value in (-1, 2**31, HUGE, 2**64, 1.5, "7", 4091 * 10**6):
            with self.subTest(value=value):
                self.change_tokenizer(lambda t: t["model"]["vocab"].__setitem__("a", value))  # noqa: B023
                self.expect_error("tokenizer.json")
        self.change_tokenizer(lambda t: t["model"]["vocab"].__setitem__("a", t["model"]["vocab"]["b"]))
        self.expect_error("tokenizer.json")

    def with_pattern(self, pattern):
        self.change_tokenizer(
            lambda t: t["pre_tokenizer"]["pretokenizers"][0].__setitem__("pattern", {"Regex": pattern}))

    def test_a_pattern_that_explodes_costs_the_document_alone(self):
        self.with_pattern(r"(?:a+)+$|(?:a|aa)+b")
        done = self.expect_error(stdin=line("a" * 4000 + "c") + line("ok"), exit_code=3)
        rows = program.rows_of(done.stdout)
        self.assertEqual([row["reward"] is None for row in rows], [True, False])
        self.assertIn("text: ", rows[0]["error"])

    def test_patterns_that_are_none(self):
        for pattern in ("(", "[z-a]", "(?", "\\", "a{99999999}", "(" * 10_000 + "a" + ")" * 10_000, "(?R)", "\\C"):
            with self.subTest(pattern=pattern[:20]):
                self.with_pattern(pattern)
                self.expect_error("tokenizer.json")


if __name__ == "__main__":
    program.main()
