#!/usr/bin/env bash
# install_test.sh BUILD-DIR: what `cmake --install` gives works from wherever it is moved to, as a program and as a library.
set -euo pipefail

consumer_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/consumer" && pwd)
work_dir=$(mktemp -d)
readonly build_dir=$1 consumer_dir work_dir prefix=$work_dir/moved
trap 'rm -rf "$work_dir"' EXIT

fail() {
  printf 'install_test: %s\n' "$*" >&2
  exit 1
}

cmake --install "$build_dir" --prefix "$work_dir/installed" >"$work_dir/install.log"
mv "$work_dir/installed" "$prefix"

# The program, away from the sources, with the judge of its own prefix.
cd "$work_dir"
"$prefix/bin/prm-score" --version
text='We hold these truths to be self-evident, that all men are created equal.'
row=$(printf '{"text":"%s"}\n' "$text" | "$prefix/bin/prm-score" --metadata "$work_dir/metadata.json")
printf '%s\n' "$row"
[[ $row == '{"line":1,"reward":'* ]] || fail "expected a scored row, got: $row"
grep -qF "$prefix/share/prm_score/tiny-judge" "$work_dir/metadata.json" ||
  fail "expected the judge of $prefix, got: $(cat "$work_dir/metadata.json")"
[[ -f $prefix/share/prm_score/metadata.schema.json ]] || fail "expected share/prm_score/metadata.schema.json, found none"
mv "$prefix/share" "$prefix/gone"
if "$prefix/bin/prm-score" </dev/null 2>"$work_dir/message.txt"; then
  fail "expected exit 1 without the judge in the prefix, got 0: another one was used"
fi
mv "$prefix/gone" "$prefix/share"

# Manual and completion.
for file in man/man1/prm-score.1 bash-completion/completions/prm-score zsh/site-functions/_prm-score \
  fish/vendor_completions.d/prm-score.fish; do
  grep -q 'chunk-size\|chunk\\-size' "$prefix/share/$file" || fail "expected the options in share/$file, found none"
done

# The library: somebody else's project gets the same number.
cmake -S "$consumer_dir" -B consumer -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release >consumer.log ||
  fail "the consumer does not configure: $(cat consumer.log)"
cmake --build consumer
chunks=$(consumer/count_chunks)
[[ $chunks == 3 ]] || fail "count_chunks: expected 3, got $chunks"
expected=${row#*'"reward":'}
expected=${expected%%,*}
found=$(consumer/score_text "$prefix/share/prm_score/tiny-judge" "$text")
awk -v expected="$expected" -v found="$found" 'BEGIN { exit !(expected + 0 == found + 0) }' ||
  fail "score_text: expected $expected, got $found"
