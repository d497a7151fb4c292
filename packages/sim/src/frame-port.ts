// How frames reach the broker: sometimes the answer to an append that happened is lost.
import { concatBytes, hex, WireError, type Random } from "@millrace/base";
import { appendOnce, type JournalTransport } from "@millrace/client";
import { encodeFrameHead, FrameDecoder } from "@millrace/ingest";
import type { FramePort } from "@millrace/ingest/testkit";

export interface FrameFaults {
  /** Chance in thousandths that an answer is lost. */
  lostAnswers: number;
  /** Negative control: every attempt has an identity of its own. */
  readonly freshIdentity: boolean;
}

export function lossyFramePort(transport: JournalTransport, random: Random, faults: FrameFaults): FramePort {
  return {
    appendFrame: async (journal, content, signal) => {
      const bytes = faults.freshIdentity ? withFreshIdentity(content, random) : content;
      const commit = await appendOnce(transport, journal, { kind: "bytes", bytes }, {}, signal);
      if (random.below(1000) < faults.lostAnswers)
        throw new WireError("OUTCOME_UNKNOWN", "the answer was lost");
      return commit;
    },
  };
}

function withFreshIdentity(content: readonly Uint8Array[], random: Random): readonly Uint8Array[] {
  const [frame] = new FrameDecoder(0).push(concatBytes(content));
  if (frame === undefined) return content;
  const producer = hex(random.fill(new Uint8Array(8)));
  const { sinkVersion, acceptedAtMs, rowLengths, count, body, keys } = frame;
  return [
    encodeFrameHead({ producer, sequence: 1, sinkVersion, acceptedAtMs }, rowLengths, count, body, keys),
    body,
  ];
}
