#!/usr/bin/env bash
# Checks licences, bans and sources of all dependencies with cargo-deny, which is
# built once into the folder given.
set -euo pipefail
bin=$(mkdir -p "$1" && cd "$1" && pwd)
version=0.20.2
cd "$(dirname "$0")/../.."

if [ "$("$bin/cargo-deny" --version 2>/dev/null)" != "cargo-deny $version" ]; then
  echo "building cargo-deny $version (about 5 minutes on two cores, once)"
  cargo install cargo-deny --version "$version" --locked --quiet --no-default-features --root "$bin/.cargo-deny"
  ln -sf "$bin/.cargo-deny/bin/cargo-deny" "$bin/cargo-deny"
fi
"$bin/cargo-deny" --log-level warn check licenses bans sources
