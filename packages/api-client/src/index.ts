export {
  ApiClient,
  type Answer,
  type ApiAnswer,
  type ApiRequest,
  type CallName,
  type Input,
  type SendRequest,
} from "./api-client.ts";
export { allPages, taskEnd } from "./api-tasks.ts";
export type * from "./api-answers.ts";
export type * from "./api-requests.ts";
export { SHAPES, type Shape } from "./api-shapes.ts";
