"""prm-score prompts, info, --help and --version. Needs the program as first argument."""

import hashlib
import json

import program
from program import ProgramTest, line, rows_of, run

PROMPT = "{context}\n\n<<JUDGEMENT_REGION>>\n{chunk}\n<</JUDGEMENT_REGION>>\n\n<<JUDGEMENT>>"


class Prompts(ProgramTest):
    def test_one_row_per_chunk_with_the_prompts_text(self):
        text = "The quick brown fox jumps over the lazy dog. " * 20
        process = run("prompts", stdin=line(text, id="a"))
        self.assert_exit(process, 0)
        rows = rows_of(process.stdout)
        self.assertEqual(list(rows[0]), ["line", "id", "chunk", "start", "end", "prompt", "input_ids"])
        self.assertEqual([row["chunk"] for row in rows], list(range(len(rows))))
        self.assertEqual([row["start"] for row in rows], [64 * i for i in range(len(rows))])
        self.assertEqual([row["end"] for row in rows[:-1]], [64 * i + 64 for i in range(len(rows) - 1)])
        context = ""
        for row in rows:
            before, after = PROMPT.format(context=context, chunk="\0").split("\0")
            self.assertTrue(row["prompt"].startswith(before) and row["prompt"].endswith(after), row["prompt"])
            context += row["prompt"][len(before):-len(after)]
        self.assertEqual(context, text)

    def test_prompts_are_those_that_scoring_counts(self):
        data = line("word " * 200) + line("word " * 64)
        scored = rows_of(run(stdin=data).stdout)
        prompts = rows_of(run("prompts", stdin=data).stdout)
        for row in scored:
            mine = [prompt for prompt in prompts if prompt["line"] == row["line"]]
            self.assertEqual(len(mine), row["num_chunks"])
            self.assertEqual(mine[-1]["end"], row["num_tokens"])

    def test_skipped_and_dropped_chunks_have_no_row(self):
        process = run("prompts", "--first-chunk", "skip", "--last-chunk", "drop", stdin=line("word " * 200))
        rows = rows_of(process.stdout)
        self.assertEqual(rows[0]["chunk"], 1)
        self.assertTrue(all(row["end"] - row["start"] == 64 for row in rows))

    def test_bad_lines_and_exit_codes_are_those_of_scoring(self):
        data = b"?\n" + line() + b'{"id":7}\n{"text":"","id":8}\n'
        process = run("prompts", stdin=data)
        self.assert_exit(process, 3)
        scored = run(stdin=data)
        self.assertEqual([row for row in process.stdout.split(b"\n") if b'"error"' in row],
                         [row for row in scored.stdout.split(b"\n") if b'"error"' in row])
        self.assert_exit(run("prompts", "--errors-ok", stdin=data), 0)
        self.assert_exit(run("prompts", "--max-errors", 1, stdin=data), 1, "--max-errors: stopped after bad row 1")

    def test_needs_no_weights(self):
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            (self.folder / name).symlink_to(program.MODEL / name)
        self.assert_exit(run("prompts", model=self.folder, stdin=line()), 0)
        self.assert_exit(run(model=self.folder, stdin=line()), 1, "model.safetensors")


