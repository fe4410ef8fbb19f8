"""A teacher made of GStreamer's webrtcbin: run by the system's Python, which has its bindings.

    python3 gstreamer_whip.py URL TOKEN {H264|VP8}

Publishes a test picture and a tone by WHIP until its standard input closes, then ends the session.
Prints `live` when the media connection is up.
"""

import sys
import threading
import urllib.request
from urllib.parse import urljoin

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

_VIDEO = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=640,height=360,framerate=30/1"
_ENCODERS = {
    "H264": "x264enc tune=zerolatency speed-preset=ultrafast bitrate=800 key-int-max=60"
    " ! video/x-h264,profile=constrained-baseline"
    " ! rtph264pay aggregate-mode=zero-latency config-interval=-1 mtu=1200 pt=102",
    "VP8": "vp8enc deadline=1 cpu-used=8 target-bitrate=800000 keyframe-max-dist=60"
    " ! rtpvp8pay picture-id-mode=15-bit mtu=1200 pt=96",
}
_PIPELINE = """
webrtcbin name=peer bundle-policy=max-bundle
audiotestsrc is-live=true wave=ticks ! opusenc ! rtpopuspay pt=111 ! queue ! peer.
{video} ! {encoder} ! queue ! peer.
"""


class Teacher:
    """One publication."""

    def __init__(self, url: str, token: str, codec: str) -> None:
        self.url = url
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
        self.session = ""
        self.loop = GLib.MainLoop()
        self.pipeline = Gst.parse_launch(_PIPELINE.format(video=_VIDEO, encoder=_ENCODERS[codec]))
        self.peer = self.pipeline.get_by_name("peer")
        self.peer.connect("on-negotiation-needed", self.offer)
        self.peer.connect("notify::ice-gathering-state", self.gathered)
        self.peer.connect("notify::connection-state", self.connected)

    def run(self) -> None:
        self.pipeline.set_state(Gst.State.PLAYING)
        threading.Thread(target=self.wait_for_end, daemon=True).start()
        self.loop.run()
        if self.session:
            self.request("DELETE", self.session)
        self.pipeline.set_state(Gst.State.NULL)

    def offer(self, peer: object) -> None:
        for index in range(2):
            transceiver = self.peer.emit("get-transceiver", index)
            transceiver.props.direction = GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY
        promise = Gst.Promise.new_with_change_func(self.offered)
        self.peer.emit("create-offer", None, promise)

    def offered(self, promise: Gst.Promise) -> None:
        reply = promise.get_reply()  # it owns the description: keep it
        self.peer.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())

    def gathered(self, peer: object, what: object) -> None:
        complete = GstWebRTC.WebRTCICEGatheringState.COMPLETE
        if self.peer.props.ice_gathering_state == complete and not self.session:
            GLib.idle_add(self.post)

    def post(self) -> bool:
        body = self.peer.props.local_description.sdp.as_text().encode()
        reply = self.request("POST", self.url, body)
        self.session = urljoin(self.url, reply.headers["Location"])
        _, message = GstSdp.SDPMessage.new_from_text(reply.read().decode())
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self.peer.emit("set-remote-description", answer, Gst.Promise.new())
        return GLib.SOURCE_REMOVE

    def connected(self, peer: object, what: object) -> None:
        if self.peer.props.connection_state == GstWebRTC.WebRTCPeerConnectionState.CONNECTED:
            print("live", flush=True)

    def request(self, method: str, url: str, body: bytes | None = None):
        request = urllib.request.Request(url, body, self.headers, method=method)
        return urllib.request.urlopen(request, timeout=10)

    def wait_for_end(self) -> None:
        sys.stdin.read()
        GLib.idle_add(self.loop.quit)


if __name__ == "__main__":
    Gst.init(None)
    Teacher(*sys.argv[1:]).run()
