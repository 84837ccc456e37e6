#!/usr/bin/env bash
# fuzz.sh - feeds strange bytes to what parses untrusted ones, under AddressSanitizer and UndefinedBehaviorSanitizer.
#
#   scripts/fuzz.sh [--seconds N] [TARGET...]     default: 300 seconds for each of all targets
#
#   jsonl           files of lines, plain and compressed
#   rows            rows of scoring, and the report of them
#   tokenizer_json  tokenizer.json
#   bpe             encoding and decoding against each other, prefixes against whole strings
#   safetensors     safetensors files
#   index           model.safetensors.index.json
#   config          config.json
#
# Builds into build/fuzz with clang. Starts from tests/fuzz/seeds and what earlier runs found in build/fuzz/corpus. Bytes
# that break something stay in build/fuzz/found: make a test of them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup_lib.sh"

readonly build_dir=build/fuzz
readonly all_targets=(jsonl rows tokenizer_json bpe safetensors index config)

seconds=300
targets=()
while [[ $# -gt 0 ]]; do
  case $1 in
    -h | --help)
      print_manual scripts/fuzz.sh
      exit
      ;;
    --seconds)
      seconds=${2:?--seconds: expected a number}
      shift
      ;;
    -*) die "$1: expected --seconds N or targets" ;;
    *) targets+=("$1") ;;
  esac
  shift
done
[[ ${#targets[@]} -gt 0 ]] || targets=("${all_targets[@]}")
for target in "${targets[@]}"; do
  [[ " ${all_targets[*]} " == *" $target "* ]] || die "$target: expected one of ${all_targets[*]}"
done

build_fuzzers() {
  configure "$build_dir" -DCMAKE_CXX_COMPILER="clang++-$clang_version" -DPRM_SCORE_BUILD_MODEL=OFF \
    -DPRM_SCORE_BUILD_TESTS=OFF -DPRM_SCORE_BUILD_FUZZERS=ON -DPRM_SCORE_SANITIZE=fuzzer-no-link,address,undefined \
    -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG='-O1 -g -fno-sanitize-recover=all'
  build "$build_dir"
}

fuzz() {
  local target=$1 corpus=$build_dir/corpus/$1
  mkdir -p "$corpus" "$build_dir/found"
  run "$build_dir/fuzz_$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -max_len=65536 \
    -artifact_prefix="$build_dir/found/$target-" -print_final_stats=1 -verbosity=0 "$corpus" "tests/fuzz/seeds/$target"
}

step 'system packages' install_packages "${build_packages[@]}" "clang-$clang_version" "libclang-rt-$clang_version-dev"
step 'build' build_fuzzers
for target in "${targets[@]}"; do
  step "$target" fuzz "$target"
done
