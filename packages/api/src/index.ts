export { apiRoutes } from "./api-routes.ts";
export { callerOf, tokenOf } from "./api-access.ts";
export { ApiError, pathRefusals } from "./api-errors.ts";
export type { ApiDependencies, StatisticsPort } from "./api-dependencies.ts";
export type { ApiUrls } from "./api-responses.ts";
export { openapiDocument } from "./openapi.ts";
export { ProjectTokens } from "./project-tokens.ts";
export { TaskStore } from "./task-store.ts";
