/** A map of unknown shape: it is read by name, and what is not there is undefined. */
export type RawMap = Readonly<Record<string, unknown>>;

/** Whether a value is a map. */
export const isMap = (value: unknown): value is RawMap =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A value's items; none of what is no list. */
export const listIn = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** A field of a value; undefined where it is no map, and where the field is null, which Kubernetes drops. */
export const valueIn = (value: unknown, name: string): unknown =>
  isMap(value) ? (value[name] ?? undefined) : undefined;
