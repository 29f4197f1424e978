#!/bin/sh
# Runs the examples of docs/connect.md as they stand, with redis-py and Flask,
# against a Redis that the chart's scripts start; see pods.sh. PYTHON has both
# packages; without it they are installed into .state/python.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/pods.sh"
repository=$here/../..

if [ -z "${PYTHON:-}" ]; then
  PYTHON=$repository/.state/python/bin/python
  if ! "$PYTHON" -c 'import flask, redis' 2>/dev/null; then
    python3 -m venv "$repository/.state/python"
    "$PYTHON" -m pip install --quiet 'redis>=6,<8' 'flask>=3,<4'
  fi
fi

begin examples
printf 'dev-redis-password' >"$work/password"
render "$work/rendered"
make_pod 0 "$work/rendered" 1 "$work/password"
start 0 standalone
within 5 "Redis is not ready" ready 0
awk -v out="$work/$case_name/example" '
  /^```python$/ {on = 1; number++; next}
  /^```$/ {on = 0}
  on {print > (out number ".py")}' "$repository/docs/connect.md"
export REDIS_HOST="$net.10" REDIS_PORT="$port"
python() {
  REDIS_PASSWORD=$(cat "$work/password") "$PYTHON" "$@" >"$work/$case_name/output" 2>&1
}
for number in 1 2 3; do
  python "$work/$case_name/example$number.py" || die "example $number: $(cat "$work/$case_name/output")"
  [ "$(cat "$work/$case_name/output")" = True ] || die "example $number says $(cat "$work/$case_name/output")"
done
[ ! -e "$work/$case_name/example5.py" ] || die "there is an example that is not run"
finish

begin flask-health
printf 'dev-redis-password' >"$work/password"
make_pod 0 "$work/rendered" 1 "$work/password"
start 0 standalone
within 5 "Redis is not ready" ready 0
cat >"$work/$case_name/ask.py" <<END
import sys
exec(open("$work/examples/example4.py").read())
answer = app.test_client().get("/health/redis")
print(answer.status_code, answer.get_json())
END
python "$work/$case_name/ask.py" || die "$(cat "$work/$case_name/output")"
grep -q "^200 {'redis': 'up'}" "$work/$case_name/output" || die "up: $(cat "$work/$case_name/output")"
stop 0
python "$work/$case_name/ask.py" || die "$(cat "$work/$case_name/output")"
grep -q "^503 {'reason': 'ConnectionError', 'redis': 'down'}" "$work/$case_name/output" || die "down: $(cat "$work/$case_name/output")"
finish

# The write-up's own production example fails before it connects.
begin the-first-keepalive-example-fails
make_pod 0 "$work/rendered" 1 "$work/password"
start 0 standalone
within 5 "Redis is not ready" ready 0
cat >"$work/$case_name/first.py" <<END
import os, redis
redis.Redis(host="$net.10", port=$port, password=os.getenv("REDIS_PASSWORD"), socket_keepalive=True,
            socket_keepalive_options={1: (1, 3)}).ping()
END
if python "$work/$case_name/first.py"; then die "the write-up's example works"; fi
grep -q TypeError "$work/$case_name/output" || die "it fails otherwise: $(cat "$work/$case_name/output")"
finish

echo "1..$count"
