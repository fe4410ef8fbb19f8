// A teacher and a school by WHIP and WHEP in one page: plain WebRTC, as a browser has it.
const SECONDS = 40;

window.lesson = {
  texts: [],

  async teach(url, token) {
    const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
    this.teacher = new RTCPeerConnection();
    this.said = this.teacher.createDataChannel("chat");
    this.teacher.addTransceiver(media.getAudioTracks()[0], { direction: "sendonly" });
    this.teacher.addTransceiver(media.getVideoTracks()[0], {
      direction: "sendonly",
      sendEncodings: [
        { rid: "q", scaleResolutionDownBy: 4 },
        { rid: "h", scaleResolutionDownBy: 2 },
        { rid: "f" },
      ],
    });
    this.whip = await negotiate(this.teacher, url, token);
  },

  async published() {
    await until(async () => {
      const rows = await statsOf(this.teacher, "outbound-rtp");
      return rows.length >= 2 && rows.every((row) => row.packetsSent > 20);
    });
  },

  async layers() {
    await until(async () => {
      const rows = await statsOf(this.teacher, "outbound-rtp");
      return rows.filter((row) => row.kind === "video" && row.packetsSent > 20).length >= 2;
    });
    const wanted = async (encodingId) =>
      fetch(`${this.whep}/layers`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ encodingId }),
      });
    const width = async () => (await statsOf(this.school, "inbound-rtp"))
      .find((row) => row.kind === "video").frameWidth;
    await until(async () => (await wanted("q")).ok && (await width()) <= 160 * 1.1);
    await until(async () => (await wanted("f")).ok && (await width()) > 160 * 1.1);
  },

  async watch(url, token) {
    this.school = new RTCPeerConnection();
    const heard = this.school.createDataChannel("chat");
    heard.onmessage = (event) => this.texts.push(event.data);
    for (const kind of ["audio", "video"]) {
      this.school.addTransceiver(kind, { direction: "recvonly" });
    }
    this.school.ontrack = (event) => {
      const element = document.createElement(event.track.kind);
      element.autoplay = element.muted = true;
      element.srcObject = new MediaStream([event.track]);
      document.body.append(element);
    };
    this.whep = await negotiate(this.school, url, token);
    await this.frames(20);
  },

  async frames(more) {
    const video = async () => (await statsOf(this.school, "inbound-rtp"))
      .find((row) => row.kind === "video")?.framesDecoded ?? 0;
    const goal = (await video()) + more;
    await until(async () => (await video()) >= goal);
  },

  async say(text) {
    await until(() => this.said.readyState === "open");
    this.said.send(text);
    await until(() => this.texts.includes(text));
  },

  // RFC 9725, section 4.4: an ICE restart by PATCH, media going on.
  async restart() {
    const offer = await this.school.createOffer({ iceRestart: true });
    await this.school.setLocalDescription(offer);
    const line = (name) => offer.sdp.split("\r\n").find((one) => one.startsWith(name));
    const mid = line("a=mid:");
    const body = [line("a=ice-ufrag:"), line("a=ice-pwd:"),
      offer.sdp.split("\r\n").find((one) => one.startsWith("m=")), mid, ""].join("\r\n");
    const response = await fetch(this.whep, {
      method: "PATCH",
      headers: { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*" },
      body,
    });
    if (response.status !== 200) throw new Error(`the restart was answered ${response.status}`);
    const fragment = (await response.text()).split(/\r?\n/);
    const value = (name) => fragment.find((one) => one.startsWith(name));
    const answer = this.answer(this.school).map((one) => {
      if (one.startsWith("a=ice-ufrag:")) return value("a=ice-ufrag:");
      return one.startsWith("a=ice-pwd:") ? value("a=ice-pwd:") : one;
    });
    await this.school.setRemoteDescription({ type: "answer", sdp: answer.join("\r\n") });
    await this.frames(20);
  },

  answer(connection) {
    return connection.currentRemoteDescription.sdp.split(/\r?\n/);
  },
};

async function negotiate(connection, url, token) {
  await connection.setLocalDescription(await connection.createOffer());
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` },
    body: connection.localDescription.sdp,
  });
  const sdp = await response.text();
  if (response.status !== 201) throw new Error(`${response.status}: ${sdp}`);
  await connection.setRemoteDescription({ type: "answer", sdp });
  await until(() => connection.connectionState === "connected");
  return new URL(response.headers.get("Location"), url).href;
}

async function statsOf(connection, type) {
  return [...(await connection.getStats()).values()].filter((row) => row.type === type);
}

async function until(holds) {
  const deadline = performance.now() + SECONDS * 1000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${SECONDS} s: ${holds}`);
    await new Promise((wake) => setTimeout(wake, 100));
  }
}
