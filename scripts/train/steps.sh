# shellcheck shell=bash
# steps.sh - what train_all.sh and train_more.sh share; sourced with `here`, the folder of the scripts, and `work` set. Goes
# to the work folder.

: "${here:?}" "${work:?}"

# A command as it is found from anywhere: names stay, paths become absolute. Links stay: a virtual environment is one.
from_anywhere() {
  if [[ $1 == */* ]]; then realpath -s "$1"; else printf '%s\n' "$1"; fi
}

python=$(from_anywhere "${PYTHON:-python3}")
program=$(from_anywhere "${PRM_SCORE:-"$here/../../build/prm-score"}")
threads=$(nproc)
mkdir -p "$work"
cd "$work" || exit

# step RESULT SCRIPT ARGUMENTS...: unless it has ended well before. RESULT.done says so; RESULT alone may be half of it.
step() {
  local result=$1 script=$2
  shift 2
  if [[ -e $result.done ]]; then
    echo "== done before: $result" >&2
    return
  fi
  echo "== $script $*" >&2
  "$python" "$here/$script" "$@"
  touch "$result.done"
}

make_data=(--prm-score "$program" --threads "$threads" --translator apertium:spa --translator apertium:cat
  --sampler transformers:sampler --sampler transformers:base --sampler-context 96 --batch 600)

# evaluate JUDGE REPORT: on texts held out and on sources never seen, made once.
evaluate() {
  local part
  for part in heldout unseen; do
    step "evaluate-$part" make_data.py "texts/$part.jsonl" "${make_data[@]}" --model base --purpose evaluate --min-chunks 8 \
      --max-chunks 12 --evaluated-strengths 0.25 0.5 1 --out "evaluate-$part" --excerpts 40 --seed 7
  done
  step "$2" evaluate_judge.py --judge "$1" --prm-score "$program" --threads "$threads" --out "$2" \
    --targets "$here/targets.json" --group heldout=evaluate-heldout/versions.jsonl \
    --group unseen=evaluate-unseen/versions.jsonl
}
