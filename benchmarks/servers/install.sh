#!/bin/sh
# Install the servers that `python -m benchmarks peers` compares with, by their ordinary clients:
# apt, npm and go. What is built lands in benchmarks/.peers, which git ignores.
#
#   benchmarks/servers/install.sh [mediasoup] [janus] [livekit] [mediamtx]     (all of them by default)
#
# A server that cannot be had does not stop the others; the exit code counts the failures.

MEDIASOUP=3.22.0
LIVEKIT=v1.11.0
MEDIAMTX=v1.13.1

set -u
peers=$(cd "$(dirname "$0")/.." && pwd)/.peers
mkdir -p "$peers"

say() { echo "== $*"; }

# The source of a Go module, to be built where its own replacements of modules count.
go_source() { # module version folder
	rm -rf "$3" && mkdir -p "$3" &&
		cp -r "$(go mod download -json "$1@$2" | sed -n 's/.*"Dir": "\(.*\)",/\1/p')/." "$3" &&
		chmod -R u+w "$3"
}

mediasoup() {
	say "mediasoup $MEDIASOUP by npm: its worker is downloaded, or built (needs a C++ compiler and Python)"
	mkdir -p "$peers/mediasoup" && cd "$peers/mediasoup" &&
		{ [ -f package.json ] || npm init --yes >/dev/null; } &&
		npm install --no-audit --no-fund "mediasoup@$MEDIASOUP"
}

janus() {
	say "Janus by apt (Debian's package)"
	apt-get install --yes --no-install-recommends janus
}

livekit() {
	say "LiveKit $LIVEKIT: source by the Go module proxy, then go build"
	go_source github.com/livekit/livekit-server "$LIVEKIT" "$peers/livekit/src" &&
		cd "$peers/livekit/src" &&
		go build -trimpath -o ../livekit-server ./cmd/server
}

mediamtx() {
	say "MediaMTX $MEDIAMTX: source by the Go module proxy, then go build"
	# Two files that its own build generates: its version, and an HLS player that we have no use for.
	go_source github.com/bluenviron/mediamtx "$MEDIAMTX" "$peers/mediamtx/src" &&
		cd "$peers/mediamtx/src" &&
		printf %s "$MEDIAMTX" >internal/core/VERSION &&
		: >internal/servers/hls/hls.min.js &&
		go build -trimpath -o ../mediamtx .
}

failed=0
for name in ${*:-mediasoup janus livekit mediamtx}; do
	case $name in
	mediasoup | janus | livekit | mediamtx) ("$name") || {
		say "$name is not installed"
		failed=$((failed + 1))
	} ;;
	*) echo "No server of that name: $name (mediasoup, janus, livekit, mediamtx)" >&2; exit 2 ;;
	esac
done
exit $failed
