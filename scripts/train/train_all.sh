#!/usr/bin/env bash
# Trains the shipped judge from the corpus and evaluates it: tokenizer, base model, examples, detector, judge, held-out
# documents. About an hour on one free CPU core with bfloat16 instructions.
#
#   scripts/train/train_all.sh [WORK_FOLDER] [JUDGE_FOLDER]
#
# Intermediate files go to WORK_FOLDER (default build/train), the judge to JUDGE_FOLDER (default WORK_FOLDER/judge).
# PYTHON names the interpreter (default python3) with the packages of scripts/train/requirements.txt.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=${1:-"$here/../../build/train"}
judge=${2:-"$work/judge"}
python=${PYTHON:-python3}
export OMP_NUM_THREADS=1

step() {
  echo "== $*" >&2
  local script=$1
  shift
  "$python" "$here/$script" "$@"
}

mkdir -p "$work"
step train_tokenizer.py --out "$work/tokenizer"
step train_base.py --tokenizer "$work/tokenizer" --out "$work/base"
step make_data.py --tokenizer "$work/tokenizer" --base "$work/base" --out "$work/examples.jsonl"
step train_detector.py --tokenizer "$work/tokenizer" --base "$work/base" --out "$work/detector"
step train_judge.py --tokenizer "$work/tokenizer" --base "$work/detector" --data "$work/examples.jsonl" --out "$judge"

step make_data.py --held-out --tokenizer "$work/tokenizer" --base "$work/base" --out "$work/heldout_examples.jsonl" \
  --documents 60 --seed 5
step make_heldout.py --tokenizer "$work/tokenizer" --base "$work/base" --out "$work/heldout.jsonl"
step make_heldout.py --tokenizer "$work/tokenizer" --base "$work/base" --out "$work/heldout_long.jsonl" \
  --documents 6 --min-tokens 3600 --max-tokens 4000 --kinds real word_shuffle
step evaluate_judge.py --judge "$judge" --documents "$work/heldout.jsonl" "$work/heldout_long.jsonl" \
  --examples "$work/heldout_examples.jsonl" --oracle 3 | tee "$work/evaluation.json"
