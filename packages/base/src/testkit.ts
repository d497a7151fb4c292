export { Agenda, seededRandom, settle, SimulatedClock } from "./simulated-ports.ts";
