#!/usr/bin/env bash
# bare_root_test.sh - runs a command in a fresh Debian root that has nothing of this machine's software in it:
#
#   scripts/bare_root_test.sh [--user] [--uncommitted] [--suite bookworm] ROOT [COMMAND...]
#   scripts/bare_root_test.sh /var/tmp/bare scripts/test.sh --all
#
# ROOT is made if it does not exist, and kept. The commit that is checked out here (with --uncommitted the work tree) is put
# into it, anew each time, and the command (default: scripts/quickstart.sh) runs there; with --user as an ordinary user who
# has sudo. From this machine come the mirror and the rest of apt's and pip's configuration, the certificates and the name
# servers. Needs root, debootstrap and git.
set -euo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit
fi
suite=bookworm
user=root
uncommitted=0
arguments=("$@")
while [[ ${1:-} == --* ]]; do
  case $1 in
    --user) user=builder ;;
    --uncommitted) uncommitted=1 ;;
    --suite)
      suite=$2
      shift
      ;;
    *) break ;;
  esac
  shift
done
if [[ $# -lt 1 || $1 == --* ]]; then
  printf 'usage: scripts/bare_root_test.sh [--user] [--uncommitted] [--suite SUITE] ROOT [COMMAND...]\n' >&2
  exit 2
fi
root=$(realpath -m "$1")
shift
command=("$@")
[[ $# -ge 1 ]] || command=(scripts/quickstart.sh)
home=/root
[[ $user == root ]] || home=/home/$user
readonly host_certificates=/etc/host-certificates.crt

# Mounts are made in a namespace of our own: they are gone with it, whatever happens.
if [[ -z ${PRM_SCORE_BARE_NAMESPACE:-} ]]; then
  PRM_SCORE_BARE_NAMESPACE=1 exec unshare --mount --pid --fork "${BASH_SOURCE[0]}" "${arguments[@]}"
fi

# The archive that this machine's apt takes the suite from.
mirror() {
  # shellcheck disable=SC2016  # apt's variables
  apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" | head -n 1
}

make_root() {
  rm -rf "$root.new"
  debootstrap --variant=minbase "$suite" "$root.new" "$(mirror)"
  rm -f "$root.new/etc/apt/sources.list"
  cp -rL /etc/apt/sources.list* /etc/apt/apt.conf.d /etc/apt/auth.conf.d "$root.new/etc/apt/"
  [[ ! -e /etc/pip.conf ]] || cp /etc/pip.conf "$root.new/etc/"
  cp -L /etc/ssl/certs/ca-certificates.crt "$root.new$host_certificates"
  printf 'Acquire::https::CAInfo "%s";\n' "$host_certificates" >"$root.new/etc/apt/apt.conf.d/99host-certificates"
  mv "$root.new" "$root"
}

mount_system() {
  mount --make-rprivate /
  mount --bind "$root" "$root"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  cp -L /etc/resolv.conf "$root/etc/resolv.conf"
}

# in_root USER COMMAND...: with an empty environment but for what points pip and others at the network.
in_root() {
  local as=$1 line
  local -a environment=("PIP_CERT=$host_certificates" "SSL_CERT_FILE=$host_certificates")
  shift
  while IFS= read -r line; do
    environment+=("$line")
  done < <(env | grep -E '^(PIP_(INDEX_URL|EXTRA_INDEX_URL|DEFAULT_TIMEOUT)|(http|https|no|HTTP|HTTPS|NO)_(proxy|PROXY))=')
  chroot --userspec="$as" "$root" env -i HOME="$home" LANG=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${environment[@]}" "$@"
}

make_user() {
  [[ ! -d $root$home ]] || return 0
  in_root root apt-get -q update
  in_root root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends sudo
  in_root root useradd --create-home --shell /bin/bash "$user"
  printf '%s ALL=(ALL) NOPASSWD: ALL\n' "$user" >"$root/etc/sudoers.d/$user"
}

copy_sources() {
  local sources=$root$home/prm-score repository
  repository=$(git -C "$(dirname "${BASH_SOURCE[0]}")" rev-parse --show-toplevel)
  rm -rf "$sources"
  if [[ $uncommitted -eq 1 ]]; then
    mkdir "$sources"
    (cd "$repository" && git ls-files -z --cached --others --exclude-standard | xargs -0 ls -d 2>/dev/null |
      tar -c -T -) | tar -x --no-same-owner -C "$sources"
  else
    git clone --quiet --no-hardlinks "$repository" "$sources"
  fi
  in_root root chown -R "$user:$user" "$home/prm-score"
}

[[ -d $root ]] || make_root
mount_system
make_user
copy_sources
# shellcheck disable=SC2016  # expanded in the root
in_root "$user" bash -c 'cd ~/prm-score && exec "$@"' command "${command[@]}"
