/** A message that a container wrote, and what may become of it. */

/** What the first line of a group begins with, and of one that a rule drops. */
export const GROUP = "S";
export const DROPPED_GROUP = "S!";

export interface Written {
  readonly stream: string;
  text: string;
  /** Its file was deleted or cut at a moment when the agent could not have it open. */
  mayBeLost: boolean;
  /** The agent must notice that it is missing: what it had read before is gone as well. */
  mustBeNoticed: boolean;
  /** Its beginning is gone: an agent that crashes and reads again what it had read finds the rest of it only. */
  mayComeHeadless: boolean;
  /** It follows a line whose whole group a rule drops. */
  mayBeDropped: boolean;
}

export function written(stream: string): Written {
  return { stream, text: "", mayBeLost: false, mustBeNoticed: false, mayComeHeadless: false, mayBeDropped: false };
}
