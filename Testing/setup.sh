#!/usr/bin/env bash
# Set up the project in a folder of its own: setup.sh PYTHON VENV. Installs the OS libraries that Qt and OpenGL need
# if it may (root on Debian or Ubuntu), otherwise names them and stops.
set -euo pipefail
python=${1:-python3}
venv=${2:-.venv}

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

command -v "$python" >/dev/null || fail "there is no $python; install Python 3.10 or newer (Debian: apt-get install python3 python3-venv)"
"$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' ||
  fail "$("$python" --version) cannot be used; Slicer's core is there for Python 3.10 to 3.13 (make PYTHON=/path/to/python3.11 ...)"

# library file -> Debian package
libraries=(libEGL.so.1:libegl1 libGL.so.1:libgl1 libxkbcommon.so.0:libxkbcommon0 libdbus-1.so.3:libdbus-1-3
  libfontconfig.so.1:libfontconfig1 libglib-2.0.so.0:libglib2.0-0 libOSMesa.so:libosmesa6)
known=$(ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null || true)
missing=()
for entry in "${libraries[@]}"; do
  grep -q "${entry%%:*}" <<<"$known" || missing+=("${entry##*:}")
done
ls /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf >/dev/null 2>&1 || missing+=(fonts-dejavu-core)
"$python" -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)

if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    printf 'setup: installing %s\n' "${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    fail "these system packages are missing; ask your administrator for: apt-get install ${missing[*]}"
  fi
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt torch==2.13.0
"$venv/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[dev]'
