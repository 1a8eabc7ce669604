import { homedir } from 'node:os';
import { posix, win32 } from 'node:path';

export interface Surroundings {
  readonly platform: NodeJS.Platform;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly home: string;
}

/**
 * Where this user's programs keep what they can fetch again: XDG_CACHE_HOME or ~/.cache (XDG base directory
 * specification), ~/Library/Caches on macOS, LOCALAPPDATA on Windows. Need not exist.
 */
export function cacheFolder(
  { platform, environment, home }: Surroundings = {
    platform: process.platform,
    environment: process.env,
    home: homedir(),
  },
): string {
  if (platform === 'win32') {
    return win32.join(environment.LOCALAPPDATA || win32.join(home, 'AppData', 'Local'), 'embed-model');
  }
  if (platform === 'darwin') {
    return posix.join(home, 'Library', 'Caches', 'embed-model');
  }
  const { XDG_CACHE_HOME: chosen = '' } = environment;
  // The specification: a relative path is to be ignored.
  return posix.join(posix.isAbsolute(chosen) ? chosen : posix.join(home, '.cache'), 'embed-model');
}
