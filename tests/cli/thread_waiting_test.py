"""How long the program's threads spin: shortly, unless the user has said otherwise."""

import pathlib
import unittest

import program


class ThreadWaitingTest(program.ProgramTest):
    def environment_while_running(self, **variables):
        clean = {k: v for k, v in program.environment().items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
        process = program.subprocess.Popen([program.PROGRAM, "--model", str(program.MODEL)], stdin=-1, stdout=-1, stderr=-1,
                                           env={**clean, **variables})
        process.stdin.write(program.line())
        process.stdin.flush()
        self.assertIn(b"reward", process.stdout.readline())  # it has started for good
        found = pathlib.Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        name = pathlib.Path(f"/proc/{process.pid}/comm").read_text().strip()
        process.communicate()
        self.assertEqual(process.returncode, 0)
        return found, name

    def test_short_by_default_and_still_called_by_its_name(self):
        found, name = self.environment_while_running()
        self.assertIn(b"GOMP_SPINCOUNT=1000", found)
        self.assertEqual(name, pathlib.Path(program.PROGRAM).name)

    def test_what_the_user_set_stays(self):
        self.assertNotIn(b"GOMP_SPINCOUNT=1000", self.environment_while_running(OMP_WAIT_POLICY="active")[0])
        self.assertIn(b"GOMP_SPINCOUNT=10", self.environment_while_running(GOMP_SPINCOUNT="10")[0])


if __name__ == "__main__":
    program.main()
