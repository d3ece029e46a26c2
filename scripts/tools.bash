# Shared by scripts/setup and rig/setup: programs kept outside the checkout, one folder a version, linked into a bin folder.
#
#   ${PORTOLAN_CACHE:-${XDG_CACHE_HOME:-~/.cache}/portolan}/tools/<name>-<version>/
#
# The caller sets `bin` to the folder of links.
# shellcheck shell=bash

cache=${PORTOLAN_CACHE:-${XDG_CACHE_HOME:-${HOME:?set HOME or PORTOLAN_CACHE}/.cache}/portolan}/tools

say() { printf 'setup: %s\n' "$*" >&2; }

# keep NAME VERSION PROBE BUILD...: runs BUILD with an empty folder as last argument, which must leave PROBE there.
# A folder appears in the cache only when it is complete, so an interrupted run leaves nothing half done.
keep() {
  local name=$1 version=$2 probe=$3
  shift 3
  local home=$cache/$name-$version
  if [[ -e $home/$probe ]]; then return; fi
  mkdir -p "$cache"
  (
    exec 9>"$cache/.$name-$version.lock"
    flock 9
    if [[ -e $home/$probe ]]; then exit 0; fi
    say "getting $name $version (once; kept in $home)"
    work=$(mktemp -d "$cache/.$name-$version.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    # Not in an `if` or after `||`: there, errexit would be off inside the function too.
    "$@" "$work"
    [[ -e $work/$probe ]] || { say "$name $version: the build left no $probe"; exit 1; }
    chmod 0755 "$work"
    rm -rf "$home"
    mv "$work" "$home"
  )
}

# link TARGET NAME: bin/NAME points to TARGET.
link() {
  mkdir -p "$bin"
  if [[ $(readlink "$bin/$2" || true) != "$1" ]]; then
    ln -sfn "$1" "$bin/$2"
  fi
}

# install NAME VERSION BUILD...: a program that is called like its folder.
install() {
  local name=$1 version=$2
  shift 2
  keep "$name" "$version" "$name" "$@"
  link "$cache/$name-$version/$name" "$name"
}

# build_go PACKAGE@VERSION FOLDER. Without cgo nothing but Go itself is needed, and the program is static.
build_go() {
  GOBIN=$2 CGO_ENABLED=0 GOFLAGS= GOWORK=off go install -trimpath "$1" >&2
}
