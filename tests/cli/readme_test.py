"""What the README shows is what the program prints: runs its console blocks on the real binary."""

import json
import re
import subprocess
import unittest

import program

ROOT = program.DATA.parent
README = (ROOT / "README.md").read_text()


def console_blocks() -> list[str]:
    return re.findall(r"^```console\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def run(command: str) -> list[str]:
    command = command.replace("build/prm-score", f"'{program.PROGRAM}' --model data/tiny-judge")
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, env=program.environment(), capture_output=True,
                          text=True, check=False)
    return done.stdout.splitlines()


class ReadmeTest(unittest.TestCase):
    def assert_same(self, shown: object, printed: object) -> None:
        """Equal, but for numbers, which another kind of CPU rounds otherwise."""
        if isinstance(shown, float):
            self.assertAlmostEqual(shown, printed, delta=1e-4 * max(1.0, abs(shown)))
        elif isinstance(shown, dict):
            self.assertEqual(list(shown), list(printed))
            for key in shown:
                self.assert_same(shown[key], printed[key])
        elif isinstance(shown, list):
            self.assertEqual(len(shown), len(printed))
            for a, b in zip(shown, printed):
                self.assert_same(a, b)
        else:
            self.assertEqual(shown, printed)

    def test_console_blocks(self) -> None:
        blocks = console_blocks()
        self.assertGreaterEqual(len(blocks), 2)
        for block in blocks:
            command, *shown = block.splitlines()
            self.assertTrue(command.startswith("$ "), command)
            with self.subTest(command):
                self.assert_same([json.loads(line) for line in shown], [json.loads(line) for line in run(command[2:])])

    def test_pairs_for_trl_are_the_best_and_the_worst_of_a_prompt(self) -> None:
        """By the README's own line, its program replaced by rows."""
        (recipe,) = re.findall(r"^# preference pairs for TRL.*?\n(.*?)\n#", README, flags=re.DOTALL | re.MULTILINE)
        jq_command = recipe.partition("| ")[2]
        rewards = {"a": [1.5, -2, 0.25], "alone": [3.0], "equal": [0.5, 0.5], "bad": [1.0, None], "b": [-1, -0.5]}
        rows = [
            {"line": 1, "input": {"prompt": prompt, "text": f"{prompt} {reward}"}, "reward": reward}
            for prompt, some in rewards.items()
            for reward in some
        ]
        done = subprocess.run(["bash", "-c", jq_command], input="".join(json.dumps(row) + "\n" for row in rows),
                              capture_output=True, text=True, check=True)
        self.assertEqual(
            [json.loads(line) for line in done.stdout.splitlines()],
            [{"prompt": "a", "chosen": "a 1.5", "rejected": "a -2"}, {"prompt": "b", "chosen": "b -0.5", "rejected": "b -1"}],
        )


if __name__ == "__main__":
    program.main()
