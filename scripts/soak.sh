#!/usr/bin/env bash
# soak.sh - an hour of everything at once: random documents, bad lines, kills, signals, pauses. See scripts/soak.py.
#
#   scripts/soak.sh [--minutes N] [--seed N] [--prm-score PATH] [--summary FILE]
set -euo pipefail
exec python3 "$(dirname "${BASH_SOURCE[0]}")/soak.py" "$@"
