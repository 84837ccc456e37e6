# steps.sh - what train_all.sh and train_more.sh share; sourced with `here` and `work` set. Goes to the work folder.

python=${PYTHON:-python3}
program=${PRM_SCORE:-"$here/../../build/prm-score"}
threads=$(nproc)
mkdir -p "$work"
cd "$work"

# step RESULT SCRIPT ARGUMENTS...: unless RESULT is there already.
step() {
  local result=$1 script=$2
  shift 2
  if [[ -e $result ]]; then
    echo "== there: $result" >&2
    return
  fi
  echo "== $script $*" >&2
  "$python" "$here/$script" "$@"
}

make_data=(--prm-score "$program" --threads "$threads" --translator apertium:spa --translator apertium:cat
  --sampler transformers:sampler --sampler transformers:base --sampler-context 96 --batch 600)

# evaluate JUDGE REPORT: on texts held out and on sources never seen, made once.
evaluate() {
  local part
  for part in heldout unseen; do
    step "evaluate-$part/versions.jsonl" make_data.py "texts/$part.jsonl" "${make_data[@]}" --model base --purpose evaluate \
      --min-chunks 8 --max-chunks 12 --evaluated-strengths 0.25 0.5 1 --out "evaluate-$part" --excerpts 40 --seed 7
  done
  step "$2/results.json" evaluate_judge.py --judge "$1" --prm-score "$program" --threads "$threads" --out "$2" \
    --targets "$here/targets.json" --group heldout=evaluate-heldout/versions.jsonl \
    --group unseen=evaluate-unseen/versions.jsonl
}
