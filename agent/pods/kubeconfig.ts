/** The one thing that is used of client-node, by itself: loaded when access is asked for, and all else left out of the bundle. */
export { KubeConfig } from "@kubernetes/client-node";
