#!/usr/bin/env bash
# Prints the path of a wheel of mmcv 2.1.0 with its ops: mmcv.sh PYTHON, an interpreter with the torch that it is for.
#
# No registry has this wheel. Looked into, in this order: the folders of CLIPQUARRY_WHEELS (separated by colons), then the cache
# ${XDG_CACHE_HOME:-~/.cache}/clipquarry/wheels, then it is built from the registry's source (15 to 30 minutes on two cores, needs a C++
# compiler) and kept in that cache. A wheel fits one Python and one torch: the cache has a folder for each torch; who uses a wheel
# of CLIPQUARRY_WHEELS imports mmcv.ops to see that it fits.
set -euo pipefail
include=${0%/*}/../../include  # the build of an image does not have it
if [ -d "$include" ] && command -v python3 >/dev/null; then PYTHONPATH=$include python3 -B -m clipquarry.former >&2; fi
version=2.1.0
[ $# = 1 ] && command -v "$1" >/dev/null || { echo "usage: mmcv.sh PYTHON" >&2; exit 2; }
python=$1
read -r tag torch < <("$python" -c '
import sys
from importlib.metadata import PackageNotFoundError, version
try:
    print(f"cp{sys.version_info.major}{sys.version_info.minor}", version("torch"))
except PackageNotFoundError:
    print("- -")')
[ "$torch" != - ] || { echo "mmcv.sh: $python has no torch: install it first, the wheel is made for one version of it" >&2; exit 2; }
name="mmcv-$version-$tag-$tag-linux_$(uname -m).whl"

IFS=: read -ra folders <<<"${CLIPQUARRY_WHEELS:-}"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/clipquarry/wheels/torch-$torch
for folder in "${folders[@]}" "$cache"; do
  if [ -n "$folder" ] && [ -f "$folder/$name" ]; then
    echo "$folder/$name"
    exit 0
  fi
done

command -v c++ >/dev/null || { echo "mmcv.sh: $name is neither in CLIPQUARRY_WHEELS nor in $cache, and there is no C++ compiler to build it" >&2; exit 1; }
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9 # two builds at once would each take twice as long
if [ ! -f "$cache/$name" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  echo "building $name for torch $torch: 15 to 30 minutes, once; the log is $cache/build.log" >&2
  # Its setup wants pkg_resources, which setuptools 81 took out, and torch: so no build isolation, and tools beside the environment.
  uv=$(command -v uv || true)
  {
    if [ -n "$uv" ]; then "$uv" pip install --python "$python" --target "$work/tools" pip==26.0 setuptools==80.9.0 wheel ninja psutil
    else "$python" -m pip install --target "$work/tools" pip setuptools==80.9.0 wheel ninja psutil; fi \
      && PATH=$work/tools/bin:$PATH PYTHONPATH=$work/tools MMCV_WITH_OPS=1 FORCE_CUDA=${FORCE_CUDA:-0} MAX_JOBS=${MAX_JOBS:-2} "$python" -m pip wheel \
        --no-deps --no-build-isolation --no-binary mmcv --wheel-dir "$work/made" "mmcv==$version"
  } >"$cache/build.log" 2>&1 9>&- || { tail -5 "$cache/build.log" >&2; echo "mmcv.sh: mmcv $version could not be built; see $cache/build.log" >&2; exit 1; }
  [ -f "$work/made/$name" ] || { echo "mmcv.sh: the build made $(ls "$work/made") instead of $name" >&2; exit 1; }
  cp "$work/made/$name" "$cache/.$name" && mv "$cache/.$name" "$cache/$name"
fi
echo "$cache/$name"
