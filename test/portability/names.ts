/** Names that cannot stand side by side, or not at all, on the file systems of Windows and macOS. */
export function unportable(paths: readonly string[]): string[] {
  const folded = paths.map((path) => path.normalize('NFC').toLowerCase());
  const twice = paths.filter((_, index) => folded.indexOf(folded[index]!) !== index);
  const reserved = /(?:^|\/)(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|\/|$)|[<>:"|?*\\]|[. ](?:\/|$)/i;
  return [...twice, ...paths.filter((path) => reserved.test(path) || path.length > 150)];
}
