# Parts of a script: each is timed, and a table of them ends the output, whatever happens. Sourced by ci/test and ci/e2e.
#   part NAME COMMAND...            runs it; the script ends where it fails
#   part_after_all NAME COMMAND...  runs it; where it fails the script goes on, and fails in the end
#   beside NAME COMMAND...          starts it beside what follows; `beside_ended` waits for all of them and shows what they
#                                   said
parts_began=$SECONDS parts_told="" parts_failed="" beside_pids=() beside_names=() beside_logs=()

part() {
  part_after_all "$@"
  if [ -n "$parts_failed" ]; then exit 1; fi
}

part_after_all() {
  local name=$1 since=$SECONDS how=ok; shift
  "$@" || how=failed
  _part_told "$name" $((SECONDS - since)) $how
}

beside() {
  local log; log=$(mktemp)
  beside_names+=("$1") beside_logs+=("$log"); shift
  # A process group of its own: Ctrl-C comes to it from us (parts_end), and it may end what it has started.
  set -m
  { since=$SECONDS code=0; "$@" || code=$?; echo $((SECONDS - since)) > "$log.took"; exit $code; } \
    > "$log" 2>&1 < /dev/null &
  beside_pids+=($!)
  set +m
}

beside_ended() {
  local each log how
  for each in "${!beside_pids[@]}"; do
    log=${beside_logs[$each]} how=ok
    wait "${beside_pids[$each]}" || how=failed
    cat "$log"
    _part_told "${beside_names[$each]} (beside)" "$(cat "$log.took" 2> /dev/null || echo 0)" $how
    rm -f "$log" "$log.took"
  done
  beside_pids=() beside_names=() beside_logs=()
}

_part_told() { # NAME SECONDS ok|failed
  parts_told+=$(printf '%6s s  %-6s  %s' "$2" "$3" "$1")$'\n'
  if [ "$3" = failed ]; then parts_failed+=" $1"; fi
}

parts_end() {
  local code=$?
  trap - EXIT
  local pid
  for pid in "${beside_pids[@]}"; do kill -INT -- "-$pid" 2> /dev/null || true; done
  beside_ended
  if [ $code = 0 ] && [ -n "$parts_failed" ]; then code=1; fi
  printf '\n%s: what took how long\n%s%6s s  in all\n' "${0##*/}" "$parts_told" $((SECONDS - parts_began)) >&2
  exit $code
}
trap parts_end EXIT
trap 'exit 130' INT
