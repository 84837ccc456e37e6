#!/usr/bin/env bash
# quickstart.sh - from a fresh Debian 12 or Ubuntu 24.04 machine to scored documents: installs what is missing, builds
# build/prm-score and scores data/examples/docs.jsonl with the judge that ships in data/. Safe to run again: what is done is
# not done twice. The rows go to standard output, everything else to standard error.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup_lib.sh"

usage() {
  cat <<TEXT
usage: scripts/quickstart.sh [--cuda] [--torch-dir DIR]

  --cuda            fetch the CUDA libraries for GPUs too (3 GB); on by itself if an NVIDIA driver is present
  --torch-dir DIR   use the libtorch in DIR (libtorch, or site-packages/torch of torch 2.11 or newer) in place of the
                    active Python's torch or a download; also as the environment variable PRM_SCORE_TORCH_DIR
TEXT
}

cuda_set=cpu
while [[ $# -gt 0 ]]; do
  case $1 in
    --cuda) cuda_set=cuda ;;
    --torch-dir)
      [[ $# -ge 2 ]] || die "--torch-dir: expected a folder"
      export PRM_SCORE_TORCH_DIR=$2
      shift
      ;;
    -h | --help)
      usage
      exit
      ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
  shift
done

build_program() {
  local -a first_time=()
  # The tests need more packages; test.sh switches them on.
  [[ -e build/CMakeCache.txt ]] || first_time=(-DPRM_SCORE_BUILD_TESTS=OFF)
  configure build -DPRM_SCORE_TORCH_DIR="$torch_dir" "${first_time[@]}"
  build build prm-score
}

exec 3>&1 1>&2
step 'system packages' install_packages "${build_packages[@]}"
step 'libtorch' ensure_torch "$cuda_set"
step 'build' build_program
step 'score data/examples/docs.jsonl' run build/prm-score data/examples/docs.jsonl >&3
say "== ready after $SECONDS s: build/prm-score --help"
