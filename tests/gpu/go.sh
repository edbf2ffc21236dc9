#!/usr/bin/env bash
# The check from the offline kit, on a GPU machine that reaches nothing:
#   go.sh PARTS FILES TARGET OUT
# PARTS   the kit's part.00 and so on
# FILES   join-kit.sh, zstd/, cells8.edge, and pbc/ with test/ and manifest.csv
# TARGET  where the kit is unpacked and engines are kept: outside of the checkout, on a real disk
# OUT     figures, their page and the log
# GPU_STEPS, GPU_BUDGET and TORCH_PYTHON are taken from the environment where they are set.
set -euo pipefail
(($# == 4)) || { sed -n '2,8s/^# //p' "$0" >&2; exit 2; }
mkdir -p "$1" "$3" "$4"
parts=$(cd "$1" && pwd) files=$(cd "$2" && pwd) target=$(cd "$3" && pwd) out=$(cd "$4" && pwd)
cd "$(dirname "$0")/../.."
# join-kit.sh looks for zstd beside the parts.
[ -e "$parts/zstd" ] || cp -r "$files/zstd" "$parts/zstd"
. "$files/join-kit.sh" "$parts" "$target"
# For every Python of the kit, also those that the daemon starts: cuBLAS and cuDNN are empty.
printf 'import os, sys\n\nsys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)\n' \
    >"$KIT/site/sitecustomize.py"
exec make gpu-check GPU_PYTHON=tests/gpu/kit-python "BUNDLE=$files/cells8.edge" \
    "DATA=$files/pbc" "TORCH_PYTHON=${TORCH_PYTHON-python3}" "GPU_SCRATCH=$target/scratch" \
    "GPU_OUT=$out/gpu-check.json" "GPU_BUDGET=${GPU_BUDGET:-360}" "GPU_STEPS=${GPU_STEPS-}"
