/** The few forms of DER (X.690) that a certificate request is made of. */
const tagged = (tag: number, ...contents: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content]);
};

const lengthOf = (length: number): Buffer => {
  if (length < 0x80) return Buffer.from([length]);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.from([0x80 | bytes.length, ...bytes]);
};

export const sequence = (...items: readonly Uint8Array[]): Buffer => tagged(0x30, ...items);

export const setOf = (item: Uint8Array): Buffer => tagged(0x31, item);

/** A context-specific tag, constructed or primitive, whose content takes the place of the type's own (IMPLICIT). */
export const implicit = (number: number, constructed: boolean, content: Uint8Array): Buffer =>
  tagged(0x80 | (constructed ? 0x20 : 0) | number, content);

/** A whole number from 0 to 127. */
export const smallInteger = (value: number): Buffer => tagged(0x02, Buffer.from([value]));

export const trueValue: Buffer = tagged(0x01, Buffer.from([0xff]));

export const octetString = (content: Uint8Array): Buffer => tagged(0x04, content);

/** A bit string of whole bytes. */
export const bitString = (content: Uint8Array): Buffer => tagged(0x03, Buffer.from([0]), content);

/** An object identifier, such as `"2.5.29.17"`. */
export const objectIdentifier = (dotted: string): Buffer => {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  // The first two share one number, which takes more than one byte for 2.48 and above.
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest].flatMap(base128)));
};

const base128 = (value: number): readonly number[] => {
  const digits = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) digits.unshift(0x80 | (rest % 128));
  return digits;
};

/** Wraps DER as PEM, 64 characters a line. */
export const pem = (label: string, der: Uint8Array): string => {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
};
