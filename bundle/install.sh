#!/bin/sh
# Install or upgrade wardwatch from this folder, without a network. Safe to repeat: a version that is there stays as it
# is, settings and data are never touched, and a version is in force only when it is complete.
#
#   ./install.sh                     as root: user, folders, unit, /usr/local/bin/wardwatch
#   ./install.sh --prefix DIR        below DIR, without user and unit
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd)
prefix=
[ "${1:-}" != --prefix ] || prefix=${2:?a folder}
fail() { echo "install.sh: $*" >&2; exit 1; }

cd "$here"
sha256sum --check --quiet --strict SHA256SUMS || fail "the bundle is damaged: copy it again"
version=$(cat VERSION)
python=python$(cat PYTHON)
command -v "$python" > /dev/null || fail "the wheels are for Python $(cat PYTHON): install $python"
[ -n "$prefix" ] || [ "$(id -u)" = 0 ] || fail "run it as root, or with --prefix DIR"

opt=$prefix/opt/wardwatch
home=$opt/versions/$version
mark=$(sha256sum SHA256SUMS | cut -d ' ' -f 1)
if [ "$(cat "$home/complete" 2> /dev/null)" != "$mark" ]; then
  rm -rf "$home"
  mkdir -p "$home"
  "$python" -m venv --without-pip "$home"
  "$home/bin/python" pip.pyz install --quiet --disable-pip-version-check --no-index --find-links wheels \
    --require-hashes --requirement wheels/requirements.txt
  "$home/bin/wardwatch" version > /dev/null || fail "version $version does not run; the one before stays in force"
  cp -r docs LICENSE CHANGELOG.md "$home"
  echo "$mark" > "$home/complete"
fi
for name in bin docs; do
  ln -sfn "versions/$version/$name" "$opt/$name.new"
  mv -T "$opt/$name.new" "$opt/$name"
done

if [ -z "$prefix" ]; then
  getent passwd wardwatch > /dev/null ||
    useradd --system --user-group --home-dir /var/lib/wardwatch --no-create-home --shell /usr/sbin/nologin wardwatch
  install -d -o wardwatch -g wardwatch -m 0700 /var/lib/wardwatch
  install -d -o wardwatch -g wardwatch -m 0750 /etc/wardwatch
  install -d /usr/local/bin /etc/systemd/system
  ln -sfn "$opt/bin/wardwatch" /usr/local/bin/wardwatch
  install -m 0644 ./*.service /etc/systemd/system/
  if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
fi

echo "wardwatch $version is installed in $home"
if [ -e "$prefix/etc/wardwatch/collector.toml" ]; then
  echo "before the restart: wardwatch collector upgrade --config /etc/wardwatch/collector.toml"
else
  echo "next, at a hospital: runuser -u wardwatch -- wardwatch collector init /etc/wardwatch/collector.toml"
fi
