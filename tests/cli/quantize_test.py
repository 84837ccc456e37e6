"""prm-score quantize: a folder that gives the rewards of --dtype int8, to the bit."""

import json
import operator
import shutil
import signal
import struct
import subprocess
import time

import program
from program import DATA, MODEL, ProgramTest, run

DOCS = DATA / "examples/docs.jsonl"


class QuantizeTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.judge = self.folder / "judge-int8"

    def quantize(self, *arguments, **options):
        return run("quantize", self.judge, *arguments, **options)

    def test_rows_are_those_of_dtype_int8(self):
        done = self.quantize()
        self.assert_exit(done, 0, f"{self.judge}: ")
        self.assertEqual(done.stdout, b"")
        expected = run(DOCS, "--dtype", "int8")
        self.assert_exit(expected, 0)
        for how in ((), ("--dtype", "int8"), ("--device", "cpu,cpu"), ("--self-check",)):
            found = run(DOCS, *how, model=self.judge)
            self.assert_exit(found, 0, "in int8")
            self.assertEqual(found.stdout, expected.stdout, how)
        oracle = run("--no-prefix-sharing", "--limit", "3", DOCS, model=self.judge)
        self.assertEqual(oracle.stdout, run("--no-prefix-sharing", "--limit", "3", DOCS, "--dtype", "int8").stdout)

    def test_integers_are_the_weights_over_their_scales(self):
        """By the format's and the layout's description, with nothing of the program."""
        self.quantize()

        def tensors_of(folder):
            data = (folder / "model.safetensors").read_bytes()
            (length,) = struct.unpack("<Q", data[:8])
            header = json.loads(data[8 : 8 + length])
            header.pop("__metadata__", None)
            start = 8 + length
            return {
                name: (entry, data[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]])
                for name, entry in header.items()
            }

        def bfloat16(data):
            halves = (b"\0\0" + data[i : i + 2] for i in range(0, len(data), 2))
            return struct.unpack(f"<{len(data) // 2}f", b"".join(halves))

        before, after = tensors_of(MODEL), tensors_of(self.judge)
        name = "model.layers.1.self_attn.o_proj"
        entry, data = before[f"{name}.weight"]
        self.assertEqual(entry["dtype"], "BF16")
        num_outputs, num_inputs = entry["shape"]
        weight = bfloat16(data)
        packed, scales = after[f"{name}.int8"][1], struct.unpack(f"<{num_outputs}f", after[f"{name}.int8_scales"][1])
        padded = -(-num_inputs // 64) * 64
        signs = [[(-1) ** (i & j).bit_count() for j in range(64)] for i in range(64)]  # the Hadamard matrix
        for n in range(num_outputs):
            row = [*weight[n * num_inputs : (n + 1) * num_inputs], *[0.0] * (padded - num_inputs)]
            groups = [row[first : first + 64] for first in range(0, padded, 64)]
            rotated = [sum(map(operator.mul, line, group)) for group in groups for line in signs]
            scale = max(map(abs, rotated)) / 127
            self.assertAlmostEqual(scales[n] * 64, scale, delta=1e-5 * scale)
            for k in range(padded):
                block = n // 32 * 32 * padded + k // 64 * 2048
                place = block + n % 32 // 16 * 1024 + k % 64 // 4 * 64 + n % 16 * 4 + k % 4
                self.assertLessEqual(abs(rotated[k] / scale - (packed[place] - 128)), 0.501)
        self.assertEqual(after["model.embed_tokens.weight"], (after["model.embed_tokens.weight"][0],
                                                             before["model.embed_tokens.weight"][1]))
        # The first layer, and what follows attention in the last one, stay as they are.
        last = json.loads((MODEL / "config.json").read_text())["num_hidden_layers"] - 1
        kept = {name.split(".")[2] for name in after if name.endswith("_proj.weight")}
        self.assertEqual(kept, {"0", str(last)})
        self.assertNotIn(f"model.layers.{last}.self_attn.q_proj.weight", after)

    def test_other_dtypes_and_another_quantising_are_refused(self):
        self.quantize()
        for dtype in ("float32", "bfloat16"):
            done = run(DOCS, "--dtype", dtype, model=self.judge)
            self.assert_exit(done, 1, f"--dtype {dtype}: expected auto or int8")
        against = run("check", "--against", "float32", DOCS, model=self.judge)
        self.assert_exit(against, 4, "--against float32: --dtype float32: expected auto or int8, as the checkpoint is quantised; ")
        again = run("quantize", self.folder / "twice", model=self.judge)
        self.assert_exit(again, 1, "quantization_config: expected weights as trained")
        self.assertFalse((self.folder / "twice").exists())

    def test_wrong_usage_and_what_is_there(self):
        for names in ((), ("-",), ("a", "b")):
            self.assert_exit(run("quantize", *names), 2, "quantize: expected one name")
        self.judge.mkdir()
        self.assert_exit(self.quantize(), 1, f"{self.judge}: already there")
        self.assert_exit(run("quantize", self.folder / "no/where/q"), 1, "cannot be written")
        self.assert_exit(run("quantize", self.folder / "q", model=self.folder / "nothing"), 1, "no such folder")

    def test_info_says_what_it_is(self):
        self.quantize()
        info = json.loads(run("info", "--json", model=self.judge).stdout)
        self.assertEqual(info["weights"]["quantization"], "int8")
        self.assertEqual(list(info["weight_bytes_in_memory"]), ["int8"])
        self.assertIsNone(json.loads(run("info", "--json").stdout)["weights"]["quantization"])
        self.assert_exit(run("info", "--verify", model=self.judge), 0)

    def test_resume_takes_the_two_for_different_checkpoints(self):
        self.quantize()
        out = self.folder / "rows.jsonl"
        self.assert_exit(run(DOCS, "--output", out, "--dtype", "int8"), 0)
        self.assert_exit(run(DOCS, "--output", out, "--resume", model=self.judge), 1, "SHA-256 of config.json")

    def test_weights_that_are_not_finite_are_refused(self):
        model = self.folder / "broken"
        shutil.copytree(MODEL, model)
        data = bytearray((MODEL / "model.safetensors").read_bytes())
        (length,) = struct.unpack("<Q", data[:8])
        begin, _ = json.loads(data[8 : 8 + length])["model.layers.1.mlp.down_proj.weight"]["data_offsets"]
        for value in (0x7FC0, 0xFF80):  # nan, -inf
            struct.pack_into("<H", data, 8 + length + begin + 200, value)
            (model / "model.safetensors").write_bytes(data)
            done = run("quantize", self.judge, model=model)
            self.assert_exit(done, 1, "model.layers.1.mlp.down_proj: expected finite weights, found others (prm-score info")
            self.assertFalse(self.judge.exists())
            found = run("info", "--verify", model=model)
            self.assertIn("model.layers.1.mlp.down_proj.weight", found.stdout.decode() + found.stderr.decode())

    def test_interrupted_it_leaves_nothing(self):
        layers = 400  # a second of work
        model = self.folder / "deep"
        shutil.copytree(MODEL, model)
        config = json.loads((MODEL / "config.json").read_text())
        data = (MODEL / "model.safetensors").read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        header.pop("__metadata__", None)
        body = bytearray(data[8 + length :])
        first = "model.layers.0."
        parts = {name[len(first) :]: entry for name, entry in header.items() if name.startswith(first)}
        for layer in range(config["num_hidden_layers"], layers):
            for name, entry in parts.items():
                begin, end = entry["data_offsets"]
                header[f"model.layers.{layer}.{name}"] = {**entry, "data_offsets": [len(body), len(body) + end - begin]}
                body += body[begin:end]
        config["num_hidden_layers"] = layers
        config.pop("layer_types", None)
        (model / "config.json").write_text(json.dumps(config))
        text = json.dumps(header).encode()
        (model / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)
        command = [program.PROGRAM, "quantize", str(self.judge), "--model", str(model)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, env=program.environment())
        while not any(self.folder.glob("judge-int8.*/model.safetensors")) and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        stderr = process.communicate(timeout=program.TIMEOUT_S)[1].decode()
        self.assertEqual(process.returncode, 130, stderr)
        self.assertIn("interrupted by SIGINT, nothing is left", stderr)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["deep"])


if __name__ == "__main__":
    program.main()
