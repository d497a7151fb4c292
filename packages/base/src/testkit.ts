export { Agenda, seededRandom, settle, SimulatedClock } from "./simulated-ports.ts";
export { freePort } from "./system-free-port.ts";
export { peerProgram, type PeerProgram } from "./system-peers.ts";
