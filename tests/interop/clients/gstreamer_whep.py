"""A school made of GStreamer's webrtcbin: run by the system's Python, which has its bindings.

    python3 gstreamer_whep.py URL TOKEN

Watches by WHEP with a data channel beside it. Prints `subscribe` when RTP of picture and sound has
come, and `data` when a word that it says comes back to it from another school of its own.
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

_KINDS = {
    "audio": "application/x-rtp,media=audio,encoding-name=OPUS,payload=111,clock-rate=48000",
    "video": "application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000",
}
_ENOUGH = 50
"""Packets of each kind."""
_PATIENCE = 40
"""Seconds."""


class School:
    """One connection."""

    def __init__(self, url, token, told):
        self.url = url
        self.told = told
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
        self.session = ""
        self.packets = {"audio": 0, "video": 0}
        self.pipeline = Gst.Pipeline()  # parse_launch makes none of one element
        self.peer = Gst.ElementFactory.make("webrtcbin")
        self.peer.props.bundle_policy = GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE
        self.pipeline.add(self.peer)
        self.peer.connect("pad-added", self.take)
        self.peer.connect("notify::ice-gathering-state", self.gathered)
        self.pipeline.set_state(Gst.State.READY)
        receive = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
        for caps in _KINDS.values():
            self.peer.emit("add-transceiver", receive, Gst.Caps.from_string(caps))
        self.channel = self.peer.emit("create-data-channel", "chat", None)
        self.channel.connect("on-open", lambda channel: told("open"))
        self.channel.connect("on-message-string", lambda channel, text: told(text))
        self.pipeline.set_state(Gst.State.PLAYING)
        self.peer.emit("create-offer", None, Gst.Promise.new_with_change_func(self.offered))

    def offered(self, promise):
        reply = promise.get_reply()  # it owns the description: keep it
        self.peer.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())

    def gathered(self, peer, what):
        complete = GstWebRTC.WebRTCICEGatheringState.COMPLETE
        if self.peer.props.ice_gathering_state == complete and not self.session:
            GLib.idle_add(self.post)

    def post(self):
        body = self.peer.props.local_description.sdp.as_text().encode()
        reply = self.request("POST", self.url, body)
        self.session = urljoin(self.url, reply.headers["Location"])
        _, message = GstSdp.SDPMessage.new_from_text(reply.read().decode())
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self.peer.emit("set-remote-description", answer, Gst.Promise.new())
        return GLib.SOURCE_REMOVE

    def take(self, peer, pad):
        if pad.direction != Gst.PadDirection.SRC:
            return
        sink = Gst.ElementFactory.make("fakesink")
        sink.set_property("async", False)
        self.pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))
        kind = pad.get_current_caps().get_structure(0).get_string("media")
        pad.add_probe(Gst.PadProbeType.BUFFER, self.count, kind)

    def count(self, pad, info, kind):
        self.packets[kind] += 1
        if min(self.packets.values()) == _ENOUGH:
            self.told("subscribe")
        return Gst.PadProbeReturn.OK

    def request(self, method, url, body=None):
        request = urllib.request.Request(url, body, self.headers, method=method)
        return urllib.request.urlopen(request, timeout=10)

    def close(self):
        if self.session:
            self.request("DELETE", self.session)
        self.pipeline.set_state(Gst.State.NULL)


def main(url, token):
    seen, changed = set(), threading.Condition()

    def tell(word):
        with changed:
            seen.add(word)
            changed.notify_all()

    loop = GLib.MainLoop()
    threading.Thread(target=loop.run, daemon=True).start()

    def wait(*words):
        with changed:
            fits = changed.wait_for(lambda: seen >= set(words), _PATIENCE)
        if not fits:
            raise SystemExit(f"not within {_PATIENCE} s: {sorted(set(words) - seen)}")

    schools = [School(url, token, lambda word, n=n: tell(f"{n} {word}")) for n in (1, 2)]
    wait("1 subscribe", "2 subscribe")
    print("subscribe", flush=True)
    wait("1 open", "2 open")
    schools[0].channel.emit("send-string", "hello")
    wait("2 hello")
    print("data", flush=True)
    for school in schools:
        school.close()
    loop.quit()


if __name__ == "__main__":
    Gst.init(None)
    main(*sys.argv[1:])
