// mediasoup under a benchmark: one worker, one router, one lesson, told of clients by HTTP.
//
// `node mediasoup.mjs FOLDER` takes mediasoup from FOLDER/node_modules and prints `ready URL`.
// POST /teacher or /school with the client's DTLS fingerprint; the reply is what it needs to connect.

import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const mediasoup = createRequire(`${process.argv[2]}/package.json`)('mediasoup');

const LOOPBACK = '127.0.0.1';
const BUFFER = 4 * 1024 * 1024;
const EXTENSIONS = ['urn:ietf:params:rtp-hdrext:sdes:mid', transportWide()];
const CODECS = [
  { kind: 'audio', mimeType: 'audio/opus', clockRate: 48000, channels: 2 },
  {
    kind: 'video',
    mimeType: 'video/H264',
    clockRate: 90000,
    parameters: {
      'level-asymmetry-allowed': 1,
      'packetization-mode': 1,
      'profile-level-id': '42e01f',
    },
  },
];

const worker = await mediasoup.createWorker({ logLevel: 'none' });
const listenInfo = { ip: LOOPBACK, sendBufferSize: BUFFER, recvBufferSize: BUFFER };
const webRtcServer = await worker.createWebRtcServer({
  listenInfos: [{ protocol: 'udp', ...listenInfo }],
});
const router = await worker.createRouter({ mediaCodecs: CODECS });
const rtpCapabilities = {
  codecs: router.rtpCapabilities.codecs,
  headerExtensions: router.rtpCapabilities.headerExtensions.filter(({ uri }) =>
    EXTENSIONS.includes(uri),
  ),
};
const producers = [];

worker.on('died', () => process.exit(1));
const server = createServer(handle).listen(0, LOOPBACK, () => {
  console.log(`ready http://${LOOPBACK}:${server.address().port}`);
});
process.on('SIGTERM', () => {
  worker.close();
  process.exit(0);
});

async function handle(request, response) {
  try {
    const chunks = await request.toArray();
    const client = JSON.parse(Buffer.concat(chunks).toString());
    const transport = await connect(client);
    const streams =
      request.url === '/teacher' ? await publish(transport, client) : await watch(transport);
    const [candidate] = transport.iceCandidates;
    const reply = {
      address: `${candidate.address}:${candidate.port}`,
      ufrag: transport.iceParameters.usernameFragment,
      pwd: transport.iceParameters.password,
      fingerprints: transport.dtlsParameters.fingerprints,
      ...streams,
    };
    response.end(JSON.stringify(reply));
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
}

async function connect({ fingerprint }) {
  const transport = await router.createWebRtcTransport({
    webRtcServer,
    enableTcp: false,
    initialAvailableOutgoingBitrate: 5_000_000,
  });
  const dtlsParameters = { role: 'client', fingerprints: [fingerprint] };
  await transport.connect({ dtlsParameters });
  return transport;
}

async function publish(transport, { audio, video, transportCc }) {
  for (const [codec, stream] of [
    [CODECS[0], audio],
    [CODECS[1], video],
  ]) {
    const { kind, ...described } = codec;
    const feedback = kind === 'video' ? [{ type: 'nack' }, { type: 'nack', parameter: 'pli' }] : [];
    const producer = await transport.produce({
      kind,
      rtpParameters: {
        codecs: [
          {
            ...described,
            payloadType: stream.payloadType,
            rtcpFeedback: [...feedback, { type: 'transport-cc' }],
          },
        ],
        headerExtensions: [{ uri: transportWide(), id: transportCc }],
        encodings: [{ ssrc: stream.ssrc }],
        rtcp: { cname: 'loadgen' },
      },
    });
    producers.push(producer);
  }
  return { transportCc };
}

async function watch(transport) {
  let told = {};
  for (const { id: producerId } of producers) {
    const { kind, rtpParameters } = await transport.consume({ producerId, rtpCapabilities });
    if (kind === 'video') {
      const [media, rtx] = rtpParameters.codecs;
      const extension = rtpParameters.headerExtensions.find(({ uri }) => uri === transportWide());
      told = {
        video: [media.payloadType, rtx?.payloadType ?? null],
        transportCc: extension?.id ?? null,
      };
    }
  }
  return told;
}

function transportWide() {
  return 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01';
}
