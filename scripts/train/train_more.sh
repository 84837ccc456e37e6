#!/usr/bin/env bash
# train_more.sh - another round for a judge: other excerpts of the same texts, more of what it finds hard, evaluation.
#
#   scripts/train/train_more.sh [WORK_FOLDER [JUDGE]]
#
# WORK_FOLDER (default build/train) holds what train_all.sh left there: texts, base models, evaluation texts. JUDGE (default
# the shipped one) is where the round starts. The new judge is WORK_FOLDER/judge-more, what it reaches WORK_FOLDER/report-more.
# Two CPU cores need about an hour and a half. PYTHON and PRM_SCORE as in train_all.sh.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=${1:-"$here/../../build/train"}
judge=$(cd "${2:-"$here/../../data/tiny-judge"}" && pwd)
source "$here/steps.sh"

step data-more/examples.jsonl make_data.py texts/train.jsonl "${make_data[@]}" --model "$judge" --out data-more --seed 11 \
  --excerpts 1800 --long-share 0.03 --no-text --alternatives 0.35 --worse-versions 3 --temperatures 0.7 1.3 \
  --weight sentence_shuffle=1.6 --weight repetition=1.4 --weight translation=0.4 --weight char_noise=0.5 \
  --weight word_shuffle=0.5
step judge-more/model.safetensors train_judge.py --base "$judge" --data data-more/examples.jsonl --out judge-more \
  --threads "$threads" --learning-rate 3e-4 --token-loss 1 --pair-loss 1 --document-loss 2
evaluate judge-more report-more
