// The HTTP source's part of one connection: what a request is for, what may be in its body, what is answered at once.
import {
  type BodyBytes,
  type BodyPlan,
  headerLines,
  headerValue,
  headerValues,
  type IpNetwork,
  isWord,
  type Refusal,
  type RequestHead,
  utf8,
} from "@millrace/base";
import type { OtlpHttpRequest } from "@millrace/otlp";
import { clientAddress, clientPeer, type ClientPeer } from "./client-address.ts";
import { encodingOf, type Encoding } from "./body-decompress.ts";
import type { Lateness, Session } from "./http1-connection.ts";
import type { Exchange } from "./http1-exchange.ts";
import {
  ROUTE_NOT_FOUND,
  SHUTDOWN,
  type Answers,
  type DoorError,
  type DoorPage,
} from "./http-source-answers.ts";
import { parseContentType, type Content } from "./http-source-content.ts";
import type { Intake } from "./http-source-intake.ts";
import type { SourceIndex } from "./http-source-index.ts";
import type { SourceRoute } from "./http-source-routes.ts";
import type { SourceType } from "./definitions.ts";
import type { RequestMeter } from "./request-meter.ts";
import { isKey, wrongKey } from "./idempotency-key.ts";
import { recordHeaders, type OtlpCaller, type OtlpIntake } from "./otlp-intake.ts";
import { targetOf, type DoorTarget, type OtherTarget } from "./http-source-target.ts";

/** A request to another path than those of records; its body was discarded. */
export interface OtherRequest {
  readonly method: string;
  readonly path: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly authorization: string | undefined;
}

export interface SessionPorts {
  readonly table: SourceIndex<SourceRoute>;
  readonly answers: Answers;
  readonly intake: Intake;
  readonly otlp: OtlpIntake;
  readonly meters: Readonly<Record<SourceType, RequestMeter>>;
  /** Whose word is taken for who sent a request. */
  readonly trustedProxies: readonly IpNetwork[];
  /** Refuses whoever may not use this address, or answers; undefined: welcome, but there is no such page. */
  readonly page: (request: OtherRequest) => DoorPage | undefined;
  /** No records are taken any more. */
  readonly isStopping: () => boolean;
}

const JSON_TYPE = utf8("application/json");
const NDJSON_TYPE = utf8("application/x-ndjson");
const JSON_CONTENT: Content = { kind: "json", charset: undefined };
const NDJSON_CONTENT: Content = { kind: "ndjson", charset: undefined };

export class DoorSession implements Session {
  readonly #ports: SessionPorts;
  readonly #peer: ClientPeer;
  /** Of the request at hand: between its head and its body no other request is looked at. */
  #target: DoorTarget = { kind: "error", error: ROUTE_NOT_FOUND };
  #content: Content = JSON_CONTENT;
  #encoding: Encoding = "identity";
  /** Undefined: the request is to no source. */
  #meter: RequestMeter | undefined;

  /** @param peerAddress as the socket says it */
  constructor(ports: SessionPorts, peerAddress: string) {
    this.#ports = ports;
    this.#peer = clientPeer(peerAddress, ports.trustedProxies);
  }

