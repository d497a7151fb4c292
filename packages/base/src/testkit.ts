export { Agenda, seededRandom, settle, SimulatedClock } from "./simulated-ports.ts";
export { peerProgram, type PeerProgram } from "./system-peers.ts";
