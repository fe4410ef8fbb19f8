"""Cameras and platforms made of GStreamer: run by the system's Python, which has its bindings.

    python3 gstreamer_feeds.py rtsp LAUNCH       an RTSP server; prints its port
    python3 gstreamer_feeds.py pipeline LAUNCH   a pipeline; prints `playing`

Either runs until its standard input closes.
"""

import sys
import threading

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402


def rtsp(launch: str) -> object:
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GstRtspServer

    server = GstRtspServer.RTSPServer.new()
    server.set_service("0")
    server.set_address("127.0.0.1")
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_launch(launch)
    factory.set_shared(True)
    server.get_mount_points().add_factory("/stream1", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    return server


def pipeline(launch: str) -> object:
    made = Gst.parse_launch(launch)
    made.set_state(Gst.State.PLAYING)
    print("playing", flush=True)
    return made


def main() -> None:
    Gst.init(None)
    loop = GLib.MainLoop()
    kept = {"rtsp": rtsp, "pipeline": pipeline}[sys.argv[1]](sys.argv[2])
    threading.Thread(target=lambda: (sys.stdin.read(), loop.quit()), daemon=True).start()
    loop.run()
    if sys.argv[1] == "pipeline":
        kept.send_event(Gst.Event.new_eos())
        kept.get_bus().timed_pop_filtered(2 * Gst.SECOND, Gst.MessageType.EOS)
        kept.set_state(Gst.State.NULL)


if __name__ == "__main__":
    main()
