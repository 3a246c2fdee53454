# Before Envoy is told to stop: drain.sh PROPAGATION REQUESTS, both in seconds. SIGTERM alone would cut off what is in
# flight. So every answer says `connection: close` from now on, for a while new connections are still served, because not
# everybody knows yet that this pod goes, and then it ends as soon as nothing is in flight, at most REQUESTS later.
# Needs bash and nothing else.
propagation=$1 requests=$2 admin=${ADMIN_PORT:-9901}
ask() { # PORT METHOD PATH: the answer, head and all
  exec 3<> "/dev/tcp/127.0.0.1/$1" || return 1
  printf '%s %s HTTP/1.1\r\nhost: drain\r\ncontent-length: 0\r\nconnection: close\r\n\r\n' "$2" "$3" >&3
  cat <&3
  exec 3<&-
}
# A gateway that was started by an older chart has no such port, and takes it at the other one.
ask "${DRAIN_PORT:-9902}" POST /healthcheck/fail > /dev/null || ask "$admin" POST /healthcheck/fail > /dev/null
sleep "$propagation"
end=$((SECONDS + requests))
while [ "$SECONDS" -lt "$end" ]; do
  case $(ask "$admin" GET '/stats?filter=^http\.edge\.downstream_rq_active$') in
    *'rq_active: '[1-9]*) sleep 0.2 ;;
    *) exit 0 ;;
  esac
done
