# Parts of a script: each is timed, and a table of them ends the output, whatever happens. Sourced by ci/test and ci/e2e.
#   part NAME COMMAND...        runs one command; the script ends where it fails (bash does not obey `set -e` inside a
#                               function that is called here)
#   tests NAME PYTEST...        runs pytest; tests that fail are run once more, alone, by `second_try`
#   beside NAME PYTEST...       the same, started beside what follows; `beside_ended` waits for all of them and shows
#                               their output
#   second_try PYTEST...        runs the failed tests of all parts again; the script ends where one fails again, or where
#                               a run of pytest did not come to its end
parts_began=$SECONDS parts_table="" beside_pids=() beside_names=() beside_outputs=()
parts_folder=$(mktemp -d) report_logs=()
unset PYTEST_ADDOPTS                              # options of the user's shell, such as -x, would hide tests

part() {
  local name=$1 since=$SECONDS how=ok; shift
  "$@" || how=failed
  _add_row "$name" $((SECONDS - since)) $how
  if [ $how = failed ]; then exit 1; fi
}

tests() {
  local name=$1 since=$SECONDS how=ok log code=0; shift
  _new_report_log
  "$@" "--report-log=$log" || code=$?
  echo $code > "$log.exit"
  if [ $code != 0 ]; then how="tests failed"; fi
  _add_row "$name" $((SECONDS - since)) "$how"
}

beside() {
  local log output=$parts_folder/beside-${#beside_pids[@]}; beside_names+=("$1"); shift
  _new_report_log
  beside_outputs+=("$output")
  # A process group of its own: parts_end sends Ctrl-C to it, and it ends what it has started.
  set -m
  { since=$SECONDS code=0
    "$@" "--report-log=$log" || code=$?
    echo $code > "$log.exit"; echo $((SECONDS - since)) > "$output.seconds"
    exit $code
  } > "$output" 2>&1 < /dev/null &
  beside_pids+=($!)
  set +m
}

beside_ended() {
  local each output how
  for each in "${!beside_pids[@]}"; do
    output=${beside_outputs[$each]} how=ok
    wait "${beside_pids[$each]}" || how="tests failed"
    cat "$output"
    _add_row "${beside_names[$each]} (beside)" "$(cat "$output.seconds" 2> /dev/null || echo 0)" "$how"
  done
  beside_pids=() beside_names=() beside_outputs=()
}

stops_early() { # ARGUMENTS: whether they make pytest stop at a failure, so that later tests do not run
  local argument
  for argument in "$@"; do
    case $argument in -x | -[a-z]*x | -x[a-z]* | --exitfirst | --maxfail* | --stepwise* | --sw*) return 0 ;; esac
  done
  return 1
}

second_try() {
  local since=$SECONDS how=ok
  PYTHONPATH=ci .venv/bin/python -m second_try "${report_logs[@]}" -- "$@" || how=failed
  if [ $how = failed ] || [ $((SECONDS - since)) -gt 1 ]; then _add_row "second try" $((SECONDS - since)) $how; fi
  if [ $how = failed ]; then exit 1; fi
  second_try_done=1
}

_some_beside_runs() {
  local pid
  for pid in ${beside_pids[@]+"${beside_pids[@]}"}; do if kill -0 "$pid" 2> /dev/null; then return 0; fi; done
  return 1
}

_new_report_log() { log=$parts_folder/report-${#report_logs[@]}.jsonl; report_logs+=("$log"); }

_add_row() { # NAME SECONDS RESULT
  parts_table+=$(printf '%6s s  %-12s  %s' "$2" "$3" "$1")$'\n'
}

parts_end() {
  local code=$?
  trap - EXIT
  # Where INT is ignored, as in a script that was started with `&`, TERM ends them.
  local signal pid
  for signal in INT TERM; do
    for pid in ${beside_pids[@]+"${beside_pids[@]}"}; do kill -$signal -- "-$pid" 2> /dev/null || true; done
    for _ in 1 2 3 4 5 6 7 8 9 10; do
      if ! _some_beside_runs; then break; fi
      sleep 1
    done
  done
  beside_ended
  # The script ended before its second_try: failed tests were not looked at.
  if [ $code = 0 ] && [ ${#report_logs[@]} -gt 0 ] && [ -z "${second_try_done:-}" ]; then code=1; fi
  rm -rf "$parts_folder"
  printf '\n%s: how long each part took\n%s%6s s  in all\n' "${0##*/}" "$parts_table" $((SECONDS - parts_began)) >&2
  exit $code
}
trap parts_end EXIT
trap 'exit 130' INT
