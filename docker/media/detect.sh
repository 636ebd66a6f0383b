#!/usr/bin/env bash
# Installs the network detector (detect.txt) into a Python that has the project's packages: detect.sh UV PYTHON
#
# CLIPQUARRY_WHEELS: folders with wheels, separated by colons; they come before any index. TORCH_INDEX: where PyTorch comes from when no
# folder has it (its own index for CPUs). mmcv's wheel is found, or compiled and kept, by docker/wheels/mmcv.sh.
set -euo pipefail
[ $# = 2 ] || { echo "usage: detect.sh UV PYTHON" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
uv=$1 python=$2
IFS=: read -ra folders <<<"${CLIPQUARRY_WHEELS:-}"
find=()
for folder in "${folders[@]}"; do
  if [ -d "$folder" ]; then find+=(--find-links "$folder"); fi
done
torch=$(grep -oE '^torch==[^ ]+' "$here/detect.txt")
tag=$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
index=(--index "${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}" --index-strategy unsafe-best-match)
for folder in "${folders[@]}"; do
  if compgen -G "$folder/${torch/==/-}[-+]*$tag-*.whl" >/dev/null; then index=(); fi
done
install() { "$uv" pip install --quiet --python "$python" "${find[@]}" "${index[@]}" "$@"; }
# PyTorch first, and numpy: mmcv is compiled for the one that is there.
install "$torch" --constraint "$here/detect.txt" numpy
mmcv=$(PATH="$(dirname "$uv"):$PATH" "$here/../wheels/mmcv.sh" "$python")
install --requirement "$here/detect.txt" --override "$here/detect.override.txt" "$mmcv"