class Info(ProgramTest):
    def test_says_what_the_checkpoint_is(self):
        process = run("info", "--json")
        self.assert_exit(process, 0)
        info = json.loads(process.stdout)
        config = json.loads((program.MODEL / "config.json").read_text())
        for name in ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
                     "vocab_size", "max_position_embeddings"):
            self.assertEqual(info["architecture"][name], config[name], name)
        tokenizer = (program.MODEL / "tokenizer.json").read_bytes()
        self.assertEqual(info["tokenizer"]["sha256"], hashlib.sha256(tokenizer).hexdigest())
        self.assertEqual(info["template"]["sha256"], hashlib.sha256(PROMPT.encode()).hexdigest())
        vocabulary = json.loads(tokenizer)["model"]["vocab"]
        self.assertEqual(info["labels"], {"A": vocabulary["A"], "B": vocabulary["B"]})
        self.assertLess(info["default_max_context"], info["max_positions"])
        self.assertEqual(info["default_max_context"] % 64, 0)
        memory = info["weight_bytes_in_memory"]
        self.assertLess(memory["bfloat16"], memory["float32"])
        self.assertLess(memory["int8"], memory["bfloat16"])

    def test_the_number_of_parameters_is_that_of_the_file(self):
        info = json.loads(run("info", "--json").stdout)
        num_elements = 0
        for path in program.MODEL.glob("*.safetensors"):
            with path.open("rb") as file:
                header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            for name, tensor in header.items():
                size = 1
                for length in tensor.get("shape", [0]):
                    size *= length
                num_elements += size
        self.assertEqual(info["architecture"]["num_parameters"], num_elements)

    def test_plan_counts_the_rows_with_and_without_sharing(self):
        documents = self.folder / "docs.jsonl"
        documents.write_bytes(line("word " * 1000) + b"?\n" + line("One. ") + line(""))
        prompts = rows_of(run("prompts", str(documents)).stdout)
        prompts = [prompt["input_ids"] for prompt in prompts if "input_ids" in prompt]
        plan = json.loads(run("info", "--json", "--plan", str(documents)).stdout)["plan"]
        self.assertEqual([plan["documents"], plan["bad_lines"], plan["chunks"]], [2, 2, len(prompts)])
        self.assertEqual(plan["rows_without_sharing"], sum(map(len, prompts)))
        # The context once, and per chunk itself and the template with a token or two of a merge.
        self.assertGreater(plan["rows"], plan["tokens"])
        self.assertLess(plan["rows"], 2 * plan["tokens"] + len(prompts) * 40)
        for options in (["--stride", "16"], ["--max-context", "128"], ["--join", "tokens"]):
            moved = json.loads(run("info", "--json", "--plan", str(documents), *options).stdout)["plan"]
            prompts = rows_of(run("prompts", str(documents), *options).stdout)
            expected = sum(len(prompt["input_ids"]) for prompt in prompts if "input_ids" in prompt)
            self.assertEqual(moved["rows_without_sharing"], expected)
            self.assertLess(moved["rows"], expected)
        self.assert_exit(run("info", "--plan", str(self.folder / "none.jsonl")), 1, "none.jsonl")

    def test_a_plan_says_which_lines_it_leaves_out(self):
        pairs = self.write("pairs.jsonl", b'\n{"chosen":"a","rejected":"b"}\n')
        self.assert_exit(run("info", "--plan", pairs), 0, f"{pairs}: 1 bad line, left out of the plan, the first is "
                         'line 2: text: missing field "text"; it looks like a preference pair')
        self.write("pairs.jsonl", line("good"))
        self.assertEqual(run("info", "--plan", pairs).stderr, b"")

    def test_for_people_it_is_one_line_per_fact(self):
        process = run("info")
        self.assert_exit(process, 0)
        self.assertRegex(process.stdout.decode(), r"(?m)^architecture\.model_type +qwen2$")

    def test_labels_must_be_single_tokens(self):
        self.assert_exit(run("info", "--labels", "A,no such token at all"), 1, "no such token at all")


class HelpAndVersion(ProgramTest):
    def test_both_end_with_0_and_need_no_model(self):
        process = run("--version", model=None)
        self.assert_exit(process, 0)
        self.assertRegex(process.stdout.decode(), r"^prm-score \d+\.\d+\.\d+\nlibtorch \d+\.\d+")
        for arguments in (["--help"], ["prompts", "--help"], ["info", "--help"]):
            process = run(*arguments, model=None)
            self.assert_exit(process, 0)
            self.assertIn(b"--model", process.stdout)


if __name__ == "__main__":
    program.main()
