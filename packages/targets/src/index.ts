export { judgeLoad, type Commits, type Judgement } from "./load-judgement.ts";
