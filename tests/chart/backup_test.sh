#!/bin/sh
# Backups and restores with real servers: what is a backup and what is not, what
# is kept, and that a restore survives a restart; see pods.sh.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/pods.sh"

printf 'a "word" with $ {}\\ and spaces' >"$work/password"
render "$work/rendered/plain"

# The pod of a job: make_job NAME REPLICAS ADDRESS
make_job() {
  pod=$work/$case_name/$1
  mkdir -p "$pod/config" "$pod/secret" "$pod/run"
  cp "$chart"/files/*.sh "$pod/config"
  sed -i "s#bind \* -::\*#bind $3#" "$pod/config/restore.sh"
  cp "$work/password" "$pod/secret/redis-password"
  topology "$2" >"$pod/config/topology"
}

# job NAME SCRIPT [VARIABLE=VALUE...]
job() {
  pod=$work/$case_name/$1
  script=$2
  shift 2
  env REDIS_CONFIG_DIR="$pod/config" REDIS_SECRETS_DIR="$pod/secret" REDIS_RUN_DIR="$pod/run" \
    REDIS_BACKUP_DIR="$store" POD_IP="$net.30" KEEP=3 PATH="$POD_PATH" "$@" \
    $POD_SHELL "$pod/config/$script.sh" >"$pod/log" 2>&1
}

said() { grep -q "$1" "$pod/log"; }

# Names are seconds; the next one is another.
back_up() {
  newest=$(ls "$store" | tail -n 1)
  within 5 "the clock stands" eval "[ \"\$(date -u +%Y%m%dT%H%M%SZ)\" != \"${newest%.*}\" ]"
  job job backup || die "the backup failed"
}

newest() { ls "$store" | sed -n 's/\.json$//p' | tail -n 1; }
record() { sed -n "s/.*\"$2\": *\"\{0,1\}\([^\",}]*\).*/\1/p" "$store/$1.json"; }
backups() { ls "$store" | grep -c '\.json$'; }

new_store() {
  store=$work/$case_name/store
  mkdir "$store"
}

rewritten() { cli "$1" info persistence | tr -d '\r' | grep -cE '^aof_rewrite_(in_progress|scheduled):0' | grep -qx 2; }

begin one-instance
new_store
make_pod 0 "$work/rendered/plain" 1 "$work/password"
make_job job 1 "$net.30"
start 0 standalone
within 5 "Redis is not ready" ready 0
cli 0 mset one 1 two 2 >/dev/null
cli 0 -n 3 set three 3 >/dev/null
back_up
name=$(newest)
[ "$(record "$name" keys)" = 3 ] || die "the record has $(record "$name" keys) keys"
[ "$(record "$name" sha256)" = "$(sha256sum "$store/$name.rdb" | cut -d ' ' -f 1)" ] || die "the sum is wrong"
[ "$(stat -c %a "$store/$name.rdb")" = 600 ] || die "a backup is readable by others"

# A restore asks before it replaces, and then does.
cli 0 set four 4 >/dev/null
if job job restore; then die "a restore replaced keys unasked"; fi
must said 'has 3 keys\|has 4 keys'
must said 'Nothing was changed'
must replies 4 0 get four
job job restore REPLACE=yes || die "the restore failed"
must replies 2 0 dbsize
must replies 3 0 -n 3 get three
must replies '' 0 get four
must is_role 0 master
# The restore trap: what was restored must be in the append-only file.
stop 0 KILL
start 0 standalone
within 10 "Redis is not ready after the restore" ready 0
must replies 2 0 dbsize
must replies 3 0 -n 3 get three

# A lost volume, and a named backup.
stop 0
lose_volume 0
start 0 standalone
within 5 "Redis is not ready" ready 0
job job restore BACKUP="$name" || die "the restore into an empty Redis failed"
must replies 2 0 dbsize
finish

begin what-is-no-backup
new_store
make_pod 0 "$work/rendered/plain" 1 "$work/password"
make_job job 1 "$net.30"
if job job restore; then die "a restore from nothing went on"; fi
must said 'no verified backup'
if job job backup; then die "a backup of nothing went on"; fi
[ -z "$(ls "$store")" ] || die "a failed backup left something"
start 0 standalone
within 5 "Redis is not ready" ready 0
cli 0 mset one 1 two 2 >/dev/null
back_up
name=$(newest)
# The rest of an interrupted run goes with the next one.
echo half >"$store/20200101T000000Z.rdb"
echo half >"$store/20200101T000000Z.rdb.partial"
back_up
[ "$(ls "$store" | grep -c 2020)" = 0 ] || die "the rest of an interrupted backup stays"
[ "$(backups)" = 2 ] || die "there are $(backups) backups"
# A damaged one is refused, whatever its name says.
head -c 60 "$store/$name.rdb" >"$work/$case_name/cut" && cp "$work/$case_name/cut" "$store/$name.rdb"
if job job restore BACKUP="$name" REPLACE=yes; then die "a damaged backup was restored"; fi
must said 'its sum differs; nothing was changed'
must replies 2 0 dbsize
printf 'wrong' >"$work/$case_name/job/secret/redis-password"
if job job backup; then die "a backup with a wrong password went on"; fi
[ "$(backups)" = 2 ] || die "a failed backup counts"
finish

begin the-last-with-keys-stays
new_store
make_pod 0 "$work/rendered/plain" 1 "$work/password"
make_job job 1 "$net.30"
start 0 standalone
within 5 "Redis is not ready" ready 0
cli 0 set one 1 >/dev/null
back_up
name=$(newest)
cli 0 flushall >/dev/null
for round in 1 2 3 4; do back_up; done
[ "$(backups)" = 3 ] || die "$(backups) backups are kept"
[ -e "$store/$name.rdb" ] || die "the only backup with keys is gone"
cli 0 set two 2 >/dev/null
for round in 1 2 3; do back_up; done
[ "$(backups)" = 3 ] || die "$(backups) backups are kept"
[ ! -e "$store/$name.rdb" ] || die "an old backup stays for ever"
finish

begin replicas
new_store
for ordinal in 0 1; do make_pod "$ordinal" "$work/rendered/plain" 2 "$work/password"; done
make_job job 2 "$net.30"
start 0
start 1
for ordinal in 1 0; do within 15 "pod $ordinal is not ready" ready "$ordinal"; done
within 15 "pod 1 does not write its copy" rewritten 1
cli 0 mset one 1 two 2 >/dev/null
must replies 1 0 wait 1 5000
back_up
[ "$(record "$(newest)" role)" = replica ] || die "the primary was asked although a replica is in step"
[ "$(record "$(newest)" keys)" = 2 ] || die "the backup has not the keys"
cli 0 flushall >/dev/null
job job restore || die "the restore failed"
must replies 2 0 dbsize
must is_role 0 master
within 15 "the replica does not follow the restored primary" replies 2 1 dbsize
within 15 "the replica is not ready" ready 1
stop 1
back_up
[ "$(record "$(newest)" role)" = primary ] || die "there is no replica, but one was asked"
finish

begin with-sentinel-nothing-is-restored
new_store
SENTINELS=3
make_job job 3 "$net.30"
if job job restore; then die "a restore went on beside Sentinels"; fi
must said 'nothing was changed'
finish

echo "1..$count"
