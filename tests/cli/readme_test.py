"""What the README shows is what the program prints: runs its console blocks on the real binary."""

import json
import re
import subprocess
import unittest

import program

ROOT = program.DATA.parent


def console_blocks() -> list[str]:
    return re.findall(r"^```console\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.DOTALL | re.MULTILINE)


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


if __name__ == "__main__":
    program.main()
