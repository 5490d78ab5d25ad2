#!/bin/sh
# Installs or upgrades plantgate from the unpacked kit this file lies in. Needs root, systemd and Debian's python3;
# no internet. Running it twice changes nothing. Configuration, spool and keys are never touched.
# Each kit has its own folder /opt/plantgate-releases/ID; /opt/plantgate points to the one in use and moves in one step.
set -eu
kit=$(cd "$(dirname "$0")" && pwd)
cd "$kit"
config=/etc/plantgate/gateway.toml
lib=/usr/local/lib

fail() {
    echo "$2" >&2
    echo "$3" >&2
    exit "$1"
}

[ "$(id -u)" = 0 ] || fail 7 "请以 root 身份运行：sudo sh install.sh" "Run as root: sudo sh install.sh"
(cd "$kit" && sha256sum --check --quiet SHA256SUMS) \
    || fail 6 "安装包不完整或被改动，请重新拷贝。" "The kit is incomplete or was changed; copy it again."
here=$(python3 -c 'import sys, sysconfig; print("%d.%d" % sys.version_info[:2], sysconfig.get_platform())') \
    || fail 7 "缺少 python3，请先安装 Debian 的 python3 软件包。" "python3 is missing; install Debian's package python3."
for_machine=$(cat "$kit/PLATFORM")
[ "$here" = "$for_machine" ] \
    || fail 7 "此安装包适用于 Python/平台 $for_machine，本机为 $here。请在同类机器上重新执行 make kit。" \
        "This kit is for Python and platform $for_machine, this machine has $here. Run make kit on a like machine."

id=$(sha256sum "$kit/SHA256SUMS" | cut -c1-12)
release=/opt/plantgate-releases/$id
if [ ! -e "$release/.complete" ]; then
    rm -rf "$release"
    mkdir -p /opt/plantgate-releases
    python3 -m venv --without-pip "$release"
    pip() {
        PYTHONPATH=$(echo "$kit"/wheels/pip-*.whl) "$release/bin/python" -m pip --quiet --no-input \
            --disable-pip-version-check --isolated install --root-user-action=ignore --no-index --no-deps "$@"
    }
    pip --require-hashes --find-links "$kit/wheels" -r "$kit/requirements.txt"
    pip "$kit"/wheels/plantgate-*.whl
    touch "$release/.complete"
fi

# A stricter check in a newer version must not stop acquisition: the old one goes on until the file is mended.
# (Anything else it finds, such as a certificate that ran out, is not the new version's doing.)
verdict=0
[ ! -e "$config" ] || "$release/bin/plantgate" check --config "$config" || verdict=$?
if [ "$verdict" = 3 ]; then
    fail 3 "新版本不接受现有配置（见上）；未做切换，原版本继续运行。" \
        "The new version does not accept the configuration (see above); nothing was switched, the old one goes on."
fi

install -D -m 0644 "$kit/plantgate.sysusers" "$lib/sysusers.d/plantgate.conf"
install -D -m 0644 "$kit/plantgate.tmpfiles" "$lib/tmpfiles.d/plantgate.conf"
install -D -m 0644 "$kit/plantgate.service" "$lib/systemd/system/plantgate.service"
systemd-sysusers plantgate.conf
systemd-tmpfiles --create plantgate.conf

before=$(readlink /opt/plantgate || true)
ln -sfn "$release" /opt/plantgate.new
mv -T /opt/plantgate.new /opt/plantgate
mkdir -p /usr/local/bin
ln -sf /opt/plantgate/bin/plantgate /usr/local/bin/plantgate
systemctl daemon-reload
systemctl --quiet enable plantgate.service
if [ "$before" != "$release" ]; then
    systemctl try-restart plantgate.service
    # The one before stays for a way back: ln -sfn /opt/plantgate-releases/ID /opt/plantgate
    for old in /opt/plantgate-releases/*; do
        [ "$old" = "$release" ] || [ "$old" = "$before" ] || rm -rf "$old"
    done
fi

if [ -e "$config" ]; then
    echo "已安装：$release。启动：systemctl start plantgate；查看：plantgate status"
    echo "Installed: $release. Start: systemctl start plantgate; look: plantgate status"
else
    echo "已安装：$release。请先编写 $config，再执行：plantgate check && systemctl start plantgate"
    echo "Installed: $release. Write $config, then: plantgate check && systemctl start plantgate"
fi
