#!/bin/sh
# Installs what the tests drive and no package manager of a language brings: Debian's Chromium and Firefox, nginx and
# its Lua and RTMP modules, a font with Chinese, network namespaces, GStreamer's WebRTC, RTSP and SRT with their Python
# bindings, PostgreSQL, ffprobe as a second reader of archives, and valgrind, which counts instructions.
set -eu

packages="chromium ffmpeg firefox-esr fonts-noto-cjk iproute2 nginx-light python3-gi gir1.2-gst-plugins-bad-1.0 \
gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad \
gstreamer1.0-plugins-ugly gstreamer1.0-nice gir1.2-gst-rtsp-server-1.0 libnginx-mod-http-lua \
libnginx-mod-rtmp postgresql valgrind"

missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "These tests need:$missing (names of Debian packages); install them and run again." >&2
    exit 1
fi
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo"
echo "== Installing for the tests:$missing"
# The tests start a PostgreSQL of their own: no server is to be set up beside it.
clusters=/etc/postgresql-common/createcluster.d
case "$missing" in *" postgresql"*)
    $as_root mkdir -p $clusters
    echo "create_main_cluster = false" | $as_root tee $clusters/tongbu.conf >/dev/null ;;
esac
$as_root apt-get update -qq
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
$as_root rm -f $clusters/tongbu.conf
