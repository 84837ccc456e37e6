#!/usr/bin/env python3
"""Stands in for prm-score where its numbers do not matter: --stub MODE makes it misbehave, --stub dies-once FILE while
FILE is there. The ids of its rows are the GPUs it sees."""

import contextlib
import json
import os
import signal
import sys
import time

FINGERPRINT = {
    **{"--text-field": "text", "--id-field": "id", "--context-field": None, "--keep": [], "--keep-all": False},
    "--max-line-bytes": 1 << 28,
}


def remove_if_there(path):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
        return True
    return False


def main():
    mode = sys.argv[sys.argv.index("--stub") + 1] if "--stub" in sys.argv else ""
    if "--fingerprint" in sys.argv:
        recorded = {
            "prm_score": os.environ.get("STUB_VERSION", "1"),
            "torch": "1",
            "cpu": os.environ.get("STUB_CPU", "x"),
        }
        print(json.dumps({"fingerprint": FINGERPRINT, "recorded": recorded}))
        return 0
    for number, line in enumerate(sys.stdin.buffer, 1):
        if not line.strip():
            continue
        time.sleep({"slow": 0.2, "dies": 0.002}.get(mode, 0))
        if mode == "dies-once" and remove_if_there(sys.argv[sys.argv.index("--stub") + 2]):
            os.kill(os.getpid(), signal.SIGKILL)
        if mode == "dies" and b"poison" in line:
            os.kill(os.getpid(), signal.SIGKILL)
        if mode == "stops" and b"poison" in line:
            print("prm-score: out of memory", file=sys.stderr)
            return 1
        gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
        row = {"line": number, "id": gpus, "reward": 0.5, "num_tokens": len(line), "num_chunks": 1, "log_odds": [0.5]}
        print(json.dumps(row, separators=(",", ":")), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
