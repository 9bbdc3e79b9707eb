/** A form as it is sent: its body, and the content type that names its boundary. */
export interface EncodedForm {
  readonly blob: Blob;
  readonly type: string;
}

/**
 * "multipart/form-data encoding" of the standard, as a blob: its length is known before it is read, and it can be read again.
 *
 * @param unique goes into the boundary; must occur in no part.
 */
export const encodeFormData = (form: FormData, unique: string): EncodedForm => {
  const boundary = `----formdata-tulle-${unique}`;
  const parts: (string | Blob)[] = [];
  for (const [name, value] of form) {
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${escaped(withCrlf(name))}"`;
    if (typeof value === "string") {
      parts.push(`${head}\r\n\r\n${withCrlf(value)}\r\n`);
    } else {
      const type = value.type === "" ? "application/octet-stream" : value.type;
      parts.push(`${head}; filename="${escaped(value.name)}"\r\nContent-Type: ${type}\r\n\r\n`, value, "\r\n");
    }
  }
  parts.push(`--${boundary}--\r\n`);
  return { blob: new Blob(parts), type: `multipart/form-data; boundary=${boundary}` };
};

const withCrlf = (text: string): string => text.replace(/\r?\n|\r/g, "\r\n");

const escaped = (name: string): string => name.replaceAll("\n", "%0A").replaceAll("\r", "%0D").replaceAll('"', "%22");
