# shellcheck shell=bash disable=SC2154
# What every part of the demo uses: words on the terminal, waiting, processes
# that outlive this script, HTTP to loopback ports. Sourced by demo.sh.

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else bold='' dim='' green='' red='' plain=''; fi

say() { printf '%s\n' "    $*"; }
good() { printf '%s\n' "  ${green}✓${plain} $*"; }
note() { printf '%s\n' "  ${dim}$*${plain}"; }

# fail WHAT-AND-WHY REMEDY
fail() {
  printf '\n%s\n' "${red}error:${plain} $1" >&2
  [ $# -lt 2 ] || printf '%s\n' "       $2" >&2
  exit 1
}

# Milliseconds since the epoch, without starting a process.
now() { printf '%s' $((${EPOCHREALTIME/./} / 1000)); }

seconds() { printf '%d.%d' $(($1 / 1000)) $(($1 % 1000 / 100)); }

phase_names=() phase_times=() phase_begun=''

# phase TITLE ends the phase before and begins the next.
phase() {
  phase_end
  phase_begun=$(now)
  phase_names+=("$1")
  printf '\n%s\n' "${bold}$1${plain}"
}

phase_end() {
  [ -n "$phase_begun" ] || return 0
  phase_times+=($(($(now) - phase_begun)))
  phase_begun=''
}

phase_table() {
  local i total=0
  phase_end
  for i in "${!phase_times[@]}"; do
    printf '  %7s s  %s\n' "$(seconds "${phase_times[i]}")" "${phase_names[i]}"
    total=$((total + phase_times[i]))
  done
  printf '  %7s s  %s\n' "$(seconds "$total")" "in all"
}

# until_ok SECONDS COMMAND... repeats the command until it succeeds.
until_ok() {
  local deadline=$(($(now) + $1 * 1000))
  shift
  until "$@"; do
    [ "$(now)" -lt "$deadline" ] || return 1
    sleep 0.02
  done
}

# A number for a process that no later process can have: boot, and ticks since.
start_time() {
  local stat boot
  { read -r boot </proc/sys/kernel/random/boot_id && stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  # Behind the name in brackets, which may hold anything, the state is the first.
  read -r -a stat <<<"${stat##*) }"
  [ "${stat[0]}" != Z ] || return 1
  printf '%s/%s' "$boot" "${stat[19]}"
}

# start NAME COMMAND... in the background, in a session of its own.
start() {
  local name=$1
  shift
  setsid nohup "$@" >>"$state/logs/$name.log" 2>&1 </dev/null 9>&- &
  local started
  started=$(start_time $!) || fail "$name ended at once" "see $state/logs/$name.log"
  echo "$! $started" >"$state/run/$name"
  disown
}

# The pid of what was started under that name, while it lives.
pid_of() {
  local pid started
  read -r pid started 2>/dev/null <"$state/run/$1" || return 1
  [ "$(start_time "$pid")" = "$started" ] || return 1
  echo "$pid"
}

running() { pid_of "$1" >/dev/null; }

gone() { ! running "$1"; }

stop() {
  local pid
  if pid=$(pid_of "$1"); then
    kill -TERM "$pid" 2>/dev/null || true
    if ! until_ok 20 gone "$1"; then
      kill -KILL "$pid" 2>/dev/null || true
      until_ok 5 gone "$1" || fail "$1 (process $pid) does not end"
    fi
  fi
  rm -f "$state/run/$1"
}

# wait_for NAME SECONDS COMMAND...: the command succeeds, or the process's log is shown.
wait_for() {
  local name=$1 deadline=$(($(now) + $2 * 1000))
  shift 2
  until "$@"; do
    if gone "$name" || [ "$(now)" -ge "$deadline" ]; then
      tail -n 15 "$state/logs/$name.log" >&2
      fail "$name did not get ready" "the whole log is $state/logs/$name.log"
    fi
    sleep 0.02
  done
}

# port NAME BASE: a free loopback port, the same at every call.
port() {
  local file=$state/run/port.$1 number=$2
  if [ ! -e "$file" ]; then
    while listening "$number"; do number=$((number + 1)); done
    echo "$number" >"$file"
  fi
  cat "$file"
}

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# http METHOD PORT PATH prints the body; fails without an answer of 2xx.
http() (
  exec 3<>"/dev/tcp/127.0.0.1/$2" || exit 1
  printf '%s %s HTTP/1.0\r\nHost: 127.0.0.1:%s\r\nX-Redis-Gitops: demo\r\nContent-Length: 0\r\n\r\n' "$1" "$3" "$2" >&3
  read -r _ code _ <&3
  sed '1,/^\r*$/d' <&3
  [[ $code == 2* ]]
) 2>/dev/null

# metric SERIES prints the value of a series of the daemon, by its exact text.
metric() { http GET "$page_port" /metrics | awk -v series="$1 " 'index($0, series) == 1 { print $NF }'; }

metric_is() { [ "$(metric "$1")" = "$2" ]; }

nudge() { http POST "$page_port" "/api/v1/sync?environment=$1" >/dev/null; }
