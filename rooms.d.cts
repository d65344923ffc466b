export interface Room {
  readonly imports: readonly string[];
  /** null: any. */
  readonly node: readonly string[] | null;
  readonly npm: readonly string[];
  readonly advice: string;
}

export declare const ROOMS: Readonly<Record<string, Room>>;