  onHead(head: RequestHead): BodyPlan {
    this.#target = targetOf(head, this.#ports.table);
    this.#meter = this.#meterOf(this.#target);
    if (this.#target.kind === "otlp") {
      const key = head.idempotencyKey;
      if (key === "" || isKey(key)) return this.#ports.otlp.bodyBytesMax;
      this.#target = { kind: "error", error: wrongKey(key) };
      return "discard";
    }
    if (this.#target.kind !== "record") return "discard";
    const refused = this.#readBodyHeaders(head);
    if (refused === undefined) return this.#ports.intake.bodyBytesMax(this.#content);
    this.#target = { kind: "error", error: refused };
    return "discard";
  }

  onRequest(head: RequestHead, body: BodyBytes, begin: number, end: number, exchange: Exchange): void {
    const { answers, intake, isStopping } = this.#ports;
    const target = this.#target;
    if (this.#meter !== undefined) exchange.measure(this.#meter, end - begin);
    if (target.kind !== "record" && target.kind !== "otlp") return this.#answer(target, head, exchange);
    if (isStopping()) return exchange.send(answers.error(SHUTDOWN, exchange.isLast));
    if (target.kind === "otlp")
      return this.#export(target.request, head, body.bytes.slice(begin, end), exchange);
    const { route } = target;
    const received = { route, head, content: this.#content, clientIp: this.#clientIp(head), exchange };
    intake.take(received, this.#encoding, body, begin, end);
  }

  #export(
    request: OtlpHttpRequest<SourceRoute>,
    head: RequestHead,
    body: Uint8Array,
    exchange: Exchange,
  ): void {
    const caller: OtlpCaller = {
      route: request.source,
      clientIp: this.#clientIp(head),
      headers: recordHeaders(headerLines(head)),
      key: head.keyEnd > head.keyBegin ? head.idempotencyKey : undefined,
      begunMs: this.#ports.meters.otlp.begin(),
      isOver: () => exchange.answer !== undefined,
    };
    this.#ports.otlp.take(request, caller, body, exchange);
  }

  #meterOf({ kind }: DoorTarget): RequestMeter | undefined {
    const { meters } = this.#ports;
    if (kind === "record") return meters.http;
    return kind === "otlp" ? meters.otlp : undefined;
  }

  #clientIp(head: RequestHead): Uint8Array {
    return clientAddress(this.#peer, this.#ports.trustedProxies, () => ({
      xForwardedFor: headerValues(head, "x-forwarded-for"),
      forwarded: headerValues(head, "forwarded"),
    }));
  }

  #answer(target: OtherTarget, head: RequestHead, exchange: Exchange): void {
    const { answers } = this.#ports;
    switch (target.kind) {
      case "health":
        return exchange.send(answers.health(exchange.isLast));
      case "options":
        return exchange.send(answers.options(exchange.isLast));
      case "allow":
        return exchange.send(answers.allow(target.allow, exchange.isLast));
      case "notAllowed":
        return exchange.send(answers.notAllowed(target.allow, exchange.isLast));
      case "page": {
        const found = this.#page(head);
        if (found === undefined) return this.#answer(target.otherwise, head, exchange);
        return exchange.send(answers.page(found, exchange.isLast));
      }
      case "error":
        return exchange.send(answers.error(target.error, exchange.isLast));
    }
  }

  refusal(refusal: Refusal | Lateness): string {
    const retryAfter = refusal.status === 408 || refusal.status === 503 ? { retryAfter: 1 } : {};
    return this.#ports.answers.error({ ...refusal, ...retryAfter }, true);
  }

  #readBodyHeaders(head: RequestHead): DoorError | undefined {
    const { bytes, typeBegin, typeEnd } = head;
    if (isWord(bytes, typeBegin, typeEnd, JSON_TYPE)) this.#content = JSON_CONTENT;
    else if (isWord(bytes, typeBegin, typeEnd, NDJSON_TYPE)) this.#content = NDJSON_CONTENT;
    else {
      const content = parseContentType(head.contentType);
      if (content === undefined)
        return unsupported(`Content type "${head.contentType}" has an unknown charset.`);
      this.#content = content;
    }
    if (head.keyEnd > head.keyBegin && !isKey(head.idempotencyKey)) return wrongKey(head.idempotencyKey);
    this.#encoding = "identity";
    if (head.encodingEnd === head.encodingBegin) return undefined;
    const encoding = encodingOf(head.contentEncoding);
    if (encoding === undefined) {
      return unsupported(
        `Content encoding "${head.contentEncoding}" is not supported, expected gzip or zstd.`,
      );
    }
    this.#encoding = encoding;
    return undefined;
  }

  #page(head: RequestHead): DoorPage | undefined {
    const { method, path } = head;
    const [host, origin, authorization] = ["host", "origin", "authorization"].map((name) =>
      headerValue(head, name),
    );
    return this.#ports.page({ method, path, host, origin, authorization });
  }
}

function unsupported(message: string): DoorError {
  return { status: 415, name: "unsupportedMediaType", message };
}
