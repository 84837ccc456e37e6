#!/usr/bin/env bash
# train_more.sh - another round for a judge: more excerpts of the same texts, more of what it finds hard, evaluation.
#
#   scripts/train/train_more.sh [WORK_FOLDER [JUDGE [ROUND]]]
#
# WORK_FOLDER (default build/train) holds what train_all.sh left there: texts, base models, evaluation texts. The round starts
# from JUDGE (default WORK_FOLDER/judge; the shipped one goes as well) and ends in WORK_FOLDER/judge-ROUND and
# WORK_FOLDER/report-ROUND; ROUND (default 2) also seeds its excerpts. Two CPU cores need about an hour and a half. PYTHON and
# PRM_SCORE as in train_all.sh.
set -euo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=${1:-"$here/../../build/train"}
judge=$(realpath "${2:-"$work/judge"}")
round=${3:-2}
# shellcheck source=scripts/train/steps.sh
source "$here/steps.sh"

step "data-$round" make_data.py texts/train.jsonl "${make_data[@]}" --model "$judge" --out "data-$round" --seed $((9 + round)) \
  --excerpts 1800 --long-share 0.03 --no-text --alternatives 0.35 --worse-versions 3 --temperatures 0.7 1.3 \
  --weight sentence_shuffle=1.6 --weight repetition=1.4 --weight translation=0.4 --weight char_noise=0.5 \
  --weight word_shuffle=0.5
step "judge-$round" train_judge.py --base "$judge" --data "data-$round/examples.jsonl" --out "judge-$round" \
  --threads "$threads" --learning-rate 3e-4 --token-loss 1 --pair-loss 1 --document-loss 2
evaluate "judge-$round" "report-$round"
