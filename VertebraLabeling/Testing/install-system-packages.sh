#!/usr/bin/env bash
# The system libraries that Qt and off-screen rendering need in the tests (apt-packages.txt). As root on Debian or
# Ubuntu they are installed; otherwise the one line to run is printed and the tests that need them skip.
set -euo pipefail
cd "$(dirname "$0")"
packages=$(grep -vE '^\s*(#|$)' apt-packages.txt | tr '\n' ' ')
command -v dpkg-query >/dev/null || { echo "Not Debian or Ubuntu: install what matches: $packages"; exit 0; }
missing=()
for package in $packages; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
# nginx is for one test that starts its own; as a service it would listen on port 80
export RUNLEVEL=1
line="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" -ne 0 ]; then
  echo "Tests that need system libraries will skip. To run them: sudo $line"
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || true
$line >/dev/null 2>&1 && exit 0
# One name that is unknown (Ubuntu has no package chromium) fails the whole line: then each for itself
failed=()
for package in "${missing[@]}"; do
  apt-get install -y --no-install-recommends "$package" >/dev/null 2>&1 || failed+=("$package")
done
[ ${#failed[@]} -eq 0 ] || echo "Could not be installed, so tests that need them skip: ${failed[*]}"
