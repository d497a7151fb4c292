export { apiRoutes, type ApiDependencies, type StatisticsPort } from "./api-routes.ts";
export type { ApiUrls } from "./api-responses.ts";
export { TaskStore } from "./task-store.ts";
