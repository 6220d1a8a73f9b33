/** What a format's parser finds in one physical line. One object per scanner, filled anew for every line. */
export class Line {
  /** STDERR or 0. */
  flags = 0;
  /** The message goes on in a later line of the same stream. Not known yet where `escaped`. */
  partial = false;
  /** Content is bytes[from, to). */
  from = 0;
  to = 0;
  /** The content is the inside of a JSON string with escapes. */
  escaped = false;
  /** Why the line is none of the format; only set when the parser said so. */
  error = "";
}
