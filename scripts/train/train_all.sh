#!/usr/bin/env bash
# train_all.sh - makes a judge like the shipped one: texts, tokenizer, base models, examples, judge, evaluation.
#
#   scripts/train/train_all.sh [WORK_FOLDER]
#
# Everything lies below WORK_FOLDER (default build/train), the judge in WORK_FOLDER/judge, what it reaches in
# WORK_FOLDER/report. A step that has ended well is not run again, one that was interrupted goes on. Two CPU cores need
# about two hours and a half, most of it training; train_more.sh adds a round. PYTHON names an interpreter with the packages
# of scripts/train/requirements.txt (default python3), PRM_SCORE the program (default build/prm-score). Needs the Debian
# packages apertium, apertium-eng-spa, apertium-eng-cat.
set -euo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=${1:-"$here/../../build/train"}
# shellcheck source=scripts/train/steps.sh
source "$here/steps.sh"

step texts fetch_texts.py --out texts --work packages
step tokenizer train_tokenizer.py texts/train.jsonl --out tokenizer

# Two models to sample from: a smaller one, and the one that the judge starts from.
step sampler train_base.py texts/train.jsonl --tokenizer tokenizer --out sampler --threads "$threads" --hidden-size 192 \
  --intermediate-size 512 --train-tokens 4000000 --window 640
step base train_base.py texts/train.jsonl --tokenizer tokenizer --out base --threads "$threads" --train-tokens 8000000

step data make_data.py texts/train.jsonl "${make_data[@]}" --model base --out data --excerpts 2000 --long-share 0.05 --no-text
step surprise train_surprise.py --base base --versions data/versions.jsonl --out surprise --threads "$threads"
step detector train_detector.py --base surprise --versions data/versions.jsonl --out detector --threads "$threads" \
  --learning-rate 5e-4 --max-steps 700
step judge train_judge.py --base detector --data data/examples.jsonl --out judge --threads "$threads" --learning-rate 5e-4 \
  --token-loss 1 --pair-loss 1
evaluate judge report
