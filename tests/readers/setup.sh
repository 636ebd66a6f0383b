#!/usr/bin/env bash
# Makes the environment with mmaction2's real readers: setup.sh FOLDER. Nothing is done when it is there already and fits.
#
# Packages come from pip's index and the folders that PIP_FIND_LINKS or pip's settings name; torch, where no such folder has it, from
# its own index of CPU builds. When it cannot be made, one sentence says why; FOLDER/why-not keeps it, and the tests skip with it.
set -euo pipefail
target=$(realpath -m "$1")
cd "$(dirname "$0")/../.."
main=$PWD/.venv/bin
python=$target/bin/python
list=tests/readers/requirements.txt
wanted=$(cat "$list" tests/readers/setup.sh docker/wheels/mmcv.sh | sha256sum | cut -c1-16)
[ "$(cat "$target/installed" 2>/dev/null)" != "$wanted" ] || exit 0

fail() {
  mkdir -p "$target"
  echo "$1" | tee "$target/why-not" >&2
  exit 1
}
said() { tr -s '[:space:]' ' ' <"$log" | cut -c1-300; }
found=$("$main/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
[ "$found" = 3.11 ] || fail "mmaction2's packages are pinned for Python 3.11, and .venv has $found"

IFS=' ,' read -ra folders <<<"${PIP_FIND_LINKS:-} $("$main/python" -m pip config get global.find-links 2>/dev/null | tr '\n' ' ' || true)"
links=() torch=(--torch-backend cpu)
for folder in "${folders[@]}"; do
  links+=(--find-links "$folder")
  if compgen -G "$folder/torch-2.13.0*-cp311-*.whl" >/dev/null; then torch=(); fi
done

echo "installing mmaction2's readers into $target (1.5 GB)"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
rm -rf "$target"
"$main/uv" venv --quiet --python "$main/python" "$target" >"$log" 2>&1 || fail "no environment could be made: $(said)"
"$main/uv" pip install --quiet --no-deps --python "$python" "${links[@]}" "${torch[@]}" --requirement "$list" >"$log" 2>&1 \
  || fail "mmaction2's packages cannot be had: $(said)"
wheel=$(PATH=$main:$PATH docker/wheels/mmcv.sh "$python" 2> >(tee "$log" >&2)) || fail "mmcv with ops cannot be had: $(tail -1 "$log")"
"$main/uv" pip install --quiet --no-deps --python "$python" "$wheel" >"$log" 2>&1 || fail "$wheel cannot be installed: $(said)"
"$python" -c 'import mmcv.ops, mmdet, mmaction' >"$log" 2>&1 || fail "$wheel does not fit: $(tail -1 "$log")"
echo "$wanted" >"$target/installed"
