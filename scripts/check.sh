#!/usr/bin/env bash
# check.sh - what a reviewer would rather not look for. Installs what it needs, goes on after a failure, sums up at the end.
#
#   scripts/check.sh [PART...]      default: all of them, in this order
#
#   format     clang-format on every C++ file
#   shell      shellcheck on every script
#   warnings   everything compiles without a warning
#   tidy       clang-tidy with the checks in .clang-tidy
#   sanitize   the tests without torch, under AddressSanitizer and UndefinedBehaviorSanitizer
#   races      the same under ThreadSanitizer: reading, queue, a judge without a model, writing and its background
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup_lib.sh"

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  print_manual scripts/check.sh
  exit
fi

# One version on every distribution, or the verdicts differ; clang before 15 cannot compile the ranges of libstdc++.
readonly clang_format_version=14 clang_tidy_version=16
readonly all_parts=(format shell warnings tidy sanitize races)
readonly build_dir=build/check

cpp_files() { find include src tests -name '*.h' -o -name '*.cpp' | sort; }

check_format() {
  install_packages "clang-format-$clang_format_version"
  cpp_files | xargs "clang-format-$clang_format_version" --dry-run -Werror
}

check_shell() {
  install_packages shellcheck
  { find scripts tests -name '*.sh' -o -name '*.sbatch' && printf '.ci/run\n'; } | sort | xargs shellcheck
}

configure_check() {
  install_packages "${build_packages[@]}" "${test_packages[@]}"
  ensure_torch cpu
  configure "$build_dir" -DPRM_SCORE_TORCH_DIR="$torch_dir" -DPRM_SCORE_WERROR=ON
}

check_warnings() {
  configure_check
  build "$build_dir"
}

check_tidy() {
  install_packages "clang-tidy-$clang_tidy_version" python3
  configure_check
  run "run-clang-tidy-$clang_tidy_version" -quiet -p "$build_dir" -j "$(num_jobs)" "$PWD/(src|tests)/"
}

# Assertions are on, and any report fails the test that caused it.
check_with_sanitizers() {
  local dir=$1 sanitizers=$2
  install_packages "${build_packages[@]}" "${test_packages[@]}"
  configure "$dir" -DPRM_SCORE_BUILD_MODEL=OFF -DPRM_SCORE_SANITIZE="$sanitizers" \
    -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG='-O1 -g -fno-sanitize-recover=all'
  build "$dir"
  run ctest --test-dir "$dir" --parallel "$(nproc)" --output-on-failure --no-tests=error -LE '^heavy$'
}

check_sanitize() { check_with_sanitizers build/sanitize address,undefined; }

check_races() { check_with_sanitizers build/races thread; }

parts=("$@")
[[ $# -gt 0 ]] || parts=("${all_parts[@]}")
for part in "${parts[@]}"; do
  [[ " ${all_parts[*]} " == *" $part "* ]] || die "unknown part '$part'; expected: ${all_parts[*]}"
done

summary=()
failures=0
for part in "${parts[@]}"; do
  start=$SECONDS
  # A shell of its own, so that the first error ends this part only; `||` after it would switch that off inside.
  set +e
  (
    set -e
    step "$part" "check_$part"
  )
  status=$?
  set -e
  verdict=passed
  if [[ $status -ne 0 ]]; then
    verdict=FAILED
    failures=$((failures + 1))
  fi
  summary+=("$(printf '%-10s%s, %d s' "$part" "$verdict" $((SECONDS - start)))")
done
say
printf '%s\n' "${summary[@]}"
[[ $failures -eq 0 ]]
