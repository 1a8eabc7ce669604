#!/bin/sh
# deploy-board.sh BUNDLE[,BUNDLE...] BOARD[,BOARD...] [FOLDER]: proves and measures bundles on boards, all boards at the same time,
# and writes result.json, report.html and junit.xml. Of several bundles a board gets the one of its target.
# Needs embed-model in PATH and a boards.json here or above. Exit codes: 0 well, 1 the product fell short, 2 wrong usage,
# 3 the surroundings failed, 4 a board stayed busy; of several boards the gravest, in this order.
set -u
boards=$2 out=${3:-board-report}
mkdir -p "$out" || exit 2
old=$IFS; IFS=,; set -f; set -- $1; IFS=$old
# Annotations and the job's summary come from the report, once, with what the baseline says.
GITHUB_ACTIONS= embed-model deploy "$@" --board "$boards" --wait "${BOARD_WAIT:-10m}" --json > "$out/result.json.new"
code=$?
[ $code -le 4 ] || exit $code
mv "$out/result.json.new" "$out/result.json"
set --
[ ! -d baselines ] || set -- --baseline baselines --max-regression "${MAX_REGRESSION:-10}"
[ -z "${BOARD_HISTORY:-}" ] || set -- "$@" --history "$BOARD_HISTORY"
exec embed-model report "$out/result.json" --html "$out/report.html" --junit "$out/junit.xml" --ci "$@"
