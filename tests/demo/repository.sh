# shellcheck shell=bash disable=SC2154,SC2034
# The demo's Git: a bare repository, its server, and a checkout in which a
# person or the tour commits. Sourced by demo.sh.

repository_url() {
  if [ "$mode" = existing ]; then
    # Without Go there is no server; a path does for one machine.
    echo "file://$state/git/redis.git"
  else
    echo "http://127.0.0.1:$(port git 8650)/redis.git"
  fi
}

# git without what the user has configured, and in the name of the demo.
demo_git() {
  env -u GIT_DIR -u GIT_WORK_TREE -u GIT_INDEX_FILE GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null \
    GIT_AUTHOR_NAME="${1%%:*}" GIT_AUTHOR_EMAIL="${1%%:*}@example.com" \
    GIT_COMMITTER_NAME="${1%%:*}" GIT_COMMITTER_EMAIL="${1%%:*}@example.com" \
    no_proxy=127.0.0.1 NO_PROXY=127.0.0.1 GIT_TERMINAL_PROMPT=0 git "${@:2}" 9>&-
}

work_git() { demo_git "${author:-demo}" -C "$state/work" "$@"; }

start_repository() {
  phase "A Git repository with a branch for each environment"
  command -v git >/dev/null || fail "git is not in PATH" "install git"
  if [ "$mode" != existing ]; then
    mkdir -p "$state/git"
    running git-server || start git-server "$bin/cluster" git-server --root "$state/git" --listen "127.0.0.1:$(port git 8650)"
    wait_for git-server 10 listening "$(port git 8650)"
  fi
  [ -e "$state/work/.complete" ] || make_repository
  good "$(repository_url): $(work_git for-each-ref --format='%(refname:short)' refs/heads | tr '\n' ' ')"
}

# What the repository begins with.
copy_source() {
  rm -rf "$state/source"
  mkdir -p "$state/source"
  cp -R charts environments "$state/source/"
  [ "$mode" != existing ] || overlay >"$state/source/environments/overlay.yaml"
}

make_repository() {
  local name
  rm -rf "$state/work" "$state/git/redis.git"
  mkdir -p "$state/git"
  demo_git demo init -q --bare -b main "$state/git/redis.git"
  demo_git demo init -q -b main "$state/work"
  cp -R "$state/source/." "$state/work/"
  echo /.complete >"$state/work/.git/info/exclude"
  # For the person who goes on by hand.
  work_git config user.name demo
  work_git config user.email demo@example.com
  work_git config push.default simple
  work_git remote add origin "$(repository_url)"
  work_git add -A
  work_git commit -q -m "Add the chart and the environments"
  for name in "${environments[@]}"; do work_git branch "env/$name"; done
  work_git push -q -u origin main "${environments[@]/#/env/}"
  touch "$state/work/.complete"
}
