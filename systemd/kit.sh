#!/bin/sh
# Makes dist/plantgate-kit.tar.gz: all that a machine without internet needs to install or upgrade plantgate.
# Usage (on a machine with internet): make kit. The wheels are for this machine's platform and Python.
# Runs from the top of the checkout: systemd/kit.sh PYTHON, with the interpreter of the set-up environment.
set -eu
python=$1
kit=.cache/kit/plantgate-kit
rm -rf .cache/kit build
mkdir -p "$kit/wheels" dist

# The lock's blocks of what plantgate needs to run, and of the pip that will install it.
"$python" - >"$kit/requirements.txt" <<'PY'
import re
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

wanted: set[str] = set()
queue = ["plantgate", "pip"]
while queue:
    name = canonicalize_name(queue.pop())
    if name in wanted:
        continue
    wanted.add(name)
    for line in requires(name) or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            queue.append(requirement.name)
for block in re.split(r"\n(?=\S)", Path("requirements.lock").read_text(encoding="utf-8")):
    if canonicalize_name(re.split(r"==", block, maxsplit=1)[0]) in wanted:
        print(block.rstrip())
PY

pip() {
    "$python" -m pip --disable-pip-version-check --no-input "$@" >.cache/kit/pip.log 2>&1 \
        || { cat .cache/kit/pip.log >&2; exit 7; }
}
pip download --require-hashes --only-binary :all: --no-deps --dest "$kit/wheels" -r "$kit/requirements.txt"
pip wheel --no-deps --no-build-isolation --wheel-dir "$kit/wheels" .
rm -rf build
"$python" -c 'import sys, sysconfig; print("%d.%d" % sys.version_info[:2], sysconfig.get_platform())' >"$kit/PLATFORM"
cp systemd/install.sh systemd/plantgate.service systemd/plantgate.sysusers systemd/plantgate.tmpfiles \
    systemd/README.md "$kit"
(cd "$kit" && find . -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs sha256sum >SHA256SUMS)
tar -C .cache/kit --sort=name --owner=0 --group=0 --numeric-owner -czf dist/plantgate-kit.tar.gz.new plantgate-kit
mv dist/plantgate-kit.tar.gz.new dist/plantgate-kit.tar.gz
echo "dist/plantgate-kit.tar.gz ($(cat "$kit/PLATFORM"))"
