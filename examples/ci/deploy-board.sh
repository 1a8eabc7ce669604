#!/bin/sh
# deploy-board.sh BUNDLE BOARD [FOLDER]: proves and measures a bundle on a board, writes report.html, junit.xml and result.json.
# Needs embed-model in PATH and a boards.json here or above. The exit code is that of embed-model: 0 well, 1 the product fell short,
# 3 the surroundings failed, 4 the board stayed busy.
set -u
bundle=$1 board=$2 out=${3:-board-report}
mkdir -p "$out"
embed-model deploy "$bundle" --board "$board" --wait "${BOARD_WAIT:-10m}" --ci --json > "$out/result.json.new"
code=$?
[ $code -le 1 ] || exit $code
mv "$out/result.json.new" "$out/result.json"
if [ -f "baselines/$board.json" ]; then
    embed-model report "$out/result.json" --html "$out/report.html" --junit "$out/junit.xml" \
        --baseline "baselines/$board.json" --max-regression "${MAX_REGRESSION:-10}"
else
    embed-model report "$out/result.json" --html "$out/report.html" --junit "$out/junit.xml"
fi
