#!/usr/bin/env bash
# The base of all images from Debian's packages alone, for networks that reach no image registry: make.sh [NAME]. Needs root and debootstrap.
#
# What comes out stands in for the official python image. The machine's own CA bundle goes in (SSL_CERT_FILE, when it is set),
# so that a company's proxy is trusted while images are built and when steps fetch.
set -euo pipefail
name=${1:-clipquarry-base:bookworm}
mirror=${CLIPQUARRY_DEBIAN_MIRROR:-http://deb.debian.org/debian}
ca=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
content=$(cat "$0" "$ca" 2>/dev/null | sha256sum | cut -c1-16)
if [ "$(docker image inspect --format '{{index .Config.Labels "org.clipquarry.content"}}' "$name" 2>/dev/null)" = "$content" ]; then
  echo "$name is there already"
  exit 0
fi
[ "$(id -u)" = 0 ] || { echo "docker/base/make.sh needs root (debootstrap makes device files): sudo $0"; exit 1; }
command -v debootstrap >/dev/null || { echo "docker/base/make.sh needs debootstrap: apt-get install debootstrap"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "making $name from $mirror (about a minute)"
debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv bookworm "$work/root" "$mirror" >"$work/log" 2>&1 \
  || { tail -5 "$work/log"; echo "debootstrap could not make the base from $mirror (CLIPQUARRY_DEBIAN_MIRROR names another one)"; exit 1; }
rm -rf "$work"/root/var/cache/apt/archives/*.deb "$work"/root/var/lib/apt/lists/* "$work"/root/usr/share/{doc,man,locale,info}/*
cat >"$work/root/etc/apt/sources.list" <<EOF
deb $mirror bookworm main
deb $mirror bookworm-updates main
deb ${mirror%/}-security bookworm-security main
EOF
# As in the official slim images: no manuals with later packages either.
printf 'path-exclude /usr/share/doc/*\npath-exclude /usr/share/man/*\npath-exclude /usr/share/locale/*\n' >"$work/root/etc/dpkg/dpkg.cfg.d/slim"
if [ -f "$ca" ]; then cp --dereference "$ca" "$work/root/etc/ssl/certs/ca-certificates.crt"; fi
tar -C "$work/root" --numeric-owner -c . \
  | docker import --change "LABEL org.clipquarry.content=$content" --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
      --change 'CMD ["python3"]' - "$name" >/dev/null
docker image inspect --format "$name: {{.Size}} bytes" "$name"
