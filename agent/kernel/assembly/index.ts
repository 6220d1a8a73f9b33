/** The kernels that agent/kernel/kernel.ts calls, and where their memory's regions are. */
import { prepareDeflate } from "./deflate";
import { prepareEncode } from "./encode";

export { CRC_REST, foldCrc } from "./crc";
export { beginDeflate, deflate, moveDown } from "./deflate";
export { encodedTo, encodeRows, stopped } from "./encode";
export { ENTRIES, encodeEntries, packEntries, RUNS_BYTES } from "./entries";
export {
  FOUND,
  FOUND_NAMES,
  forgetNames,
  MAX_FOUND,
  MAX_NAMES,
  MAX_OBJECTS,
  names,
  ROWS,
  scanObjects,
  TEXT,
  TEXT_BYTES,
} from "./json";
export {
  COLUMNS,
  HISTORY_BYTES,
  INPUT,
  INPUT_BYTES,
  MAX_MEMBERS,
  MAX_ROWS,
  MEMBERS,
  MEMORY_BYTES,
  OUTPUT,
  PIECE_BYTES,
  PROGRAM,
  PROGRAM_BYTES,
  WINDOW,
} from "./layout";
export {
  prepareScan,
  SCAN_COLUMNS,
  SCAN_INPUT,
  SCAN_INPUT_BYTES,
  SCAN_MEMORY_BYTES,
  SCAN_ROWS,
  SCAN_TEXT,
  scanLines,
  scannedAscii,
  scannedText,
  scannedTo,
} from "./scan";
export { snappy } from "./snappy";

/** Once for each instance, before all else. */
export function prepare(): void {
  prepareDeflate();
  prepareEncode();
}
