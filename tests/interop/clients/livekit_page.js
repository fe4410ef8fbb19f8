// Two participants by npm's `livekit-client` in one page: `pair` is what the test calls.
window.pair = {
  events: [],
  texts: [],

  async join(url, tokens) {
    const { Room, RoomEvent } = LivekitClient;
    [this.a, this.b] = [new Room({ dynacast: true }), new Room()];
    for (const [name, room] of Object.entries({ a: this.a, b: this.b })) {
      room.on(RoomEvent.Reconnected, () => this.events.push(name));
      // To begin anew, or to give up, is no resuming.
      room.on(RoomEvent.Reconnecting, () => this.events.push(`${name} begins anew`));
      room.on(RoomEvent.Disconnected, () => this.events.push(`${name} is gone`));
    }
    this.b.on(RoomEvent.DataReceived, (data) =>
      this.texts.push(new TextDecoder().decode(data)));
    await this.a.connect(url, tokens[0]);
    await this.b.connect(url, tokens[1]);
    await until(() => this.a.remoteParticipants.size && this.b.remoteParticipants.size);
  },

  async publish() {
    const tracks = await this.a.localParticipant.createTracks({
      audio: true,
      video: { resolution: { width: 960, height: 540, frameRate: 15 } },
    });
    for (const track of tracks) {
      await this.a.localParticipant.publishTrack(track, { simulcast: true, videoCodec: "vp8" });
    }
  },

  publications() {
    const [publisher] = this.b.remoteParticipants.values();
    return publisher ? [...publisher.trackPublications.values()] : [];
  },

  async watch() {
    await until(() => this.publications().filter((one) => one.track).length === 2);
    for (const publication of this.publications()) {
      if (publication.kind === "video") {
        this.video = publication;
        this.element = publication.track.attach();
        document.body.append(this.element);
        await this.element.play();
      }
    }
    await this.frames(20);
    const audio = this.publications().find((one) => one.kind === "audio");
    await until(async () => (await inbound(audio.track)).packetsReceived > 20);
  },

  async frames(more) {
    const goal = (await inbound(this.video.track)).framesDecoded + more;
    await until(async () => (await inbound(this.video.track)).framesDecoded >= goal);
  },

  async layers() {
    const { VideoQuality } = LivekitClient;
    this.video.setVideoQuality(VideoQuality.LOW);
    await until(() => this.element.videoWidth <= 320);
    this.video.setVideoQuality(VideoQuality.HIGH);
    await until(() => this.element.videoWidth > 320);
  },

  async tell(...texts) {
    for (const text of texts) {
      await this.a.localParticipant.publishData(new TextEncoder().encode(text), {
        reliable: true,
      });
    }
  },

  async say(...texts) {
    await this.tell(...texts);
    await until(() => this.texts.slice(-texts.length).join() === texts.join());
  },

  // Packets of sound that came and that did not, pictures shown: what B has got so far.
  async got() {
    const audio = this.publications().find((one) => one.kind === "audio");
    const [sound, picture] = [await inbound(audio.track), await inbound(this.video.track)];
    return {
      sounds: sound.packetsReceived,
      lost: sound.packetsLost,
      pictures: picture.framesDecoded,
    };
  },

  // All that was said reliably, and what became of the connections.
  heard() {
    return { texts: this.texts, events: this.events };
  },

  async resumed() {
    await until(() => this.events.includes("a") && this.events.includes("b"), 60000);
    await this.frames(10);
  },

  async leave() {
    await this.a.disconnect();
    await this.b.disconnect();
  },
};

async function inbound(track) {
  const report = await track.receiver.getStats();
  const rows = [...report.values()].filter((row) => row.type === "inbound-rtp");
  return rows[0] ?? { framesDecoded: 0, packetsReceived: 0 };
}

async function until(holds, patience = 40000) {
  const deadline = performance.now() + patience;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${patience} ms: ${holds}`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
}
