// How a user of the platform knows when to stop.

/** What a user of the platform looks at between two requests. */
export interface Shift {
  readonly name: string;
  /** Begin nothing new. */
  readonly isOver: boolean;
  /** What comes now is of a process that is gone: it is not heard. */
  readonly isDead: boolean;
}
